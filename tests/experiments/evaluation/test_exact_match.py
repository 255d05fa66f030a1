"""Exact match: what is the same answer and what is not."""

from typing import Any

import pytest

from experiments.evaluation.exact_match import exact_match, normalise

ANSWER = "red ball"


@pytest.mark.parametrize(
    "said", ["red ball", "Red Ball", "  red \t ball\n", "red ball.", '"red ball!"', "- RED  ball ?"]
)
def test_case_space_and_surrounding_punctuation_do_not_matter(said: str) -> None:
    """An answer differing in these alone is right, on either side."""
    assert exact_match(said, [ANSWER]) == exact_match(ANSWER, [said]) == 1.0


@pytest.mark.parametrize(
    "said", ["", "red", "ball", "red-ball", "redball", "a red ball", "red ball red ball", "blue ball"]
)
def test_everything_else_matters(said: str) -> None:
    """Part of the answer, more than the answer, an article or a mark inside is wrong."""
    assert exact_match(said, [ANSWER]) == 0.0


def test_any_of_several_answers_is_right() -> None:
    """Order and number of answers do not matter."""
    assert exact_match("two", ["one", "two"]) == exact_match("two", ["two", "one"]) == 1.0
    assert exact_match("three", ["one", "two"]) == 0.0


@pytest.mark.parametrize("text", ["", "...", " A b. ", "'tis (so)", "no.1"])
def test_normalising_twice_is_normalising_once(text: str) -> None:
    """A normalised answer is left alone."""
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize("answers", [[], "dog"])
def test_what_cannot_be_compared_is_refused(answers: Any) -> None:
    """No answers, or one text where a list belongs, is an error and not a score."""
    with pytest.raises(ValueError, match="allowed: one or more answers in a list"):
        exact_match("dog", answers)
