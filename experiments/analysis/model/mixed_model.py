"""The model of a table: score = row (fixed) + seed (random) + residual, some cells missing here and there.

Variances are estimated by restricted maximum likelihood (REML). Given the ratio of the seeds' variance to the
residual's, everything else follows in closed form, so one number is searched for; where every row has every seed that
number is known in closed form too, and the fit is the analysis of a randomised block design.

Letters: R rows, S seeds, U patterns (which rows a seed has; a complete table has one pattern). A table is an array
(R, S) of scores, NaN where a cell is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST_LOG_RATIO = 18.0  # of 1 + ratio x rows: seeds differ e^9 times as much as residuals do
GRID = 37  # places at which the likelihood is looked at before the best of them is refined
ROUNDING = 1e-10  # of the largest score: a standard deviation below it is rounding, not noise


@dataclass(frozen=True)
class Patterns:
    """Seeds grouped by which rows they have: seeds of one group have one covariance matrix."""

    masks: NDArray[np.bool_]  # (U, R)
    of_seed: NDArray[np.intp]  # (S,)
    counts: Array  # (U,) seeds of each

    @property
    def sizes(self) -> Array:
        """(U,) rows of each pattern."""
        return self.masks.sum(axis=1).astype(np.float64)


@dataclass(frozen=True)
class Variances:
    """What REML says about a table. `seed` is at least zero.

    `residual` is that of the fit without this bound. With the bounded one a table whose seeds look more alike than
    chance allows would report less noise than its rows show within seeds (Stroup and Littell 2002).
    """

    seed: float
    residual: float
    covariance: Array  # (2, 2) of the two estimates, from the expected information
    df: float  # of `residual`


def patterns_of(table: Array) -> Patterns:
    """The patterns of a table (R, S)."""
    has = ~np.isnan(table.T)
    if has.all():  # the usual table; looking for patterns would take longer than all else
        return Patterns(has[:1], np.zeros(len(has), dtype=np.intp), np.array([float(len(has))]))
    masks, of_seed, counts = np.unique(has, axis=0, return_inverse=True, return_counts=True)
    return Patterns(masks, of_seed.reshape(-1), counts.astype(np.float64))


def residual_df(table: Array, *, paired: bool) -> int:
    """Degrees of freedom within rows, and within seeds too where rows are paired by seed; 0 where nothing is left."""
    within_rows = int((~np.isnan(table)).sum()) - table.shape[0]
    if not paired:
        return within_rows
    groups = len(np.unique(linked(table).argmax(axis=1)))  # a group is named by its first row
    return within_rows - table.shape[1] + groups


def linked(table: Array) -> NDArray[np.bool_]:
    """Which rows are linked by seeds that they share, directly or through other rows: (R, R)."""
    has = (~np.isnan(table)).astype(np.float64)
    direct = has @ has.T > 0
    reach = direct
    while True:
        further = reach.astype(np.float64) @ direct > 0
        if (further == reach).all():
            return reach
        reach = further


def precisions(patterns: Patterns, residual: Array, seed: float) -> Array:
    """Inverse covariance of a seed's scores by pattern, zero where a row is missing: (U, R, R).

    `residual` is each row's variance (R,), `seed` the variance of the seed effect; infinite, seeds are fixed.
    """
    inverse = patterns.masks / residual  # (U, R)
    shared = 1 / (1 / seed + inverse.sum(axis=1)) if seed > 0 else np.zeros(len(inverse))  # (U,)
    outer: Array = inverse[:, :, None] * inverse[:, None, :]
    return np.eye(len(residual)) * inverse[:, :, None] - shared[:, None, None] * outer


def means_covariance(patterns: Patterns, precision: Array) -> Array:
    """Covariance of the rows' estimated means: (R, R)."""
    return np.linalg.inv(np.einsum("u,uij->ij", patterns.counts, precision))


def within_seeds(table: Array, relative: Array, *, paired: bool) -> tuple[Patterns, Array, Array, Array]:
    """Least squares with fixed seeds: patterns, `precisions`, a covariance, row means.

    Rows are weighted by their `relative` variances (R,). Only differences between rows that are linked by seeds can be
    told; the covariance is a generalised inverse.
    """
    patterns = patterns_of(table)
    precision = precisions(patterns, relative, np.inf if paired else 0.0)
    normal = np.einsum("u,uij->ij", patterns.counts, precision)
    covariance: Array = np.linalg.pinv(normal, rcond=1e-10, hermitian=True)
    return patterns, precision, covariance, row_means(table, patterns, precision, covariance)


