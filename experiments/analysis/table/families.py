"""The families of rows with simultaneous intervals: the published table's rows, the user's own rows, combinations.

Each family is compared with the baseline separately, so that runs of one family do not change numbers of another. The
published family always has the size of the table, whichever of its rows are stored or shown; the others have as many
rows as are stored.
"""

from experiments.published import table3
from experiments.published.table3 import BASELINE

PUBLISHED, OWN, COMBINATIONS = "published", "own", "combinations"
FAMILIES = (PUBLISHED, OWN, COMBINATIONS)


def family_of(row: str) -> str | None:
    """The family of a row, by its name; None for the baseline, which all families are compared with."""
    if row == BASELINE:
        return None
    if "+" in row:
        return COMBINATIONS
    return PUBLISHED if row in table3.rows() else OWN


def size_of(family: str, num_stored: int) -> int:
    """The number of rows that a family's intervals cover simultaneously."""
    return len(table3.rows()) - 1 if family == PUBLISHED else num_stored


def in_words(family: str, size: int) -> str:
    """`17 rows of Table 3`, as used in a caption."""
    row, combination = ("row", "combination") if size == 1 else ("rows", "combinations")
    called = {PUBLISHED: f"{row} of Table 3", OWN: f"{row} of one's own", COMBINATIONS: combination}
    return f"{size} {called[family]}"
