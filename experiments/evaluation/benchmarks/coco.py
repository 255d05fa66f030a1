"""COCO: captions of pictures, five references each, scored by CIDEr-D (Chen et al., 2015)."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.evaluation.benchmark import Benchmark, official_id, register
from experiments.evaluation.cider import cider_d
from experiments.published.table3 import CEILINGS


@register("coco")
class Coco(Benchmark):
    """Results are those of the COCO caption tools: one caption a picture."""

    metric = "coco_cider"
    label = "COCO"
    measure = "CIDEr"
    ceiling = CEILINGS[metric]
    graded = True

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Sequence[float]:
        """CIDEr-D of each caption; their mean is the corpus score."""
        return cider_d(answers, references)[1]

    def results(self, answers: Mapping[str, str]) -> Any:
        """`[{"image_id": ..., "caption": ...}]`."""
        return [{"image_id": official_id(picture), "caption": text} for picture, text in answers.items()]
