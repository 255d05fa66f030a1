"""VATEX: captions of clips, ten references each, scored by CIDEr-D (Wang et al., 2019)."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.evaluation.benchmark import Benchmark, register
from experiments.evaluation.cider import cider_d
from experiments.published.table3 import CEILINGS


@register("vatex")
class Vatex(Benchmark):
    """Results are what the VATEX captioning challenge takes."""

    metric = "vatex_cider"
    label = "VATEX"
    measure = "CIDEr"
    ceiling = CEILINGS[metric]
    graded = True

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Sequence[float]:
        """CIDEr-D of each caption; their mean is the corpus score."""
        return cider_d(answers, references)[1]

    def results(self, answers: Mapping[str, str]) -> Any:
        """`{videoID: caption}`, from memory of the challenge's page; ids are text even where they are all digits."""
        return dict(answers)
