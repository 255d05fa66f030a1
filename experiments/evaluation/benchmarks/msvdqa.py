"""MSVD-QA: questions about clips, one answer each (Xu et al., 2017)."""

from collections.abc import Sequence

from experiments.evaluation.benchmark import Benchmark, register
from experiments.evaluation.exact_match import exact_match
from experiments.published.table3 import CEILINGS


@register("msvdqa")
class Msvdqa(Benchmark):
    """It has no tools of its own: results are in the form of VQA's."""

    metric = "msvdqa_top1"
    label = "MSVDQA"
    measure = "top1"
    ceiling = CEILINGS[metric]

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Sequence[float]:
        """1.0 for each question answered as annotated, else 0.0."""
        return [exact_match(answer, annotated) for answer, annotated in zip(answers, references, strict=True)]
