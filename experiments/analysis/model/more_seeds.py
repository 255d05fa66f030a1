"""Seeds needed for an undecided row: the fewest at which its interval is likely to decide.

The row and the baseline are grown to N seeds each, as `table3 --rows ROW --seeds N` would do. Everything else stays as
it is stored: further seeds of the baseline, and the other rows, whose residuals give the degrees of freedom. The
present estimates of difference and variances are taken as the true ones.

Letters: R rows, the first of which is the baseline, S seeds, K = R - 1 differences, U patterns of seeds, N outcomes.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

from experiments.analysis.model import mixed_model, row_variances
from experiments.analysis.model.mixed_model import Array
from experiments.analysis.model.power import MOST_SEEDS, first_number
from experiments.analysis.model.row_variances import RowVariances
from experiments.analysis.model.simultaneous import critical_values, sd_nodes
from experiments.published.table3 import FEWEST_SEEDS

LARGEST_LOADING = 0.97
RATIOS = 5  # quantiles of the variance of a row that is judged by its own variance

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Outlook:
    """Possible half-widths of an interval (N,), their probabilities (N,), and the standard error of the difference."""

    half: Array
    weight: Array
    se: float

    def decides(self, difference: float, delta: float) -> float:
        """The probability that the interval excludes zero or lies within +-delta."""
        if self.se == 0:
            return 1.0

        def below(end: Array) -> Array:
            return np.asarray(special.ndtr((end - difference) / self.se))

        excludes = below(-self.half) + 1 - below(self.half)
        inner = np.maximum(np.minimum(self.half, delta - self.half), 0.0)
        return float(self.weight @ (excludes + below(inner) - below(-inner)))


@dataclass(frozen=True)
class Plan:
    """The cells (R, S), differences and variances of a table, to be grown one row at a time."""

    has: Mask
    difference: Array  # (K,)
    variances: RowVariances
    delta: float
    confidence: float
    paired: bool
    family: int | None = None  # rows that the intervals cover at once, if more than K
    known: dict[tuple[bytes, float, bool, int], Outlook] = field(default_factory=dict)

    def seeds_needed(self, place: int, *, power: float, most: int = MOST_SEEDS) -> int | None:
        """The fewest seeds, beyond those it has, that decide a row with probability `power`; None above `most`."""
        fewest = max(int(self.has[place].sum()) + 1, FEWEST_SEEDS)
        difference = float(self.difference[place - 1])

        def enough(seeds: int) -> bool:
            return self.outlook(place, seeds).decides(difference, self.delta) >= power

        high = min(fewest, most)
        while high < most and not enough(high):
            fewest, high = high + 1, min(2 * high, most)
        return first_number(enough, fewest, high)

    def outlook(self, place: int, seeds: int) -> Outlook:
        """The possible intervals of a row with this number of seeds; equal rows share one outlook."""
        key = (self.has[place].tobytes(), float(self.variances.residual[place]), bool(self.variances.own[place]), seeds)
        if key not in self.known:
            cells = grown(self.has, place, seeds)
            self.known[key] = _outlook(cells, place, self.variances, self.confidence, self.paired, self.family)
        return self.known[key]


def grown(has: Mask, place: int, seeds: int) -> Mask:
    """The cells (R, S') with `seeds` seeds of a row and the baseline: seeds of the table first, then new ones."""
    lacking = [max(seeds - int(has[row].sum()), 0) for row in (0, place)]
    free = [int((~has[row]).sum()) for row in (0, place)]
    new = max(lack - room for lack, room in zip(lacking, free, strict=True))
    wider = np.hstack([has, np.zeros((len(has), max(new, 0)), dtype=bool)])
    for row, lack in zip((0, place), lacking, strict=True):
        wider[row, np.flatnonzero(~wider[row])[:lack]] = True
    return wider


def _outlook(
    has: Mask, place: int, variances: RowVariances, confidence: float, paired: bool, family: int | None
) -> Outlook:
    """The outlook in a table with these cells (R, S), taking `variances` as the true ones."""
    residual, own, pool = variances.residual, variances.own, variances.pool
    if pool.residual == 0:
        return Outlook(np.zeros(1), np.ones(1), 0.0)
    cells = np.where(has, 0.0, np.nan)
    patterns = mixed_model.patterns_of(cells)
    precision = mixed_model.precisions(patterns, residual, pool.seed)
    covariance = mixed_model.means_covariance(patterns, precision)
    against = np.hstack([-np.ones((len(has) - 1, 1)), np.eye(len(has) - 1)])  # (K, R)
    of_differences = against @ covariance @ against.T
    weights = (against[place - 1] @ covariance) @ precision  # (U, R) of one seed's scores in the difference
    by_row = patterns.counts @ weights**2  # (R,) how its variance depends on each row's
    by_seed = float(patterns.counts @ weights.sum(axis=1) ** 2)

    in_pool = cells[~own][:, has[~own].any(axis=0)]
    of_pool = mixed_model.variances_covariance(in_pool, pool.seed, pool.residual, paired=paired)
    pool_df = 2 * pool.residual**2 / float(of_pool[1, 1])
    ratio = residual / pool.residual
    paired_seeds = paired and mixed_model.residual_df(cells, paired=True) > 0
    df, spread = row_variances.own_df(cells, np.where(own, ratio, 1.0), paired=paired_seeds)
    checked = paired and len(has) >= row_variances.FEWEST_ROWS
    baseline, row = (
        _Judged.of(df[one], spread[one], pool_df, ratio[one], outside=bool(own[one]), is_baseline=one == 0)
        if checked
        else _Judged(np.ones(1), np.ones(1))
        for one in (0, place)
    )

    # All outcomes of the check of both rows. In the first one the pool's variance is used for both.
    ratios = np.stack([side.reshape(-1) for side in np.meshgrid(baseline.ratio, row.ratio, indexing="ij")])  # (2, N)
    by_own = np.stack([np.arange(ratios.shape[1]) >= len(row.ratio), np.arange(ratios.shape[1]) % len(row.ratio) > 0])
    probability = np.outer(baseline.probability, row.probability).reshape(-1)  # (N,)
    two = np.array([0, place])
    others = np.where(np.isin(np.arange(len(has)), two), 0.0, by_row)
    pooled = others[~own].sum() + by_row[two] @ ~by_own
    of_own = by_row[two][:, None] * ratios * pool.residual * by_own
    variance = pooled * pool.residual + by_seed * pool.seed + others[own] @ residual[own] + of_own.sum(axis=0)
    uncertainty = of_pool[0, 0] * by_seed**2 + 2 * of_pool[0, 1] * by_seed * pooled + of_pool[1, 1] * pooled**2
    uncertainty = (
        uncertainty + ((others * residual) ** 2 / df)[own].sum() * 2 + (2 * of_own**2 / df[two][:, None]).sum(0)
    )
    each_df = 2 * variance**2 / uncertainty
    size = max(len(of_differences), family or 0)
    of_baseline, of_difference = by_row[0] * residual[0], float(np.median(np.diag(of_differences)))
    limits = critical_values(each_df, _loadings(size, of_baseline, of_difference), confidence)
    if checked:
        more = by_row[0] * (float(baseline.ratio[1:].mean()) * pool.residual - residual[0])
        loadings = _loadings(size, of_baseline + more, of_difference + more)
        limits = np.where(by_own[0], critical_values(each_df, loadings, confidence), limits)
    half = limits * np.sqrt(variance)
    nodes, of_nodes = sd_nodes(float(each_df[0]))
    return Outlook(
        half=np.concatenate([half[0] * nodes, half[1:]]),
        weight=np.concatenate([probability[0] * of_nodes, probability[1:]]),
        se=float(np.sqrt(of_differences[place - 1, place - 1])),
    )


@dataclass(frozen=True)
class _Judged:
    """Possible variances to judge a row by, over the pool's, and their probabilities (J,); the pool's comes first."""

    ratio: Array
    probability: Array

    @classmethod
    def of(
        cls, df: float, spread: float, pool_df: float, true: float, *, outside: bool, is_baseline: bool
    ) -> "_Judged":
        """Outcomes of the check of `row_variances` for a row whose true variance is `true` times the pool's.

        `df` are the degrees of freedom of its own variance that the check assumes, `spread` the actual ones.
        """
        level = float(row_variances.levels(np.array([df]))[0])
        level = min(level, row_variances.BASELINE_LEVEL) if is_baseline else level
        smallest = row_variances.SMALLEST_DF
        rest_df = pool_df if outside else max(pool_df - df, smallest)
        limit = float(special.fdtri(df, rest_df, 1 - level))
        if not outside:  # in terms of the other rows of the pool, which are independent of this one
            beside = max(pool_df - spread, smallest)
            limit, rest_df = limit * beside / max(rest_df + limit * (df - spread), 1e-3), beside
        noisier = float(special.fdtrc(spread, rest_df, limit / true))
        ratio = special.fdtri(spread, rest_df, 1 - noisier * (np.arange(RATIOS) + 0.5) / RATIOS)
        # A large ratio is partly due to a small variance of the others.
        ratio = ratio * (spread + rest_df) / (spread * ratio + rest_df)
        return cls(
            np.concatenate([[1.0], np.maximum(true * ratio, 1.0)]),
            np.concatenate([[1 - noisier], np.full(RATIOS, noisier / RATIOS)]),
        )


def _loadings(size: int, of_baseline: float, of_difference: float) -> Array:
    """One loading for all rows of a family, from the baseline's share in the variance of a difference: (size,).

    Limits hardly depend on it, so it is rounded to two digits; the integral behind a limit is then computed only a few
    times.
    """
    if size == 1:
        return np.zeros(1)
    share = min(of_baseline / of_difference, 1.0)
    return np.full(size, min(round(float(np.sqrt(share)), 2), LARGEST_LOADING))
