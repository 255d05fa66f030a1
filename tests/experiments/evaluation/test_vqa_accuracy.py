"""VQA accuracy and normalisation equal the official code's, and keep its laws."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.evaluation import vqa_accuracy as module
from experiments.evaluation.vqa_accuracy import normalise_answer, vqa_accuracy

OFFICIAL = json.loads((Path(__file__).parents[2] / "golden" / "vqa_official.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", OFFICIAL["normalisation"], ids=lambda case: repr(case["raw"]))
def test_normalisation_equals_the_official_code(case: dict[str, str]) -> None:
    """Every golden answer is normalised as the official code does."""
    assert normalise_answer(case["raw"]) == case["normalised"]


def test_tables_equal_the_official_ones() -> None:
    """Contractions that change a word, number words and punctuation are the official ones, all and no others."""
    official = {spelling: form for spelling, form in OFFICIAL["contractions"].items() if spelling != form}
    assert official == module.CONTRACTIONS
    assert OFFICIAL["number_words"] == module.NUMBERS
    assert sorted(OFFICIAL["punctuation"]) == sorted(module.PUNCTUATION)


def test_accuracy_equals_the_official_code() -> None:
    """Every golden question has the official accuracy to 1e-6."""
    found = [vqa_accuracy(case["prediction"], case["answers"]) for case in OFFICIAL["accuracy"]]
    assert found == pytest.approx([case["accuracy"] for case in OFFICIAL["accuracy"]], abs=1e-6)


@pytest.mark.parametrize(("agreeing", "accuracy"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_accuracy_by_how_many_of_ten_agree(agreeing: int, accuracy: float) -> None:
    """Leaving each annotator out in turn makes 0, 0.3, 0.6, 0.9, 1 of 0 to 4 agreeing ones."""
    answers = ["dog"] * agreeing + [f"cat {i}" for i in range(10 - agreeing)]
    assert vqa_accuracy("dog", answers) == pytest.approx(accuracy, abs=1e-12)


def test_order_of_annotators_does_not_matter() -> None:
    """Annotators reversed: the same accuracy on every golden question."""
    for case in OFFICIAL["accuracy"]:
        assert vqa_accuracy(case["prediction"], case["answers"][::-1]) == pytest.approx(
            vqa_accuracy(case["prediction"], case["answers"]), abs=1e-12
        )


def test_nothing_is_normalised_where_all_annotators_agree() -> None:
    """The official code compares letter for letter then; one annotator who differs makes it normalise."""
    assert vqa_accuracy("Yes.", ["yes"] * 10) == 0.0
    assert vqa_accuracy("Yes.", ["Yes."] * 10) == 1.0
    assert vqa_accuracy("Yes.", ["yes"] * 9 + ["no"]) == 1.0
    assert vqa_accuracy(" new\nyork", ["new\tyork "] * 10) == vqa_accuracy("new york", ["new\nyork"] * 10) == 1.0


def test_normalising_twice_is_normalising_once() -> None:
    """A second pass leaves golden answers alone; full stops apart, which other marks' removal can uncover."""
    once = [normalise_answer(case["raw"]) for case in OFFICIAL["normalisation"]]
    changed = [text for text in once if normalise_answer(text) != text and "." not in text]
    assert changed == []


@pytest.mark.parametrize(
    ("raw", "normalised"),
    [
        ("t-shirt", "t shirt"),
        ("t-shirt -red", "tshirt red"),
        ("t-shirt- red", "tshirt red"),
        ("t-shirt, red", "t shirt red"),
        ("t-shirt 1,000", "tshirt 1000"),
    ],
)
def test_a_mark_beside_a_space_glues_all_of_its_kind(raw: str, normalised: str) -> None:
    """A mark becomes a space, unless it touches one somewhere or the text has thousands: then it goes everywhere."""
    assert normalise_answer(raw) == normalised


def test_only_so_many_full_stops_are_looked_at() -> None:
    """As in the official code, the 33rd full stop stays."""
    assert normalise_answer("." * 32 + "x") == "x"
    assert normalise_answer("." * 33 + "x") == ".x"


def test_fewer_annotators_follow_the_same_formula() -> None:
    """Three who agree leave two others each: two thirds. A single one leaves none."""
    assert vqa_accuracy("dog", ["dog"] * 3) == pytest.approx(2 / 3, abs=1e-12)
    assert vqa_accuracy("dog", ["dog"]) == 0.0


@pytest.mark.parametrize("answers", [[], "dog"])
def test_what_cannot_be_compared_is_refused(answers: Any) -> None:
    """No answers, or one text where a list belongs, is an error and not a score."""
    with pytest.raises(ValueError, match="allowed: the annotators' answers in a list"):
        vqa_accuracy("dog", answers)
