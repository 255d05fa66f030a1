"""How far a table goes the way of the paper's: signs, order, and what becomes of the rows that cost most there.

Levels of two scales do not compare, the order of differences does. Its interval says how well this many rows tell a
rank correlation, as if they were drawn from more such rows; the noise of the seeds is not in it.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from statistics import correlation

from experiments import published
from experiments.analysis.table import Table
from experiments.analysis.wording import answer
from experiments.published import BASELINE

COSTLY_POINTS = 5.0  # Overall points that a row costs in the paper, from which it should hurt elsewhere too
FEWEST_ROWS = 5  # for fewer, the interval of a rank correlation holds nearly everything
NORMAL_95 = 1.959964  # standard deviations


@dataclass(frozen=True)
class Agreement:
    """Over the rows that both tables compare with their baselines, in Overall."""

    num_rows: int
    same_sign: tuple[str, ...]
    rank_correlation: float  # Spearman's
    low: float
    high: float
    costly: tuple[str, ...]  # rows that cost `COSTLY_POINTS` or more in the paper, and have an interval here
    costly_hurt: tuple[str, ...]  # those of them that are worse here as well, beyond their interval


def agreement(table: Table) -> Agreement | None:
    """Compare with the published differences; None for fewer than `FEWEST_ROWS` rows, or where all are equal.

    The interval is Bonett and Wright's (2000): normal in Fisher's z, with variance (1 + r^2 / 2) / (rows - 3).
    """
    paper = published.rows()
    ours, theirs = {}, {}
    for row in table["rows"]:
        difference = row["overall"]["difference"]
        if row["row"] in paper and row["row"] != BASELINE and difference is not None:
            ours[row["row"]] = row["overall"]
            theirs[row["row"]] = paper[row["row"]].overall - paper[BASELINE].overall
    if len(ours) < FEWEST_ROWS:
        return None
    differences = {name: overall["difference"] or 0.0 for name, overall in ours.items()}
    if len(set(differences.values())) == 1:
        return None  # no order to compare
    found = correlation(_ranks(differences.values()), _ranks(theirs.values()))
    half = NORMAL_95 * math.sqrt((1 + found**2 / 2) / (len(ours) - 3))
    z = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, found)))
    costly = tuple(name for name, value in theirs.items() if value <= -COSTLY_POINTS and ours[name]["high"] is not None)
    return Agreement(
        num_rows=len(ours),
        same_sign=tuple(name for name, value in theirs.items() if value * differences[name] > 0),
        rank_correlation=found,
        low=math.tanh(z - half),
        high=math.tanh(z + half),
        costly=costly,
        costly_hurt=tuple(name for name in costly if answer(ours[name]) in ("hurts", "worse")),
    )


def _ranks(values: Collection[float]) -> list[float]:
    """From 1; equal values share the mean of theirs. Importing scipy's takes longer than a screen may."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values
    ]


def agreement_in_words(table: Table) -> str:
    """One sentence, nothing where too few rows are compared."""
    found = agreement(table)
    if found is None:
        return ""
    words = (
        f"Beside the paper: {len(found.same_sign)} of {found.num_rows} differences of Overall have its sign, "
        f"rank correlation {found.rank_correlation:+.2f} [{found.low:+.2f}, {found.high:+.2f}] "
        "(Spearman, 95% over rows)"
    )
    if found.costly:
        words += (
            f"; of {len(found.costly)} rows that cost {COSTLY_POINTS:g} points or more there, "
            f"{len(found.costly_hurt)} are worse here beyond their interval"
        )
    return f"{words}."
