"""Power of a complete table: the detectable difference, and the seeds needed, for a given standard deviation.

The table has `rows` rows (without the baseline) and `seeds` seeds a row. The standard deviation is that of one score of
one row within a seed, as `significance.noise` reports it. A difference is detected if its simultaneous interval
excludes zero.
"""

from collections.abc import Callable

import numpy as np
from scipy import special

from experiments.analysis.model import simultaneous

POWER = 0.80
CONFIDENCE = 0.95
MOST_SEEDS = 1_000  # nobody runs a table that needs more
BALANCED_LOADING = np.sqrt(0.5)  # differences from one baseline correlate by one half


def detectable(
    residual_sd: float,
    *,
    rows: int,
    seeds: int,
    power: float = POWER,
    confidence: float = CONFIDENCE,
    paired: bool = True,
) -> float | None:
    """The difference that is detected with probability `power`; None if the table has no degrees of freedom."""
    df = float((seeds - 1) * (rows if paired else rows + 1))
    if rows < 1 or df < 1:
        return None
    limit = simultaneous.critical_values(np.array([df]), np.full(rows, BALANCED_LOADING), confidence)[0]
    return float(shift(limit, df, power) * residual_sd * np.sqrt(2 / seeds))


def seeds_to_detect(
    difference: float,
    residual_sd: float,
    *,
    rows: int,
    power: float = POWER,
    confidence: float = CONFIDENCE,
    paired: bool = True,
) -> int | None:
    """The fewest seeds a row that detect `difference` with probability `power`; None above `MOST_SEEDS`."""

    def sees(seeds: int) -> bool:
        found = detectable(residual_sd, rows=rows, seeds=seeds, power=power, confidence=confidence, paired=paired)
        return found is not None and found <= abs(difference)

    return first_number(sees, 2, MOST_SEEDS)


def shift(limit: float, df: float, power: float) -> float:
    """The true difference, in standard errors, for which |t| exceeds `limit` with probability `power`."""
    # The other tail is left out: at any useful power |t| hardly ever exceeds the limit on the wrong side.
    return float(special.nctdtrinc(df, 1 - power, limit))


def first_number(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """The smallest whole number from `low` to `high` for which a monotone condition `holds`; None if it never does."""
    if low > high or not holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
