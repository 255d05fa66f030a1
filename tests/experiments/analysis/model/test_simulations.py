"""In simulated tables whose truth is known, intervals err as rarely as they say, and no rarer than they must."""

from functools import cache

import numpy as np
import pytest

from benchmarks.simulations import NOISY_ROWS, Scenario, Tally, simulate

TABLES = 4_000
MONTE_CARLO = np.sqrt(0.05 * 0.95 / TABLES)

ALIKE = Scenario("all rows alike")
NOISIER = Scenario("two rows 3x noisier", noisy=NOISY_ROWS)


@cache
def simulated(scenario: Scenario, seeds: int) -> Tally:
    """Counts over these tables, drawn once for all tests."""
    return simulate(scenario, seeds, tables=TABLES)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_family_error_and_coverage_of_a_table(seeds: int) -> None:
    """17 rows and a baseline, all alike: at most 5% of tables have an error (and Monte-Carlo error), 93 to 97% none."""
    error = simulated(ALIKE, seeds).family_error
    assert error <= 0.05 + 2 * MONTE_CARLO
    assert abs((1 - error) - 0.95) <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_family_error_with_two_noisier_rows(seeds: int) -> None:
    """Two rows with three times the standard deviation: at most 7% of tables have an error, where pooling has 15%."""
    assert simulated(NOISIER, seeds).family_error <= 0.07


@pytest.mark.slow
def test_planned_power_is_had() -> None:
    """At 10 seeds a difference planned to be seen with 80% is seen in 80% of tables, less what the check costs."""
    assert np.mean(simulated(ALIKE, 10).seen) == pytest.approx(0.8, abs=0.03)


def test_simulated_tables_are_as_the_scenario_says() -> None:
    """Missing cells leave every row at least one seed, and extra seeds are the baseline's alone."""
    scenario = Scenario("all of it", missing=0.7, extra_baseline=4)
    for table in scenario.tables(3, tables=50, first_seed=1):
        assert (~np.isnan(table)).any(axis=1).all()
        assert np.isnan(table[1:, -4:]).all() and not np.isnan(table[0, -4:]).any()
