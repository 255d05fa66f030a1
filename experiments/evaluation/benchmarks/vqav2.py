"""VQAv2: questions about pictures, ten annotators each (Goyal et al., 2017)."""

from collections.abc import Sequence

from experiments.evaluation.benchmark import Benchmark, register
from experiments.evaluation.vqa_accuracy import vqa_accuracy
from experiments.published.table3 import CEILINGS


@register("vqav2")
class Vqav2(Benchmark):
    """Results are those of the VQA tools."""

    metric = "vqav2_top1"
    label = "VQAv2"
    measure = "top1"
    ceiling = CEILINGS[metric]

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Sequence[float]:
        """VQA accuracy of each answer against its ten annotators."""
        return [vqa_accuracy(answer, annotators) for answer, annotators in zip(answers, references, strict=True)]
