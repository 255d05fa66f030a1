"""The fit of a table with missing cells is that of statsmodels, and the limits are those of the multivariate t."""

import numpy as np
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from experiments.analysis.model import differences, mixed_model, row_variances, simultaneous
from tests.experiments.score_tables import BASELINE, drawn

UNBALANCED = ((0, 3), (2, 1), (2, 2), (4, 0), (5, 5))


def table_of(scores) -> np.ndarray:
    return scores.pivot(index="row", columns="seed", values="score").to_numpy()


@pytest.mark.parametrize("seed_sd", [1.0, 4.0])
@pytest.mark.parametrize("missing", [(), UNBALANCED])
def test_variances_and_means_are_those_of_statsmodels(missing: tuple[tuple[int, int], ...], seed_sd: float) -> None:
    """REML: both variances, every difference and its standard error."""
    scores = drawn(7, 6, seed_sd=seed_sd, missing=missing, rng_seed=11)
    fitted = smf.mixedlm("score ~ row", scores, groups=scores["seed"]).fit(reml=True)
    table = table_of(scores)
    variances = mixed_model.fit(table, paired=True)
    assert variances is not None
    assert variances.residual == pytest.approx(fitted.scale, rel=1e-3)
    assert variances.seed == pytest.approx(float(fitted.cov_re.iloc[0, 0]), rel=1e-3)
    patterns = mixed_model.patterns_of(table)
    precision = mixed_model.precisions(patterns, np.full(7, variances.residual), variances.seed)
    covariance = mixed_model.means_covariance(patterns, precision)
    means = mixed_model.row_means(table, patterns, precision, covariance)
    assert means[1:] - means[0] == pytest.approx(fitted.fe_params.to_numpy()[1:], abs=1e-4)
    design = fitted.model.exog
    same_seed = np.equal.outer(scores["seed"].to_numpy(), scores["seed"].to_numpy())
    whole = fitted.scale * np.eye(len(scores)) + float(fitted.cov_re.iloc[0, 0]) * same_seed
    expected = np.sqrt(np.diag(np.linalg.inv(design.T @ np.linalg.solve(whole, design))))[1:]
    assert np.sqrt(np.diag(covariance)[1:] + covariance[0, 0] - 2 * covariance[0, 1:]) == pytest.approx(
        expected, rel=1e-3
    )


@pytest.mark.parametrize("seed_sd", [0.1, 1.0, 4.0])
def test_rounding_in_the_scores_moves_only_last_digits(seed_sd: float) -> None:
    """Sums round differently on other processors: scores that differ in the last bits have the same variances."""
    table = table_of(drawn(7, 6, seed_sd=seed_sd, missing=UNBALANCED, rng_seed=11))
    first = mixed_model.fit(table, paired=True)
    assert first is not None
    for nudged in (np.nextafter(table, np.inf), np.nextafter(table, -np.inf)):
        again = mixed_model.fit(nudged, paired=True)
        assert again is not None
        assert again.residual == pytest.approx(first.residual, rel=1e-11)
        assert again.seed == pytest.approx(first.seed, rel=1e-11, abs=1e-11)


def test_a_complete_table_has_the_block_analysis_degrees_of_freedom() -> None:
    """(rows - 1) (seeds - 1) within seeds; without pairs rows (seeds - 1)."""
    table = table_of(drawn(7, 4))
    paired, unpaired = mixed_model.fit(table, paired=True), mixed_model.fit(table, paired=False)
    assert paired is not None and unpaired is not None
    assert paired.df == pytest.approx(18) and unpaired.df == 21


def test_missing_cells_cost_degrees_of_freedom() -> None:
    """One or a few cells less: a little less than the complete table, never more."""
    complete, lacking = (mixed_model.fit(table_of(drawn(7, 6, missing=some)), paired=True) for some in ((), UNBALANCED))
    assert complete is not None and lacking is not None
    assert complete.df - 2 * len(UNBALANCED) < lacking.df < complete.df


def test_the_seeds_variance_is_never_negative_and_residuals_are_not_made_smaller() -> None:
    """Where seeds look more alike than chance allows, the residual is still that of the block analysis."""
    for rng_seed in range(20):
        table = table_of(drawn(6, 4, seed_sd=0.0, rng_seed=rng_seed))
        fitted = mixed_model.fit(table, paired=True)
        assert fitted is not None and fitted.seed >= 0
        residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
        assert fitted.residual == pytest.approx((residual**2).sum() / 15)


def test_a_nearly_complete_table_is_nearly_the_complete_one() -> None:
    """The search for REML's optimum and the closed form of a complete table meet."""
    table = table_of(drawn(8, 30, seed_sd=1.5))
    lacking = table.copy()
    lacking[3, 7] = np.nan
    complete, nearly = mixed_model.fit(table, paired=True), mixed_model.fit(lacking, paired=True)
    assert complete is not None and nearly is not None
    assert nearly.residual == pytest.approx(complete.residual, rel=0.03)
    assert nearly.seed == pytest.approx(complete.seed, rel=0.03)


