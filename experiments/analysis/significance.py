"""Is a row worse than the baseline, and how sure can we be? One model for the whole table, one verdict for each row.

The model is score = row (fixed) + seed (random, REML) + residual; differences from the baseline get simultaneous
intervals. docs/statistics.md describes the method, its assumptions and its behaviour on simulated tables.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.analysis.model import differences, row_variances
from experiments.analysis.model.mixed_model import Array
from experiments.analysis.model.more_seeds import Plan
from experiments.analysis.model.power import CONFIDENCE, POWER, shift
from experiments.analysis.model.power import seeds_to_detect as planned_seeds
from experiments.analysis.model.simultaneous import critical_values
from experiments.published.table3 import FEWEST_SEEDS

if TYPE_CHECKING:
    import pandas as pd

HURTS, HELPS, HARMLESS, UNDECIDED = "hurts", "helps", "harmless", "undecided"
ROW, SEED, SCORE, BLIND = "row", "seed", "score", "blind"
COLUMNS = ("n", "mean", "difference", "low", "high", "p", "verdict", "seeds_needed", "own_variance")


def compare(
    scores: "pd.DataFrame",
    baseline: Hashable,
    *,
    delta: float = 1.0,
    confidence: float = CONFIDENCE,
    paired: bool = True,
    family: int | None = None,
    power: float | None = POWER,
) -> "pd.DataFrame":
    """Compare every row with the baseline.

    Takes a frame with the columns `row, seed, score`; returns one indexed by row, in input order, with these columns:

    - `n`, `mean`: the row's number of seeds and the plain mean of its scores.
    - `difference`: the model's estimate of row minus baseline. `low` and `high` are the ends of its interval, which
      covers all rows at once with probability `confidence`; `p` is adjusted for all rows.
    - `verdict`: the first that applies of `hurts` (high < 0), `helps` (low > 0), `harmless` (-delta <= low and
      high <= delta) and `undecided`. With fewer than `FEWEST_SEEDS` seeds of the row or the baseline it is `undecided`
      whatever the interval.
    - `seeds_needed`: for an undecided row, the fewest seeds at which it would be decided with probability `power`,
      taking the present difference and variances as the true ones (`more_seeds`). The baseline is grown to as many
      seeds unless it has more. Null above 1,000, and for every row if `power` is None.
    - `own_variance`: whether the row is judged by its own variance instead of the table's.

    `family` is the number of rows that intervals and p cover at once, if more belong to the family than are given.
    `paired=False` leaves out the seed effect and the variance check, which is Dunnett's test (`scipy.stats.dunnett`).

    The baseline's difference, interval, p, verdict and seeds are null: None in `verdict`, NaN elsewhere. With a single
    seed, or no degrees of freedom left, interval, p and seeds are null and the verdict is `undecided`. Scores without
    noise give intervals of zero width and a p of 0 or 1. The order of the rows does not matter.

    Raises:
        ValueError: the baseline is not among the rows, a (row, seed) occurs twice, a score is not finite, a column is
            missing, `delta` is negative, or `confidence` or `power` is not between 0 and 1.
    """
    import pandas as pd

    if not (np.isfinite(delta) and delta >= 0):
        raise ValueError(f"delta is {delta}; it must be 0 or more")
    if power is not None and not 0 < power < 1:
        raise ValueError(f"power is {power}; it must be between 0 and 1")
    table, names, order = read(scores, baseline, confidence=confidence)
    columns: dict[str, Any] = {name: np.full(len(names), np.nan) for name in COLUMNS}
    columns["n"], columns["mean"] = (~np.isnan(table)).sum(axis=1), np.nanmean(table, axis=1)
    columns["verdict"] = np.full(len(names), None, dtype=object)
    columns["own_variance"] = np.zeros(len(names), dtype=bool)
    if len(names) > 1:
        found = differences.estimate(table, confidence=confidence, paired=paired, family=family)
        columns["difference"][1:], columns["p"][1:] = found.difference, found.p
        columns["low"][1:], columns["high"][1:] = found.low, found.high
        enough = np.minimum(columns["n"][1:], columns["n"][0]) >= FEWEST_SEEDS
        verdicts = [
            verdict(low, high, delta) if judged else UNDECIDED
            for low, high, judged in zip(found.low, found.high, enough, strict=True)
        ]
        columns["verdict"][1:] = verdicts
        if found.variances is not None:
            columns["own_variance"] = found.variances.own
            plan = Plan(~np.isnan(table), found.difference, found.variances, delta, confidence, paired, family)
            for place, one in enumerate(verdicts, start=1):
                if one == UNDECIDED and power is not None:
                    columns["seeds_needed"][place] = plan.seeds_needed(place, power=power) or np.nan
    index = pd.Index(names, name=ROW)
    columns["verdict"] = pd.Series(columns["verdict"], index=index, dtype=object)  # else None becomes NaN
    return pd.DataFrame(columns, index=index).loc[order]


def verdict(low: float, high: float, delta: float) -> str:
    """The verdict that the interval of a difference gives; an unknown interval (NaN) decides nothing."""
    if high < 0:
        return HURTS
    if low > 0:
        return HELPS
    return HARMLESS if low >= -delta and high <= delta else UNDECIDED


@dataclass(frozen=True)
class Noise:
    """The noise of a table in points: within a seed, between seeds, and the degrees of freedom of the former."""

    residual_sd: float
    seed_sd: float
    df: float
    baseline_ratio: float  # the baseline's standard deviation over that of the other rows; 1 if it cannot be told


def noise(scores: "pd.DataFrame", baseline: Hashable, *, paired: bool = True) -> Noise | None:
    """The fitted standard deviations of a table; None if it has no residual degrees of freedom."""
    table, _, _ = read(scores, baseline, confidence=CONFIDENCE)
    variances = row_variances.estimate(table, paired=paired)
    if variances is None:
        return None
    pool = variances.pool
    ratio = float(np.sqrt(variances.ratio[0]))
    return Noise(float(np.sqrt(pool.residual)), float(np.sqrt(pool.seed)), pool.df, ratio)


def detectable(
    scores: "pd.DataFrame",
    baseline: Hashable,
    *,
    power: float = POWER,
    confidence: float = CONFIDENCE,
    paired: bool = True,
    family: int | None = None,
) -> float | None:
    """The difference that the median row of this table would have shown with probability `power`.

    None if there are no intervals. For a table that has not been run yet, see `power.detectable`.
    """
    table, names, _ = read(scores, baseline, confidence=confidence)
    if len(names) == 1:
        return None
    found = differences.estimate(table, confidence=confidence, paired=paired, family=family)
    if found.variances is None:
        return None
    if found.variances.pool.residual == 0:
        return 0.0
    limits = critical_values(found.df, found.loadings, confidence)
    each = [shift(limit, df, power) * se for limit, df, se in zip(limits, found.df, found.se, strict=True)]
    return float(np.median(each))


def seeds_to_detect(
    scores: "pd.DataFrame",
    baseline: Hashable,
    difference: float,
    *,
    power: float = POWER,
    confidence: float = CONFIDENCE,
    paired: bool = True,
) -> int | None:
    """The fewest seeds with which these rows, at this noise, detect `difference` with probability `power`."""
    found = noise(scores, baseline, paired=paired)
    num_rows = scores[ROW].nunique() - 1
    if found is None or num_rows < 1:
        return None
    return planned_seeds(
        difference, found.residual_sd, rows=num_rows, power=power, confidence=confidence, paired=paired
    )


def read(scores: "pd.DataFrame", baseline: Hashable, *, confidence: float) -> tuple[Array, list[Any], list[Any]]:
    """Scores as an array (R, S), the names of its rows (the baseline, then the others sorted), and names as given.

    Raises:
        ValueError: for the reasons that `compare` gives.
    """
    absent = [column for column in (ROW, SEED, SCORE) if column not in scores]
    if absent:
        raise ValueError(f"the scores have no column {', '.join(absent)}; they need {ROW}, {SEED}, {SCORE}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must be between 0 and 1")
    order = scores[ROW].unique().tolist()
    if baseline not in order:
        rows = ", ".join(map(str, order)) or "there are none"
        raise ValueError(f"the baseline {baseline} is not among the rows: {rows}")
    if scores[[ROW, SEED]].isna().any(axis=None):
        raise ValueError(f"a score without its {ROW} or {SEED}")
    broken = scores[~np.isfinite(scores[SCORE].astype(float))]
    if len(broken):
        raise ValueError(f"not a finite score: {_cells(broken)}; leave out what was not run")
    twice = scores[scores.duplicated([ROW, SEED])]
    if len(twice):
        raise ValueError(f"more than one score: {_cells(twice)}; a row has one score a seed")
    names = [baseline, *sorted((name for name in order if name != baseline), key=str)]
    table = scores.pivot(index=ROW, columns=SEED, values=SCORE).astype(float).loc[names]
    return table.to_numpy(), names, order


def _cells(scores: "pd.DataFrame") -> str:
    return ", ".join(f"{row} at seed {seed}" for row, seed in zip(scores[ROW], scores[SEED], strict=True))
