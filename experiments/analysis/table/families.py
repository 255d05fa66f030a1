"""The families of rows whose intervals hold at once: the published table's rows, rows of one's own, combinations.

Each is compared with the baseline by itself, so that what is stored of one moves no figure of another. The published
family is as large as the table, whichever of its rows are stored or shown; the others are as large as what is stored.
"""

from experiments.published import table3
from experiments.published.table3 import BASELINE

PUBLISHED, OWN, COMBINATIONS = "published", "own", "combinations"
FAMILIES = (PUBLISHED, OWN, COMBINATIONS)


def family_of(row: str) -> str | None:
    """The family of a row by its name; None for the baseline, which is compared with all."""
    if row == BASELINE:
        return None
    if "+" in row:
        return COMBINATIONS
    return PUBLISHED if row in table3.rows() else OWN


def size_of(family: str, num_stored: int) -> int:
    """How many rows the intervals of a family hold for at once."""
    return len(table3.rows()) - 1 if family == PUBLISHED else num_stored


def in_words(family: str, size: int) -> str:
    """`17 rows of Table 3`, as it stands in a caption."""
    row, combination = ("row", "combination") if size == 1 else ("rows", "combinations")
    called = {PUBLISHED: f"{row} of Table 3", OWN: f"{row} of one's own", COMBINATIONS: combination}
    return f"{size} {called[family]}"
