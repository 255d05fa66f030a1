"""OK-VQA: questions about pictures that take knowledge from elsewhere, ten annotators each (Marino et al., 2019)."""

from collections.abc import Sequence

from experiments.evaluation.benchmark import Benchmark, register
from experiments.evaluation.vqa_accuracy import vqa_accuracy
from experiments.published.table3 import CEILINGS


@register("okvqa")
class Okvqa(Benchmark):
    """Results are those of the VQA tools."""

    metric = "okvqa_top1"
    label = "OKVQA"
    measure = "top1"
    ceiling = CEILINGS[metric]

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Sequence[float]:
        """VQA accuracy of each answer against its ten annotators."""
        return [vqa_accuracy(answer, annotators) for answer, annotators in zip(answers, references, strict=True)]
