"""Points of each example of a benchmark: which measure belongs to which benchmark, once."""

from collections.abc import Callable, Sequence

from experiments.evaluation.cider import cider_d
from experiments.evaluation.exact_match import exact_match
from experiments.evaluation.vqa_accuracy import vqa_accuracy

Measure = Callable[[Sequence[str], Sequence[Sequence[str]]], list[float]]


def caption_scores(answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each example; their mean is the corpus score."""
    return cider_d(answers, references)[1]


def vqa_scores(answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """VQA accuracy of each example against its ten annotators."""
    return [vqa_accuracy(answer, annotators) for answer, annotators in zip(answers, references, strict=True)]


def match_scores(answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """1.0 for each example answered as annotated, else 0.0."""
    return [exact_match(answer, annotated) for answer, annotated in zip(answers, references, strict=True)]


# By the names in `store.names.BENCHMARKS`.
MEASURES: dict[str, Measure] = {
    "coco": caption_scores,
    "okvqa": vqa_scores,
    "vqav2": vqa_scores,
    "msvdqa": match_scores,
    "vatex": caption_scores,
}


def score_examples(benchmark: str, answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """The score of each example in points (CIDEr x 100, accuracy in percent); the benchmark's score is their mean.

    To be called once with the whole benchmark: what CIDEr-D makes of one caption depends on the references of all.

    Args:
        benchmark: a name from `store.names.BENCHMARKS`.
        answers: what the model said, one an example.
        references: for each example the captions or annotators' answers.

    Raises:
        ValueError: the benchmark is unknown, or answers and references differ in length.
    """
    if benchmark not in MEASURES:
        raise ValueError(f"`benchmark` is `{benchmark}`; allowed: {', '.join(sorted(MEASURES))}")
    if len(answers) != len(references):
        raise ValueError(f"`{benchmark}` has {len(answers)} answers for {len(references)} examples")
    return [100 * score for score in MEASURES[benchmark](answers, references)]