def test_row_variances_are_unbiased() -> None:
    """Averaged over tables, each row's own estimate is its variance, with cells missing and one row noisier."""
    rng = np.random.default_rng(3)
    sd = np.array([1.0, 1.0, 3.0, 1.0, 1.0, 1.0])
    found = []
    for _ in range(1500):
        table = rng.normal(size=(6, 6)) * sd[:, None] + 5 * rng.normal(size=6)
        for cell in UNBALANCED:
            table[cell] = np.nan
        found.append(row_variances._own_variances(table, np.ones(6), paired=True)[0])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    # A row's estimate cannot be negative, which lifts the mean of quiet rows beside a noisy one.
    assert (abs(mean - sd**2) < 4 * error + 0.1).all()


@pytest.mark.parametrize(("df", "strictest"), [(2.0, 0.2), (4.0, 0.05), (9.0, 0.01)])
def test_the_check_is_less_strict_where_a_variance_is_hardly_known(df: float, strictest: float) -> None:
    """Level by degrees of freedom: every fifth row at 3 seeds, one in twenty at 5, one in a hundred at 10."""
    assert row_variances.levels(np.array([df]))[0] == pytest.approx(strictest, abs=0.005)


# ---------------------------------------------------------------- simultaneous limits


@pytest.mark.parametrize("df", [1.0, 2.0, 7.5, 34.0, 1e5])
@pytest.mark.parametrize("loadings", [(0.7,), (0.7, 0.7, 0.7), (0.2, 0.6, 0.95), (0.0, 0.0)])
def test_tails_are_those_of_the_multivariate_t(loadings: tuple[float, ...], df: float) -> None:
    """Against scipy's integration over as many dimensions as rows; limits are where the tail is 5%."""
    b = np.array(loadings)
    shape = np.outer(b, b) + np.diag(1 - b**2)
    (limit,) = simultaneous.critical_values(np.array([df]), b, 0.95)
    for at, expected in ((limit, 0.05), (1.5, None)):
        limits = np.full(len(b), at)
        beyond = 1 - stats.multivariate_t(shape=shape, df=df, seed=1).cdf(limits, lower_limit=-limits, maxpts=200_000)
        ours = simultaneous.tail(np.array([at]), np.array([df]), b)[0]
        assert ours == pytest.approx(beyond, abs=1e-4)
        if expected is not None:
            assert ours == pytest.approx(expected, abs=1e-9)


def test_one_difference_has_students_limit() -> None:
    """No family, no correction; the p value of a t test, down to where it is one in a million."""
    for df in (1.0, 2.0, 4.0, 28.0, 400.0):
        assert simultaneous.critical_values(np.array([df]), np.zeros(1), 0.95)[0] == pytest.approx(
            stats.t.isf(0.025, df), rel=1e-5
        )
        limit = stats.t.isf(5e-7, df)
        assert simultaneous.tail(np.array([limit]), np.array([df]), np.zeros(1))[0] == pytest.approx(1e-6, rel=0.02)


@pytest.mark.parametrize("loadings", [(0.1, 0.5, 0.8), (0.7, 0.7), (0.3, 0.9, 0.6, 0.6)])
def test_a_one_factor_correlation_is_found_again(loadings: tuple[float, ...]) -> None:
    """The product of the loadings found is the correlation it was made from."""
    b, sd = np.array(loadings), np.arange(1.0, len(loadings) + 1)
    correlation = np.outer(b, b) + np.diag(1 - b**2)
    found = simultaneous.common_factor(correlation * np.outer(sd, sd))
    apart = ~np.eye(len(b), dtype=bool)
    assert np.outer(found, found)[apart] == pytest.approx(correlation[apart], abs=1e-4)


def test_the_one_factor_form_is_close_where_cells_are_missing() -> None:
    """The whole covariance of an unbalanced table's differences, integrated by scipy, gives nearly the same tail."""
    table = table_of(drawn(7, 6, missing=UNBALANCED, rng_seed=11))
    patterns = mixed_model.patterns_of(table)
    precision = mixed_model.precisions(patterns, np.ones(7), 2.0)
    against = np.hstack([-np.ones((6, 1)), np.eye(6)])
    covariance = against @ mixed_model.means_covariance(patterns, precision) @ against.T
    sd = np.sqrt(np.diag(covariance))
    loadings = simultaneous.common_factor(covariance)
    (limit,) = simultaneous.critical_values(np.array([24.0]), loadings, 0.95)
    limits = np.full(6, limit)
    exact = stats.multivariate_t(shape=covariance / np.outer(sd, sd), df=24, seed=1)
    assert 1 - exact.cdf(limits, lower_limit=-limits) == pytest.approx(0.05, abs=1e-3)


def test_degrees_of_freedom_of_a_row_with_its_own_variance_are_few() -> None:
    """Between its own and the pool's, near its own where it is much noisier."""
    rng = np.random.default_rng(2)
    table = table_of(drawn(10, 6, rng_seed=1)).copy()
    table[4] += 20 * rng.normal(size=6)
    found = differences.estimate(table, confidence=0.95, paired=True)
    assert found.variances is not None and found.variances.own[4]
    assert 4.9 < found.df[3] < 6
    assert (found.df[~found.variances.own[1:]] > 30).all()


def test_the_baselines_name_sorts_first() -> None:
    """What `table_of` relies on."""
    assert drawn(3, 2).pivot(index="row", columns="seed", values="score").index[0] == BASELINE
