"""The variance check: which rows are noisier than the others, and which variance each row is judged by.

With few seeds a row's own variance is poorly known, and a check at the usual levels would miss most of the rows that
spoil the intervals. The level is therefore chosen so that a row with three times the standard deviation is missed in
10% of tables, within 1% and 20%. At 3 seeds it is 20%: if all rows are alike, every fifth is still judged by its own
variance, and its interval is wide.

1. Rows that are clearly noisier, at 0.1% over all rows, leave the pool one after another. The rest give the pooled
   variance.
2. Each row is checked against that pool at the level above. A row that fails keeps its own variance.
3. Quieter rows keep the pooled variance, which is larger than theirs.

Rows that only look noisier by chance stay in the pool: without them its variance would come out too small.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from experiments.analysis.model import mixed_model
from experiments.analysis.model.mixed_model import Array, Variances

NOISIER = 3.0  # times the standard deviation of the others: what the check should find
MISSED = 0.10  # share of such rows that it may miss
LEVELS = 0.01, 0.20  # strictest and least strict level for one row
BASELINE_LEVEL = 0.05  # least strict level for the baseline, whose own variance widens every interval
CLEAR_LEVEL = 0.001  # level over all rows at which a row leaves the pool
SMALLEST_DF = 0.5  # degrees of freedom below which a variance is not checked
FEWEST_ROWS = 3  # with two paired rows only the variance of their difference is known


@dataclass(frozen=True)
class RowVariances:
    """The variance of each row (R,), its degrees of freedom (R,), and whether it is the row's own (R,).

    `ratio` (R,) is each row's own variance over that of the others; 1 if nothing is checked.
    """

    pool: Variances
    residual: Array
    df: Array
    own: np.ndarray
    ratio: Array


def estimate(table: Array, *, paired: bool) -> RowVariances | None:
    """Check the rows of a table (R, S), the first of which is the baseline.

    None if there are no residual degrees of freedom. Without `paired` nothing is checked: that is the classical
    analysis, with one variance for all rows.
    """
    pool = mixed_model.fit(table, paired=paired)
    if pool is None:
        return None
    rows = len(table)
    pooled = np.ones(rows, dtype=bool)
    if not paired or rows < FEWEST_ROWS or pool.residual == 0:
        return _row_variances(pool, pooled, np.zeros(rows), np.ones(rows), np.ones(rows))
    shared = mixed_model.residual_df(table, paired=True) > 0
    own, df = _own_variances(table, np.ones(rows), paired=shared)
    while pooled.sum() > max(FEWEST_ROWS, (rows + 1) // 2):
        ratio, rest_df = _against_the_rest(own, df, pool, pooled)
        clear = np.where(pooled & _noisier(ratio, df, rest_df, np.full(rows, CLEAR_LEVEL / rows)), ratio, 0.0)
        noisiest = int(clear.argmax())
        if clear[noisiest] == 0:
            break
        pooled[noisiest] = False
        smaller = mixed_model.fit(_without_empty_seeds(table[pooled]), paired=paired)
        if smaller is None or smaller.residual == 0:
            pooled[noisiest] = True
            break
        pool = smaller
        relative = np.where(pooled, 1.0, np.maximum(own / pool.residual, 1.0))
        own, df = _own_variances(table, relative, paired=shared)
    ratio, rest_df = _against_the_rest(own, df, pool, pooled)
    level = levels(df)
    level[0] = min(level[0], BASELINE_LEVEL)
    return _row_variances(pool, pooled & ~_noisier(ratio, df, rest_df, level), own, df, ratio)


def levels(df: Array) -> Array:
    """The level of the check for given degrees of freedom of a row's variance (R,)."""
    missed_below = NOISIER**2 * 2 * special.gammaincinv(df / 2, MISSED) / df
    return np.clip(special.gammaincc(df / 2, df * missed_below / 2), *LEVELS)


def _row_variances(pool: Variances, like_the_pool: np.ndarray, own: Array, df: Array, ratio: Array) -> RowVariances:
    residual = np.where(like_the_pool, pool.residual, np.maximum(own, pool.residual))
    return RowVariances(pool, residual, np.where(like_the_pool, pool.df, df), ~like_the_pool, ratio)


def _own_variances(table: Array, relative: Array, *, paired: bool) -> tuple[Array, Array]:
    """An unbiased estimate of each row's variance (R,), and its degrees of freedom (R,).

    It uses residuals within rows and seeds, so that a lucky seed does not make a row look noisy. Rows that left the
    pool get less weight (`relative`, their variance over the pool's), so that the seed effects come from the others.
    The expected sum of squares of a row's residuals is linear in the variances of all rows; these equations are solved
    (Rao 1970).
    """
    patterns, precision, covariance, means = mixed_model.within_seeds(table, relative, paired=paired)
    residuals = mixed_model.weighted_residuals(table, patterns, precision, means)
    information = mixed_model.projection_squares(patterns, precision, covariance)
    own = np.linalg.lstsq(information, (residuals**2).sum(axis=1), rcond=1e-9)[0]
    trace = mixed_model.projection_trace(patterns, precision, covariance)
    known = relative * trace > SMALLEST_DF
    df = np.where(known, trace**2 / np.where(known, np.diag(information), 1.0), SMALLEST_DF)
    return np.where(known, np.maximum(own, 0.0), 0.0), df


def own_df(table: Array, relative: Array, *, paired: bool) -> tuple[Array, Array]:
    """Degrees of freedom of the rows' own variances in a table with these cells: assumed by the check, actual; (R,).

    The check treats a row's residuals as the row's alone. If few rows share a seed, they are partly the others'.
    """
    patterns, precision, covariance, _ = mixed_model.within_seeds(table, relative, paired=paired)
    information = mixed_model.projection_squares(patterns, precision, covariance)
    inverse = np.diag(np.linalg.pinv(information, rcond=1e-9, hermitian=True))
    actual = np.where(inverse > 0, relative**2 / np.maximum(inverse, 1e-12), SMALLEST_DF)
    return _own_variances(table, relative, paired=paired)[1], np.maximum(actual, SMALLEST_DF)


def _against_the_rest(own: Array, df: Array, pool: Variances, pooled: np.ndarray) -> tuple[Array, Array]:
    """Each row's variance over that of the pool without this row (R,), and the latter's degrees of freedom (R,)."""
    rest_df = np.where(pooled, np.maximum(pool.df - df, SMALLEST_DF), pool.df)
    rest = np.where(pooled, (pool.df * pool.residual - df * own) / rest_df, pool.residual)
    return own / np.maximum(rest, 1e-3 * pool.residual), rest_df


def _noisier(ratio: Array, df: Array, rest_df: Array, level: Array) -> np.ndarray:
    """Whether a variance ratio is beyond the F distribution's upper quantile (R,)."""
    return np.asarray(special.fdtrc(df, rest_df, ratio) < level)


def _without_empty_seeds(table: Array) -> Array:
    return table[:, ~np.isnan(table).all(axis=0)]
