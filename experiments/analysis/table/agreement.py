"""Agreement of a table with the paper's: signs, order, and the rows that cost most there.

Levels at two scales are not comparable, but the order of differences is. The rank correlation's interval treats the
rows as a sample of such rows; it does not include seed noise. Rows of one kind may agree while those of another do not,
and two rows may account for all of the agreement: so the correlation is also given by kind, and without the pair of
rows whose removal lowers it most.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations
from statistics import correlation

from experiments.analysis.table.plain_table import PlainTable
from experiments.analysis.table.row_view import RowView, views
from experiments.published import table3

COSTLY_POINTS = 5.0  # a row that costs at least this many Overall points in the paper should hurt elsewhere too
FEWEST_ROWS = 5  # with fewer, a rank correlation's interval covers nearly everything
NORMAL_95 = 1.959964  # standard deviations
PARTS = {"data": ("i",), "components": ("iii", "iv", "v", "vi", "vii", "viii")}  # groups of Table 3; ii is one row
FEWEST_OF_PART = 4
HANGS_ON = 2  # rows


@dataclass(frozen=True)
class GroupAgreement:
    """Rank correlation over the rows of one kind."""

    name: str
    num_rows: int
    rank_correlation: float
    hangs_on: tuple[str, ...]  # the pair whose removal lowers it most; empty if too few rows would remain
    without_them: float | None


@dataclass(frozen=True)
class Agreement:
    """Agreement in Overall, over the rows that both tables compare with their baselines."""

    num_rows: int
    same_sign: tuple[str, ...]
    rank_correlation: float  # Spearman's
    low: float
    high: float
    parts: tuple[GroupAgreement, ...]
    costly: tuple[str, ...]  # rows that cost `COSTLY_POINTS` or more in the paper and have an interval here
    costly_hurt: tuple[str, ...]  # those that are worse here too, with the interval below zero


def agreement(table: PlainTable) -> Agreement | None:
    """Compare with the published differences; None for fewer than `FEWEST_ROWS` rows, or if all are equal.

    The interval is Bonett and Wright's (2000): normal in Fisher's z, with variance (1 + r^2 / 2) / (rows - 3).
    """
    ours: dict[str, RowView] = {}
    differences, theirs = {}, {}
    for view in views(table):
        difference, said = view.overall.difference, view.published_difference
        if difference is not None and said is not None:
            ours[view.name], differences[view.name], theirs[view.name] = view, difference, said
    if len(ours) < FEWEST_ROWS:
        return None
    if len(set(differences.values())) == 1:
        return None  # no order to compare
    found = correlation(_ranks(differences.values()), _ranks(theirs.values()))
    half = NORMAL_95 * math.sqrt((1 + found**2 / 2) / (len(ours) - 3))
    z = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, found)))
    costly = tuple(
        name for name, value in theirs.items() if value <= -COSTLY_POINTS and ours[name].overall.high is not None
    )
    return Agreement(
        num_rows=len(ours),
        same_sign=tuple(name for name, value in theirs.items() if value * differences[name] > 0),
        rank_correlation=found,
        low=math.tanh(z - half),
        high=math.tanh(z + half),
        parts=tuple(_parts(differences, theirs)),
        costly=costly,
        costly_hurt=tuple(name for name in costly if _is_below(ours[name])),
    )


def _is_below(view: RowView) -> bool:
    """Whether the whole interval lies below zero and is not based on borrowed noise."""
    return view.overall.high is not None and view.overall.high < 0 and not view.has_borrowed_noise


def _parts(ours: dict[str, float], theirs: dict[str, float]) -> Iterator[GroupAgreement]:
    for name, groups in PARTS.items():
        rows = [row for row in ours if table3.group_of((row,)) in groups]
        if len(rows) < FEWEST_OF_PART or (whole := _rank_correlation(rows, ours, theirs)) is None:
            continue
        hangs_on: tuple[str, ...] = ()
        without: float | None = None
        if len(rows) >= FEWEST_ROWS + HANGS_ON:
            left = {
                gone: _rank_correlation([row for row in rows if row not in gone], ours, theirs)
                for gone in combinations(rows, HANGS_ON)
            }
            known = {gone: found for gone, found in left.items() if found is not None}
            if known:
                hangs_on, without = min(known.items(), key=lambda one: one[1] * math.copysign(1, whole))
        yield GroupAgreement(name, len(rows), whole, hangs_on, without)


def _rank_correlation(rows: Collection[str], ours: dict[str, float], theirs: dict[str, float]) -> float | None:
    """Spearman's correlation over these rows; None if all values on one side are equal."""
    sides = [[side[row] for row in rows] for side in (ours, theirs)]
    if any(len(set(side)) == 1 for side in sides):
        return None
    return correlation(*(_ranks(side) for side in sides))


def _ranks(values: Collection[float]) -> list[float]:
    """Ranks from 1; ties get their mean rank. Importing scipy for this would take too long for a screen."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values
    ]


def agreement_in_words(table: PlainTable) -> str:
    """The agreement as one sentence; empty if too few rows are compared."""
    found = agreement(table)
    if found is None:
        return ""
    words = (
        f"Beside the paper: {len(found.same_sign)} of {found.num_rows} differences of Overall have its sign"
        f"{''.join(map(_part_in_words, found.parts))}; over all rows, rank correlation {found.rank_correlation:+.2f} "
        f"[{found.low:+.2f}, {found.high:+.2f}] (Spearman, 95% over rows)"
    )
    if found.costly:
        words += (
            f"; of {len(found.costly)} rows that cost {COSTLY_POINTS:g} points or more there, "
            f"{len(found.costly_hurt)} are worse here beyond their interval"
        )
    return f"{words}."


def _part_in_words(part: GroupAgreement) -> str:
    groups = PARTS[part.name]
    which = groups[0] if len(groups) == 1 else f"{groups[0]} to {groups[-1]}"
    words = f"; over {part.num_rows} rows of {part.name} ({which}) rank correlation {part.rank_correlation:+.2f}"
    if part.without_them is not None:
        words += f", {part.without_them:+.2f} without {' and '.join(part.hangs_on)}, the two it depends on most"
    return words
