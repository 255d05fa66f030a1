"""The model of a table: score = row (fixed) + seed (random) + residual. Cells may be missing.

Variances are estimated by restricted maximum likelihood (REML). Given the ratio of seed variance to residual variance,
everything else has a closed form, so the search is over one number. If every row has every seed, that number has a
closed form too, and the fit is the analysis of a randomised block design.

Letters: R rows, S seeds, U patterns (which rows a seed has; a complete table has one pattern). A table is an array
(R, S) of scores, with NaN for missing cells.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST_LOG_RATIO = 18.0  # of 1 + ratio x rows: the seeds' standard deviation is e^9 times the residual's
GRID = 37  # points at which the likelihood is evaluated before the best one is refined
ROUNDING = 1e-10  # of the largest score: a standard deviation below it is rounding, not noise


@dataclass(frozen=True)
class Patterns:
    """Seeds grouped by the rows that they have. Seeds of one group share one covariance matrix."""

    masks: NDArray[np.bool_]  # (U, R)
    of_seed: NDArray[np.intp]  # (S,)
    counts: Array  # (U,) seeds of each

    @property
    def sizes(self) -> Array:
        """The number of rows of each pattern (U,)."""
        return self.masks.sum(axis=1).astype(np.float64)


@dataclass(frozen=True)
class Variances:
    """The REML estimates of a table. `seed` is at least zero.

    `residual` comes from the fit without that bound. The bounded fit would report less noise than the rows show within
    seeds if the seeds of a table happen to be more alike than chance allows (Stroup and Littell 2002).
    """

    seed: float
    residual: float
    covariance: Array  # (2, 2) of the two estimates, from the expected information
    df: float  # of `residual`


def patterns_of(table: Array) -> Patterns:
    """The patterns of missing cells in a table (R, S)."""
    has = ~np.isnan(table.T)
    if has.all():  # the usual table; searching for patterns would take longer than everything else
        return Patterns(has[:1], np.zeros(len(has), dtype=np.intp), np.array([float(len(has))]))
    masks, of_seed, counts = np.unique(has, axis=0, return_inverse=True, return_counts=True)
    return Patterns(masks, of_seed.reshape(-1), counts.astype(np.float64))


def residual_df(table: Array, *, paired: bool) -> int:
    """Degrees of freedom within rows, less those of the seeds if rows are paired by seed; 0 if none are left."""
    within_rows = int((~np.isnan(table)).sum()) - table.shape[0]
    if not paired:
        return within_rows
    groups = len(np.unique(linked(table).argmax(axis=1)))  # a group is named by its first row
    return within_rows - table.shape[1] + groups


def linked(table: Array) -> NDArray[np.bool_]:
    """Whether two rows are linked by shared seeds, directly or through other rows: (R, R)."""
    has = (~np.isnan(table)).astype(np.float64)
    direct = has @ has.T > 0
    reach = direct
    while True:
        further = reach.astype(np.float64) @ direct > 0
        if (further == reach).all():
            return reach
        reach = further


def precisions(patterns: Patterns, residual: Array, seed: float) -> Array:
    """Inverse covariance of a seed's scores for each pattern, zero for missing rows: (U, R, R).

    `residual` is the variance of each row (R,), `seed` that of the seed effect; if it is infinite, seeds are fixed.
    """
    inverse = patterns.masks / residual  # (U, R)
    shared = 1 / (1 / seed + inverse.sum(axis=1)) if seed > 0 else np.zeros(len(inverse))  # (U,)
    outer: Array = inverse[:, :, None] * inverse[:, None, :]
    return np.eye(len(residual)) * inverse[:, :, None] - shared[:, None, None] * outer


def means_covariance(patterns: Patterns, precision: Array) -> Array:
    """Covariance of the rows' estimated means: (R, R)."""
    return np.linalg.inv(np.einsum("u,uij->ij", patterns.counts, precision))


def within_seeds(table: Array, relative: Array, *, paired: bool) -> tuple[Patterns, Array, Array, Array]:
    """Least squares with fixed seeds: patterns, `precisions`, covariance and row means.

    Rows are weighted by their `relative` variances (R,). Differences are known only between rows that are linked by
    seeds; the covariance is a generalised inverse.
    """
    patterns = patterns_of(table)
    precision = precisions(patterns, relative, np.inf if paired else 0.0)
    normal = np.einsum("u,uij->ij", patterns.counts, precision)
    covariance: Array = np.linalg.pinv(normal, rcond=1e-10, hermitian=True)
    return patterns, precision, covariance, row_means(table, patterns, precision, covariance)