def weighted_residuals(table: Array, patterns: Patterns, precision: Array, means: Array) -> Array:
    """V^-1 (score - row mean), zero where a cell is missing: (R, S)."""
    return np.einsum("sij,js->is", precision[patterns.of_seed], np.nan_to_num(table - means[:, None]))


def row_means(table: Array, patterns: Patterns, precision: Array, covariance: Array) -> Array:
    """Generalised least squares: each row's mean as if all seeds had been run (R,).

    In a complete table, and where the seeds' variance is zero, it is the plain mean.
    """
    plain = np.nanmean(table, axis=1)
    if len(patterns.counts) == 1:
        return plain
    centred = np.nan_to_num(table - plain[:, None])
    sums = np.einsum("sij,js->i", precision[patterns.of_seed], centred)
    return plain + covariance @ sums


def projection_squares(patterns: Patterns, precision: Array, covariance: Array) -> Array:
    """Sums over all pairs of seeds of the squared entries of P, by row and row: (R, R).

    P = V^-1 - V^-1 X (X' V^-1 X)^-1 X' V^-1 turns scores into weighted residuals. These sums say how the square sum of
    one row's weighted residuals depends on each row's variance.
    """
    return _over_seed_pairs(patterns, precision, covariance, lambda block: block**2)


def projection_trace(patterns: Patterns, precision: Array, covariance: Array) -> Array:
    """The trace of P over each row's cells (R,)."""
    blocks = precision - precision @ covariance @ precision
    return np.einsum("u,uii->i", patterns.counts, blocks)


def information(patterns: Patterns, precision: Array, covariance: Array) -> Array:
    """Twice the expected REML information about (seed variance, one residual variance): (2, 2)."""

    def entries(block: Array) -> Array:
        seed = block.sum(axis=(-1, -2)) ** 2
        both = (block.sum(axis=-2) ** 2).sum(axis=-1)
        residual = (block**2).sum(axis=(-1, -2))
        return np.stack([np.stack([seed, both], axis=-1), np.stack([both, residual], axis=-1)], axis=-1)

    return _over_seed_pairs(patterns, precision, covariance, entries)


def fit(table: Array, *, paired: bool) -> Variances | None:
    """Both variances of a table (R, S), or None where it has no residual degrees of freedom.

    Without `paired` there is no seed effect. Nor is there one where rows share too few seeds to tell it from residuals.
    """
    within_rows = residual_df(table, paired=False)
    if within_rows < 1:
        return None
    patterns = patterns_of(table)
    centred = np.nan_to_num(table - np.nanmean(table, axis=1, keepdims=True))
    smallest = (ROUNDING * float(np.nanmax(np.abs(table)))) ** 2
    df = residual_df(table, paired=paired)
    if not paired or df < 1:
        residual = float((centred**2).sum()) / within_rows
        residual = residual if residual > smallest else 0.0
        return Variances(0.0, residual, np.diag([0.0, 2 * residual**2 / within_rows]), float(within_rows))
    if _squares_within_seeds(table, centred, patterns) / df <= smallest:
        # Rows differ by the same amounts in every seed: REML has no optimum, and differences no variance.
        return Variances(0.0, 0.0, np.zeros((2, 2)), float(df))
    ratio, residual = _best_ratio(centred, patterns)
    seed = max(0.0, ratio) * residual
    covariance = variances_covariance(table, seed, residual, paired=True)
    return Variances(seed, residual, covariance, 2 * residual**2 / float(covariance[1, 1]))


def variances_covariance(table: Array, seed: float, residual: float, *, paired: bool) -> Array:
    """How uncertain the estimates (seed, residual) of a table (R, S) with such cells and variances are: (2, 2)."""
    if not paired or residual_df(table, paired=True) < 1:
        return np.diag([0.0, 2 * residual**2 / residual_df(table, paired=False)])
    patterns = patterns_of(table)
    precision = precisions(patterns, np.full(table.shape[0], residual), seed)
    of_estimates = information(patterns, precision, means_covariance(patterns, precision))
    return 2 * np.asarray(np.linalg.inv(of_estimates), dtype=np.float64)


