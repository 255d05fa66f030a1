"""Points of examples: each benchmark has its measure, and means over examples are the benchmark's score."""

import pytest

from experiments.evaluation.benchmark import BENCHMARKS
from experiments.evaluation.cider import cider_d
from experiments.evaluation.exact_match import exact_match
from experiments.evaluation.score import score_examples
from experiments.evaluation.vqa_accuracy import vqa_accuracy

NAMES = BENCHMARKS.names()
ANSWERS = ["a red ball", "two dogs", "Yes.", "nothing at all"]
REFERENCES = [
    ["a red ball", "red ball"] * 5,
    ["three dogs", "two dogs"] + ["some dogs"] * 8,
    ["yes"] * 9 + ["no"],
    ["a man on a bench"] * 10,
]


def test_points_are_a_hundred_times_the_measure() -> None:
    """CIDEr x 100 and accuracy in percent, example by example."""
    per_image = cider_d(ANSWERS, REFERENCES)[1]
    pairs = list(zip(ANSWERS, REFERENCES, strict=True))
    expected = {
        "coco": per_image,
        "vatex": per_image,
        "okvqa": [vqa_accuracy(answer, references) for answer, references in pairs],
        "vqav2": [vqa_accuracy(answer, references) for answer, references in pairs],
        "msvdqa": [exact_match(answer, references) for answer, references in pairs],
    }
    for name in expected:
        assert score_examples(name, ANSWERS, REFERENCES) == pytest.approx([100 * score for score in expected[name]])
    assert score_examples("okvqa", ANSWERS, REFERENCES) == pytest.approx([100.0, 30.0, 100.0, 0.0])


@pytest.mark.parametrize("name", NAMES)
def test_examples_keep_their_points_in_any_order(name: str) -> None:
    """Reversing the examples reverses the points."""
    assert score_examples(name, ANSWERS[::-1], REFERENCES[::-1]) == score_examples(name, ANSWERS, REFERENCES)[::-1]


@pytest.mark.parametrize("name", NAMES)
def test_one_answer_moves_one_example(name: str) -> None:
    """What the model says to one example leaves the points of all others."""
    before = score_examples(name, ANSWERS, REFERENCES)
    after = score_examples(name, ["purple", *ANSWERS[1:]], REFERENCES)
    assert after[0] < before[0] and after[1:] == before[1:]


@pytest.mark.parametrize("name", NAMES)
def test_tuples_serve_as_well_as_lists(name: str) -> None:
    """Queries hold their answers in tuples."""
    frozen = [tuple(references) for references in REFERENCES]
    assert score_examples(name, tuple(ANSWERS), frozen) == score_examples(name, ANSWERS, REFERENCES)


@pytest.mark.parametrize("name", ["", "COCO", "coco_cider", "vqa"])
def test_an_unknown_benchmark_is_refused(name: str) -> None:
    """Part of a name, another case or the metric's name is not the benchmark; what is allowed is said."""
    with pytest.raises(LookupError, match=f"allowed: {', '.join(NAMES)}"):
        score_examples(name, ANSWERS, REFERENCES)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_answer_is_refused(name: str) -> None:
    """Fewer answers than examples are never scored as if they were all."""
    with pytest.raises(ValueError, match=f"`{name}` has 3 answers for 4 examples"):
        score_examples(name, ANSWERS[:-1], REFERENCES)