def weighted_residuals(table: Array, patterns: Patterns, precision: Array, means: Array) -> Array:
    """V^-1 (score - row mean), zero for missing cells: (R, S)."""
    return np.einsum("sij,js->is", precision[patterns.of_seed], np.nan_to_num(table - means[:, None]))


def row_means(table: Array, patterns: Patterns, precision: Array, covariance: Array) -> Array:
    """Each row's mean as if all seeds had been run, by generalised least squares: (R,).

    In a complete table, or with a seed variance of zero, it is the plain mean.
    """
    plain = np.nanmean(table, axis=1)
    if len(patterns.counts) == 1:
        return plain
    centred = np.nan_to_num(table - plain[:, None])
    sums = np.einsum("sij,js->i", precision[patterns.of_seed], centred)
    return plain + covariance @ sums


def projection_squares(patterns: Patterns, precision: Array, covariance: Array) -> Array:
    """The squared entries of P for each pair of rows, summed over all pairs of seeds: (R, R).

    P = V^-1 - V^-1 X (X' V^-1 X)^-1 X' V^-1 turns scores into weighted residuals. These sums give the dependence of the
    sum of squares of one row's weighted residuals on the variance of each row.
    """
    return _over_seed_pairs(patterns, precision, covariance, lambda block: block**2)


def projection_trace(patterns: Patterns, precision: Array, covariance: Array) -> Array:
    """The trace of P over the cells of each row (R,)."""
    blocks = precision - precision @ covariance @ precision
    return np.einsum("u,uii->i", patterns.counts, blocks)


def information(patterns: Patterns, precision: Array, covariance: Array) -> Array:
    """Twice the expected REML information on the seed variance and a common residual variance: (2, 2)."""

    def entries(block: Array) -> Array:
        seed = block.sum(axis=(-1, -2)) ** 2
        both = (block.sum(axis=-2) ** 2).sum(axis=-1)
        residual = (block**2).sum(axis=(-1, -2))
        return np.stack([np.stack([seed, both], axis=-1), np.stack([both, residual], axis=-1)], axis=-1)

    return _over_seed_pairs(patterns, precision, covariance, entries)


def fit(table: Array, *, paired: bool) -> Variances | None:
    """Both variances of a table (R, S), or None if it has no residual degrees of freedom.

    There is no seed effect without `paired`, or if rows share too few seeds to tell it from the residual.
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
    """The covariance (2, 2) of the estimates (seed, residual) in a table with these cells and true variances."""
    if not paired or residual_df(table, paired=True) < 1:
        return np.diag([0.0, 2 * residual**2 / residual_df(table, paired=False)])
    patterns = patterns_of(table)
    precision = precisions(patterns, np.full(table.shape[0], residual), seed)
    of_estimates = information(patterns, precision, means_covariance(patterns, precision))
    return 2 * np.asarray(np.linalg.inv(of_estimates), dtype=np.float64)


def _squares_within_seeds(table: Array, centred: Array, patterns: Patterns) -> float:
    """The sum of squared residuals with fixed seeds."""
    if len(patterns.counts) == 1:
        return float(((centred - centred.mean(axis=0)) ** 2).sum())
    fixed, precision, _, means = within_seeds(table, np.ones(len(table)), paired=True)
    return float((weighted_residuals(table, fixed, precision, means) ** 2).sum())


def _best_ratio(centred: Array, patterns: Patterns) -> tuple[float, float]:
    """The REML ratio of seed variance to residual variance, not bounded by zero, and the residual variance."""
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

        The argument is log(1 + ratio x largest); the derivative is with respect to the ratio.
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
    # The root of the slope is known to full precision, the position of the minimum only to half the digits: with the
    # latter, a table's figures would differ between processors.
    found = float(grid[best])
    if solved(low)[1] < 0 < solved(high)[1]:
        found = float(brentq(lambda x: solved(x)[1], low, high, xtol=1e-14, rtol=1e-14))
    return float(np.expm1(found)) / largest, solved(found)[2]


def _over_seed_pairs(
    patterns: Patterns, precision: Array, covariance: Array, entries: Callable[[Array], Array]
) -> Array:
    """The sum over all pairs of seeds of `entries` of P's blocks; each pair of patterns is computed once."""
    half = precision @ covariance  # (U, R, R)
    between = half[:, None] @ precision[None]  # (U, U, R, R)
    pairs = np.outer(patterns.counts, patterns.counts) - np.diag(patterns.counts)
    same = np.arange(len(patterns.counts))
    apart = np.einsum("uv,uv...->...", pairs, entries(between))
    return apart + np.einsum("u,u...->...", patterns.counts, entries(precision - between[same, same]))
