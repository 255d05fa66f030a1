"""VQA accuracy of short answers, as the official evaluation of VQAv2 and OK-VQA computes it (Antol et al., 2015).

An answer is fully right if three annotators gave it, and partly right with fewer. Answers are normalised first. The
quirks of the official code are kept, because scores are compared with published ones: a decimal point after a space is
dropped, `-` and `/` become spaces unless one of their kind touches a space, and only the first 32 full stops count.
"""

import re
from collections.abc import Sequence

ANNOTATORS_NEEDED = 3  # other annotators who must agree for an answer to be fully right

ARTICLES = frozenset(("a", "an", "the"))
NUMBERS = {"none": "0"} | {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}

# Contractions that are restored from a spelling without any apostrophe ...
ONE_APOSTROPHE = """
    ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's I'm
    I've isn't it'd it'll ma'am might've mightn't must've mustn't needn't not've o'clock oughtn't shan't should've
    shouldn't somebody'll somebody's someone'd someone'll someone's something'd something'll that's there'd there're
    there's they'd they'll they're they've 'twas wasn't we've weren't what'll what're what's what've when's where'd
    where's where've who'd who'll who's who've why'll why're why's won't would've wouldn't y'all you'd you'll you're
    you've
"""
# ... and those that are restored where one of several is missing.
MORE_APOSTROPHES = """
    couldn't've hadn't've he'd've I'd've it'd've mightn't've she'd've shouldn't've somebody'd've someone'd've
    something'd've there'd've they'd've we'd've who'd've wouldn't've you'd've y'all'll y'all'd've 'ow's'at
"""


def spellings(contraction: str) -> list[str]:
    """The spellings of a contraction with one apostrophe left out."""
    places = [place for place, character in enumerate(contraction) if character == "'"]
    return [contraction[:place] + contraction[place + 1 :] for place in places]


CONTRACTIONS = {
    spelling: contraction
    for contraction in (ONE_APOSTROPHE + MORE_APOSTROPHES).split()
    for spelling in spellings(contraction)
} | {"somebody'd": "somebodyd"}  # the official table has this one the wrong way round

PUNCTUATION = ';/[]"{}()=+\\_->@<`,?!'
THOUSANDS = re.compile(r"\d,\d")
FULL_STOP = re.compile(r"\.(?!\d)")
FULL_STOPS_LOOKED_AT = 32  # the official code passes a flag in place of the count


def one_line(text: str) -> str:
    """Replace line breaks and tabs by spaces and strip both ends, as is done to every answer."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def without_punctuation(text: str) -> str:
    """Delete marks that touch a space, and all marks in a text with `1,000`; replace others by spaces."""
    has_thousands = THOUSANDS.search(text) is not None
    cleaned = text
    for mark in PUNCTUATION:
        delete = has_thousands or f"{mark} " in text or f" {mark}" in text
        cleaned = cleaned.replace(mark, "" if delete else " ")
    return FULL_STOP.sub("", cleaned, count=FULL_STOPS_LOOKED_AT)


def normalise_answer(text: str) -> str:
    """Lower case, digits for `none` and `zero` to `ten`, no articles, no punctuation, apostrophes restored."""
    words = (NUMBERS.get(word, word) for word in without_punctuation(one_line(text)).lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def vqa_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Accuracy from 0 to 1: each annotator is left out in turn, and each other one who agrees earns a third.

    As in the official code, nothing is normalised if all annotators gave exactly the same answer. The data sets have
    ten annotators. Any other number is scored by the same formula: it takes four of them for 1.0, and the answer of a
    single annotator scores 0.

    Raises:
        ValueError: there is no answer to compare with.
    """
    if isinstance(answers, str) or not answers:
        raise ValueError(
            f"answers are {answers!r}; allowed: the annotators' answers in a list, ten in VQAv2 and OK-VQA"
        )
    given, annotated = one_line(prediction), [one_line(answer) for answer in answers]
    if len(set(annotated)) > 1:
        given, annotated = normalise_answer(given), [normalise_answer(answer) for answer in annotated]
    agreeing = [answer == given for answer in annotated]
    earned = [min(1.0, (sum(agreeing) - agrees) / ANNOTATORS_NEEDED) for agrees in agreeing]
    return sum(earned) / len(earned)
