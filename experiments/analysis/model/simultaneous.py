"""Simultaneous limits for differences that share a baseline: the distribution of the largest of several |t|.

The differences are jointly t-distributed. Their correlation is written with one common factor, the error of the
baseline: corr(i, j) = b_i b_j. Given the factor the differences are independent, so that an integral with one dimension
for each row becomes one over the factor and one over the residual's standard deviation. Both are sums over fixed nodes,
so that a table always gets the same limits. The form is exact for complete tables and without a seed effect; with
missing cells it is a least-squares approximation (Hsu 1992, the factor analytic method).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

Array = NDArray[np.float64]

LARGEST_Z = 9.0  # in double precision a normal variable is never larger
LIMITS = 121  # points at which the normal integral is tabulated
FACTOR_REACH = 8.0  # standard deviations of the common factor
NODES = 160  # for the residual's standard deviation
DIGITS = 6  # to which loadings are rounded


def common_factor(covariance: Array) -> Array:
    """Loadings b of the correlation's one-factor form, corr(i, j) = b_i b_j: (K, K) -> (K,)."""
    num_differences = len(covariance)
    if num_differences == 1:
        return np.zeros(1)
    sd = np.sqrt(np.diag(covariance))
    apart = covariance[~np.eye(num_differences, dtype=bool)]
    if np.ptp(apart) <= 1e-9 * abs(apart).max() and apart[0] >= 0:
        return np.minimum(np.sqrt(apart[0]) / sd, 1.0)
    correlation = covariance / np.outer(sd, sd)
    np.fill_diagonal(correlation, 0.0)
    values, vectors = np.linalg.eigh(correlation + np.diag(abs(correlation).max(axis=1)))
    loadings: Array = np.sqrt(max(values[-1], 0.0)) * vectors[:, -1]
    for _ in range(50):  # Gauss-Newton on the squared errors off the diagonal
        squares = loadings**2
        normal = np.outer(loadings, loadings)
        np.fill_diagonal(normal, squares.sum() - squares)
        error = correlation - np.outer(loadings, loadings)
        np.fill_diagonal(error, 0.0)
        step = np.linalg.lstsq(normal, error @ loadings, rcond=1e-12)[0]
        loadings = np.clip(loadings + step, -1.0, 1.0)
        if abs(step).max() < 1e-9:
            break
    return abs(loadings)  # the sign of a loading does not change |t|


def tail(limits: Array, df: Array, loadings: Array) -> Array:
    """P(largest |t| > limit) for limits and their degrees of freedom: (K,), (K,) -> (K,).

    For a limit that is a row's own |t|, this is its adjusted p value.
    """
    return _tail(limits, df, _normal_tail(_key(loadings)))[0]


def critical_values(df: Array, loadings: Array, confidence: float) -> Array:
    """The limit below which the largest |t| stays with probability `confidence`, for each of the df: (K,).

    Differences with different degrees of freedom have different limits (Hasler and Hothorn 2008).
    """
    different, where = np.unique(df, return_inverse=True)
    return np.array(_critical(tuple(different.tolist()), _key(loadings), confidence))[where]


def _key(loadings: Array) -> tuple[tuple[float, int], ...]:
    """The loadings and how often each occurs: a limit depends on these, not on the order of rows."""
    values, counts = np.unique(np.round(loadings, DIGITS), return_counts=True)
    return tuple(zip(values.tolist(), counts.tolist(), strict=True))


@lru_cache(maxsize=4096)
def _critical(df: tuple[float, ...], key: tuple[tuple[float, int], ...], confidence: float) -> tuple[float, ...]:
    """Newton's method on logarithms. It starts at Bonferroni's limit, above the root, and never steps past the root."""
    num_differences = sum(count for _, count in key)
    error, each_df = 1 - confidence, np.array(df)
    limits: Array = special.stdtrit(each_df, 1 - error / (2 * num_differences))
    normal_tail = _normal_tail(key)
    for _ in range(50):
        beyond, slope = _tail(limits, each_df, normal_tail)
        step = np.log(beyond / error) * beyond / (slope * limits)
        limits = limits * np.exp(-step)
        if abs(step).max() < 1e-11:
            break
    return tuple(limits.tolist())


def _tail(limits: Array, df: Array, normal_tail: "CubicSpline") -> tuple[Array, Array]:
    """P(largest |t| > limit) and its derivative with respect to the limit: (K,), (K,) -> (K,), (K,)."""
    nodes = [sd_nodes(one) for one in df.tolist()]
    sd, weight = np.stack([one for one, _ in nodes]), np.stack([one for _, one in nodes])  # (K, N)
    scaled = np.minimum(limits[:, None] * sd, LARGEST_Z)
    within = scaled < LARGEST_Z
    beyond = (weight * normal_tail(scaled) * within).sum(axis=1)
    slope = (weight * sd * normal_tail(scaled, 1) * within).sum(axis=1)
    return np.clip(beyond, 0.0, 1.0), slope


@lru_cache(maxsize=4096)
def sd_nodes(df: float) -> tuple[Array, Array]:
    """Nodes and weights of sqrt(chi-square / df), evenly spaced in its logarithm, where its density is smooth."""
    low, high = 2 * special.gammaincinv(df / 2, 1e-14) / df, 2 * special.gammainccinv(df / 2, 1e-14) / df
    log_variance = np.linspace(np.log(max(low, 1e-60)), np.log(high), NODES)
    log_density = df / 2 * (log_variance - np.exp(log_variance))
    weight = np.exp(log_density - log_density.max())
    return np.exp(log_variance / 2), weight / weight.sum()


@lru_cache(maxsize=512)
def _normal_tail(key: tuple[tuple[float, int], ...]) -> "CubicSpline":
    """P(largest |z| > limit) of normal variables with these loadings, as a function of the limit."""
    from scipy.interpolate import CubicSpline

    limits = np.linspace(0, LARGEST_Z, LIMITS)
    step = _factor_step(key)
    factor = np.arange(0, FACTOR_REACH + step / 2, step)  # (F,); the summand is symmetric in the factor
    weight = np.exp(-(factor**2) / 2)
    weight[0] /= 2
    log_inside = np.zeros((LIMITS, len(factor)))
    for loading, count in key:
        own = np.sqrt(max(1 - loading**2, 1e-12))
        centre = loading * factor
        inside = special.ndtr((limits[:, None] - centre) / own) - special.ndtr((-limits[:, None] - centre) / own)
        log_inside += count * np.log(np.maximum(inside, 1e-300))
    return CubicSpline(limits, -np.expm1(log_inside) @ (weight / weight.sum()))


def _factor_step(key: Sequence[tuple[float, int]]) -> float:
    """A step that resolves the steepest of the functions that are summed over the factor."""
    steepest = max(loading / np.sqrt(max(1 - loading**2, 1e-12)) for loading, _ in key)
    return float(np.clip(0.5 / max(steepest, 1e-9), 0.01, 0.2))