def _squares_within_seeds(table: Array, centred: Array, patterns: Patterns) -> float:
    """The square sum of residuals where seeds are fixed."""
    if len(patterns.counts) == 1:
        return float(((centred - centred.mean(axis=0)) ** 2).sum())
    fixed, precision, _, means = within_seeds(table, np.ones(len(table)), paired=True)
    return float((weighted_residuals(table, fixed, precision, means) ** 2).sum())


def _best_ratio(centred: Array, patterns: Patterns) -> tuple[float, float]:
    """Seed variance over residual variance by REML, not bounded by zero, and the residual variance beside it."""
    rows, seeds = centred.shape
    if len(patterns.counts) == 1:
        of_seeds = rows * float((centred.mean(axis=0) ** 2).sum())
        residual = (float((centred**2).sum()) - of_seeds) / ((rows - 1) * (seeds - 1))
        between = of_seeds / (seeds - 1)
        return (between / residual - 1) / rows if residual > 0 else 0.0, max(residual, 0.0)

    from scipy.optimize import brentq

    largest = float(patterns.sizes.max())
    within_rows = int(patterns.counts @ patterns.sizes) - rows
    by_row = np.stack([centred[:, patterns.of_seed == place].sum(axis=1) for place in range(len(patterns.counts))])
    of_seed = centred.sum(axis=0)
    squares = float((centred**2).sum())
    masks = patterns.masks.astype(np.float64)  # (U, R)

    def solved(log_ratio: float) -> tuple[float, float, float]:
        """Twice the negative profile log-likelihood, its derivative, and the residual variance.

        At log(1 + ratio x largest); the derivative is by the ratio.
        """
        ratio = float(np.expm1(log_ratio)) / largest
        shared = ratio / (1 + ratio * patterns.sizes)  # (U,)
        by_ratio = (1 + ratio * patterns.sizes) ** -2.0  # the derivative of `shared` (U,)
        normal = np.diag(patterns.counts @ masks) - masks.T @ ((patterns.counts * shared)[:, None] * masks)
        normal_slope = -masks.T @ ((patterns.counts * by_ratio)[:, None] * masks)
        sums = by_row.sum(axis=1)  # (U,)
        right, right_slope = by_row.sum(axis=0) - (shared * sums) @ masks, -(by_ratio * sums) @ masks
        means = np.linalg.solve(normal, right)
        left = squares - float(shared[patterns.of_seed] @ of_seed**2) - float(right @ means)
        left_slope = -float(by_ratio[patterns.of_seed] @ of_seed**2)
        left_slope += float(means @ normal_slope @ means) - 2 * float(right_slope @ means)
        left = max(left, 1e-300)
        spread = float(patterns.counts @ np.log1p(ratio * patterns.sizes)) + float(np.linalg.slogdet(normal)[1])
        spread_slope = float(patterns.counts @ (patterns.sizes / (1 + ratio * patterns.sizes)))
        spread_slope += float(np.trace(np.linalg.solve(normal, normal_slope)))
        value = within_rows * float(np.log(left / within_rows)) + spread
        return value, within_rows * left_slope / left + spread_slope, left / within_rows

    grid = np.linspace(-LARGEST_LOG_RATIO / 2, LARGEST_LOG_RATIO, GRID)
    best = int(np.argmin([solved(place)[0] for place in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, GRID - 1)]
    # The root of the slope is known to the last digits, the place of the minimum only to half of them: a table's
    # figures would then differ between processors.
    found = float(grid[best])
    if solved(low)[1] < 0 < solved(high)[1]:
        found = float(brentq(lambda x: solved(x)[1], low, high, xtol=1e-14, rtol=1e-14))
    return float(np.expm1(found)) / largest, solved(found)[2]


def _over_seed_pairs(
    patterns: Patterns, precision: Array, covariance: Array, entries: Callable[[Array], Array]
) -> Array:
    """The sum of `entries` of the blocks of P over all pairs of seeds, each pair of patterns computed once."""
    half = precision @ covariance  # (U, R, R)
    between = half[:, None] @ precision[None]  # (U, U, R, R)
    pairs = np.outer(patterns.counts, patterns.counts) - np.diag(patterns.counts)
    same = np.arange(len(patterns.counts))
    apart = np.einsum("uv,uv...->...", pairs, entries(between))
    return apart + np.einsum("u,u...->...", patterns.counts, entries(precision - between[same, same]))
