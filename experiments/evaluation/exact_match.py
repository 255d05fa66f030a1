"""Exact match, the accuracy of MSVD-QA: the answer is the annotated one or it is not."""

import string
from collections.abc import Sequence


def normalise(text: str) -> str:
    """Lower case, white space collapsed to single spaces, ASCII punctuation and spaces around the whole taken off.

    Nothing inside is touched: articles, number words and hyphens count.
    """
    return " ".join(text.lower().split()).strip(string.punctuation + " ")


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 where the prediction equals one of the answers after normalisation, else 0.0. MSVD-QA has one answer each.

    Raises:
        ValueError: there is no answer to compare with.
    """
    if isinstance(answers, str) or not answers:
        raise ValueError(f"answers are {answers!r}; allowed: one or more answers in a list")
    return float(normalise(prediction) in {normalise(answer) for answer in answers})
