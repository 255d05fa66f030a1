"""The difference of every row from the baseline, with simultaneous intervals. Takes and returns arrays.

Letters: R rows, the first of which is the baseline, S seeds, K = R - 1 differences, U patterns of seeds.
"""

from dataclasses import dataclass

import numpy as np

from experiments.analysis.model import mixed_model, row_variances, simultaneous
from experiments.analysis.model.mixed_model import ROUNDING, Array
from experiments.analysis.model.row_variances import RowVariances


@dataclass(frozen=True)
class Differences:
    """Row minus baseline. Each array is (K,); unknown values are NaN."""

    difference: Array
    se: Array  # standard error
    df: Array  # of the standard error
    loadings: Array  # of the one-factor form of their correlation, for the K rows or for all rows of the family
    low: Array
    high: Array
    p: Array  # adjusted for all K
    variances: RowVariances | None  # None without residual degrees of freedom


def estimate(table: Array, *, confidence: float, paired: bool, family: int | None = None) -> Differences:
    """The differences of a table (R, S) with NaN for missing cells, R >= 2.

    If `family` is more than K, the other rows of the family are assumed to be like the median one of these.
    """
    variances = row_variances.estimate(table, paired=paired)
    if variances is None:
        difference, nothing = _plain(table, paired=paired), np.full(len(table) - 1, np.nan)
        return Differences(difference, nothing, nothing, nothing, nothing, nothing, nothing, None)
    if variances.pool.residual == 0:
        return _without_noise(table, variances, paired=paired)

    patterns = mixed_model.patterns_of(table)
    precision = mixed_model.precisions(patterns, variances.residual, variances.pool.seed)
    covariance = mixed_model.means_covariance(patterns, precision)
    means = mixed_model.row_means(table, patterns, precision, covariance)
    against = np.hstack([-np.ones((len(table) - 1, 1)), np.eye(len(table) - 1)])  # (K, R)
    of_differences = against @ covariance @ against.T
    weights = against @ covariance @ precision  # (U, K, R) of one seed's scores in each difference
    df = _satterthwaite(weights, patterns.counts, variances, np.diag(of_differences))

    difference, se = means[1:] - means[0], np.sqrt(np.diag(of_differences))
    loadings = simultaneous.common_factor(of_differences)
    if family is not None and family > len(loadings):
        of_baseline = np.einsum("u,uk->k", patterns.counts, weights[:, :, 0] ** 2) * variances.residual[0]
        shared = np.sqrt(np.minimum(of_baseline / np.diag(of_differences), 1.0))
        loadings = np.append(
            loadings if len(loadings) > 1 else shared, np.full(family - len(loadings), np.median(shared))
        )
    reach = simultaneous.critical_values(df, loadings, confidence) * se
    p = simultaneous.tail(abs(difference) / se, df, loadings)
    return Differences(difference, se, df, loadings, difference - reach, difference + reach, p, variances)


def _satterthwaite(weights: Array, counts: Array, variances: RowVariances, of_difference: Array) -> Array:
    """Degrees of freedom that a chi-square as variable as each difference's estimated variance has (K,)."""
    by_row = np.einsum("u,ukr->kr", counts, weights**2)  # how the variance depends on each row's
    by_seed = np.einsum("u,uk->k", counts, weights.sum(axis=2) ** 2)  # and on the seeds'
    pooled = np.stack([by_seed, by_row[:, ~variances.own].sum(axis=1)], axis=1)  # (K, 2)
    uncertainty = np.einsum("ka,ab,kb->k", pooled, variances.pool.covariance, pooled)
    of_own = np.where(variances.own, 2 * variances.residual**2 / variances.df, 0.0)
    return 2 * of_difference**2 / (uncertainty + by_row**2 @ of_own)


def _plain(table: Array, *, paired: bool) -> Array:
    """Differences without variances: the mean over the seeds that both rows have, else that of the rows' means."""
    over_both = table[1:] - table[0]
    means = np.nanmean(table, axis=1)
    both = ~np.isnan(over_both)
    shared = np.where(both, over_both, 0.0).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    return np.where(both.any(axis=1) & paired, shared, means[1:] - means[0])


def _without_noise(table: Array, variances: RowVariances, *, paired: bool) -> Differences:
    """Intervals of zero width and a p of 0 or 1: any difference beyond rounding counts.

    If no seeds link a row to the baseline, the noise within seeds says nothing about their difference.
    """
    means = mixed_model.within_seeds(table, np.ones(len(table)), paired=paired)[3]
    known = mixed_model.linked(table)[0, 1:] | (not paired)
    difference = np.where(known, means[1:] - means[0], _plain(table, paired=False))
    rounding = ROUNDING * float(np.nanmax(np.abs(table)))
    difference = np.where(abs(difference) <= rounding, 0.0, difference)
    end = np.where(known, difference, np.nan)
    p = np.where(known, np.where(difference == 0, 1.0, 0.0), np.nan)
    df, nothing = np.full(len(difference), variances.pool.df), np.zeros(len(difference))
    return Differences(difference, nothing, df, nothing, end, end, p, variances)
