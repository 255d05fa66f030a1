"""Exact match, the accuracy of MSVD-QA: an answer equals the annotated one or it does not."""

import string
from collections.abc import Sequence


def normalise(text: str) -> str:
    """Lower case, single spaces, and no ASCII punctuation or spaces at either end.

    Nothing else is changed: articles, number words and hyphens count.
    """
    return " ".join(text.lower().split()).strip(string.punctuation + " ")


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 if the prediction equals one of the answers after normalisation, else 0.0. MSVD-QA has one answer each.

    Raises:
        ValueError: there is no answer to compare with.
    """
    if isinstance(answers, str) or not answers:
        raise ValueError(f"answers are {answers!r}; allowed: one or more answers in a list")
    return float(normalise(prediction) in {normalise(answer) for answer in answers})
