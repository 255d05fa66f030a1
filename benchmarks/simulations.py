"""Intervals of a table against a known truth: simulated tables of 17 rows and a baseline.

python -m benchmarks.simulations [tables=20000] [first_seed=0]

Every row is as good as the baseline, so any interval without zero is an error. A difference that is added to a row
moves its interval by as much: power comes from the same tables, and coverage is what the family error leaves of 100%.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.measure import print_table
from experiments.analysis.model import differences, power
from experiments.analysis.model.mixed_model import Array
from experiments.analysis.model.row_variances import NOISIER

ROWS = 17
NUM_SEEDS = 3, 5, 10
NOISY_ROWS = 4, 11  # of all rows but the baseline, which is row 0
CONFIDENCE = 0.95
DEFAULT_TABLES = 20_000


@dataclass(frozen=True)
class Scenario:
    """How tables are drawn; the residual's standard deviation is one."""

    name: str
    seed_sd: float = 1.0
    noisy: tuple[int, ...] = ()  # rows with three times the standard deviation
    missing: float = 0.0  # chance that a cell was not run
    extra_baseline: int = 0  # seeds that only the baseline has

    def tables(self, seeds: int, *, tables: int, first_seed: int) -> Iterator[Array]:
        """Tables (R, S), each from a seed of its own."""
        sd = np.ones((ROWS + 1, 1))
        sd[list(self.noisy)] = NOISIER
        for number in range(tables):
            rng = np.random.default_rng([first_seed + number, seeds])
            num_seeds = seeds + self.extra_baseline
            table = rng.normal(size=(ROWS + 1, num_seeds)) * sd + self.seed_sd * rng.normal(size=num_seeds)
            table[1:, seeds:] = np.nan
            gone = rng.random((ROWS + 1, seeds)) < self.missing
            gone[gone.all(axis=1), 0] = False  # a row has at least one seed
            table[:, :seeds][gone] = np.nan
            yield table[:, ~np.isnan(table).all(axis=0)]


SCENARIOS = (
    Scenario("all rows alike"),
    Scenario("no seed effect", seed_sd=0.0),
    Scenario("two rows 3x noisier", noisy=NOISY_ROWS),
    Scenario("the baseline 3x noisier", noisy=(0,)),
    Scenario("a tenth of the cells missing", missing=0.1),
    Scenario("9 more baseline seeds, no seed effect", seed_sd=0.0, extra_baseline=9),
)


@dataclass
class Tally:
    """Counts over simulated tables."""

    errors: list[bool] = field(default_factory=list)  # whether any interval of a table misses the truth
    noisy_errors: list[bool] = field(default_factory=list)  # whether one of a noisier row does
    seen: list[float] = field(default_factory=list)  # share of the other rows that would be seen to differ by `truth`
    half_width: list[float] = field(default_factory=list)  # of the median row
    own: list[float] = field(default_factory=list)  # share of the other rows judged by a variance of their own

    @property
    def family_error(self) -> float:
        """The share of tables with an error."""
        return float(np.mean(self.errors))

    @property
    def standard_error(self) -> float:
        """The Monte-Carlo error of a share near 5%."""
        return float(np.sqrt(0.05 * 0.95 / len(self.errors)))


def simulate(scenario: Scenario, seeds: int, *, tables: int, first_seed: int = 0) -> Tally:
    """Draw the tables and judge each as `compare` does."""
    truth = power.detectable(1.0, rows=ROWS, seeds=seeds)
    noisy = np.isin(np.arange(1, ROWS + 1), scenario.noisy)
    tally = Tally()
    for table in scenario.tables(seeds, tables=tables, first_seed=first_seed):
        found = differences.estimate(table, confidence=CONFIDENCE, paired=True)
        assert truth is not None and found.variances is not None
        missed = (found.low > 0) | (found.high < 0)
        tally.errors.append(bool(missed.any()))
        tally.noisy_errors.append(bool(missed[noisy].any()))
        tally.seen.append(float((found.low + truth > 0)[~noisy].mean()))
        tally.half_width.append(float(np.median(found.high - found.low) / 2))
        tally.own.append(float(found.variances.own[1:][~noisy].mean()))
    return tally


def main(words: list[str]) -> None:
    """All scenarios at all numbers of seeds."""
    given = dict(word.split("=", 1) for word in words)
    tables, first_seed = int(given.pop("tables", DEFAULT_TABLES)), int(given.pop("first_seed", 0))
    if given:
        sys.exit(f"error: unknown {', '.join(given)}; allowed: tables, first_seed")
    print(f"{ROWS} rows and a baseline, {tables:,} tables a line, residual sd 1, {CONFIDENCE:.0%} intervals")
    rows = []
    for scenario in SCENARIOS:
        for seeds in NUM_SEEDS:
            tally = simulate(scenario, seeds, tables=tables, first_seed=first_seed)
            truth = power.detectable(1.0, rows=ROWS, seeds=seeds)
            rows.append(
                [
                    scenario.name if seeds == NUM_SEEDS[0] else "",
                    str(seeds),
                    f"{100 * tally.family_error:.2f} +-{100 * tally.standard_error:.2f}",
                    f"{100 * np.mean(tally.noisy_errors):.2f}" if scenario.noisy and 0 not in scenario.noisy else "",
                    f"{100 * (1 - tally.family_error):.2f}",
                    f"{np.median(tally.half_width):.2f}",
                    f"{100 * np.mean(tally.seen):.0f} at {truth:.2f}",
                    f"{100 * np.mean(tally.own):.1f}",
                ]
            )
            print(f"{scenario.name}, {seeds} seeds: done", file=sys.stderr, flush=True)
    header = ["", "seeds", "family error %", "noisy rows", "coverage %", "half width", "power %", "own variance %"]
    print_table(header, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
