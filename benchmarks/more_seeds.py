"""Seeds that a table names, and seeds added after looking, against a known truth.

python -m benchmarks.more_seeds [tables=2000] [first_seed=0]

The first block: how often a row is decided at the number that is named for it, and at one seed less. The second: tables
without any true difference that are looked at again and again, and how many hold an error by the end.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.measure import print_table
from experiments.analysis.model import differences
from experiments.analysis.model.mixed_model import Array, Variances
from experiments.analysis.model.more_seeds import Mask, Plan, grown
from experiments.analysis.model.power import POWER
from experiments.analysis.model.row_variances import NOISIER, RowVariances
from experiments.analysis.significance import UNDECIDED, verdict

CONFIDENCE = 0.95
ROW = 1  # that is asked about; row 0 is the baseline
DEFAULT_TABLES = 2_000
DELTA = 0.5  # residual standard deviations: at the desk scale a point is 0.55
FEWER = 4  # times fewer tables for what takes longest
LAST_LOOK = 20  # seeds: where whoever looks gives up


@dataclass(frozen=True)
class Design:
    """A table as it stands, and what is true of it; the residual's standard deviation is one."""

    name: str
    difference: float
    rows: int = 18  # with the baseline
    seeds: int = 5
    of_row: int | None = None  # seeds of the row that is asked about, where they are others
    of_baseline: int | None = None
    seed_sd: float = 1.0
    noisy: tuple[int, ...] = ()  # rows with three times the standard deviation

    def plan(self) -> Plan:
        """The plan for this table, were its estimates the truth."""
        each = np.full(self.rows, self.seeds)
        each[ROW] = self.of_row or self.seeds
        each[0] = self.of_baseline or self.seeds
        has = np.arange(each.max()) < each[:, None]
        own = np.isin(np.arange(self.rows), self.noisy)
        nothing = np.ones(self.rows)
        pool = Variances(self.seed_sd**2, 1.0, np.zeros((2, 2)), 1.0)
        true = RowVariances(pool, np.where(own, NOISIER**2, 1.0), nothing, own, nothing)
        differences_ = np.where(np.arange(1, self.rows) == ROW, self.difference, 0.0)
        return Plan(has, differences_, true, DELTA, CONFIDENCE, paired=True)

    def decided(self, seeds: int, *, tables: int, first_seed: int = 0) -> float:
        """The share of tables with so many seeds of the row in which it is decided."""
        plan = self.plan()
        cells = grown(plan.has, ROW, seeds)
        verdicts = []
        for table in self._tables(cells, plan.variances.residual, tables=tables, first_seed=first_seed):
            found = differences.estimate(table, confidence=CONFIDENCE, paired=True)
            verdicts.append(verdict(found.low[ROW - 1], found.high[ROW - 1], DELTA))
        return float(np.mean([one != UNDECIDED for one in verdicts]))

    def _tables(self, cells: Mask, residual: Array, *, tables: int, first_seed: int) -> Iterator[Array]:
        for number in range(tables):
            rng = np.random.default_rng([first_seed + number, *cells.shape])
            table = rng.normal(size=cells.shape) * np.sqrt(residual)[:, None]
            table += self.seed_sd * rng.normal(size=cells.shape[1])
            table[ROW] += self.difference
            yield np.where(cells, table, np.nan)


DESIGNS = (
    Design("5 seeds of all", 1.5),
    Design("3 seeds of all", 2.3, seeds=3),
    Design("5 seeds, 15 of the baseline, hardly a seed effect", 1.5, of_baseline=15, seed_sd=0.3),
    Design("4 seeds of the row, 8 of the baseline, 6 of others", 1.4, seeds=6, of_row=4, of_baseline=8),
    Design("6 rows, 5 seeds, hardly a difference", 0.1, rows=6),
    Design("6 rows, 5 seeds, a noisy row", 4.5, rows=6, noisy=(ROW,)),
    Design("6 rows, 5 seeds, a noisy baseline", 4.5, rows=6, noisy=(0,)),
)


def looked_again(first: int, *, rows: int = 18, last: int = LAST_LOOK, tables: int, first_seed: int = 0) -> Array:
    """The share of tables with an error by each look (L,): all rows at `first` seeds, at one more, ... at `last`.

    A row that is decided stays so. No row truly differs, so one that hurts or helps is an error; `harmless` is none.
    """
    wrong_at = np.full(tables, np.inf)
    for number in range(tables):
        rng = np.random.default_rng([first_seed + number, last])
        table = rng.normal(size=(rows, last)) + rng.normal(size=last)
        undecided = np.ones(rows - 1, dtype=bool)
        for seeds in range(first, last + 1):
            found = differences.estimate(table[:, :seeds], confidence=CONFIDENCE, paired=True)
            sure = (found.low > 0) | (found.high < 0)
            if (sure & undecided).any():
                wrong_at[number] = seeds
                break
            undecided &= (found.low < -DELTA) | (found.high > DELTA)
            if not undecided.any():
                break
    return np.array([(wrong_at <= seeds).mean() for seeds in range(first, last + 1)])


def followed(first: int, *, rows: int = 18, last: int = LAST_LOOK, tables: int, first_seed: int = 0) -> float:
    """The share of tables with an error where each undecided row gets the seeds that are named for it, and again.

    All rows and the baseline begin at `first` seeds. A row for which more than `last` seeds are named is left as it is.
    """
    wrong = 0
    for number in range(tables):
        rng = np.random.default_rng([first_seed + number, last])
        scores = rng.normal(size=(rows, last)) + rng.normal(size=last)
        has = np.broadcast_to(np.arange(last) < first, scores.shape).copy()
        undecided = np.ones(rows - 1, dtype=bool)
        while undecided.any():
            table = np.where(has, scores, np.nan)[:, has.any(axis=0)]
            found = differences.estimate(table, confidence=CONFIDENCE, paired=True)
            if (((found.low > 0) | (found.high < 0)) & undecided).any():
                wrong += 1
                break
            undecided &= (found.low < -DELTA) | (found.high > DELTA)
            assert found.variances is not None
            plan = Plan(~np.isnan(table), found.difference, found.variances, DELTA, CONFIDENCE, paired=True)
            named = {row: plan.seeds_needed(row, power=POWER, most=last) for row in np.flatnonzero(undecided) + 1}
            wanted = {row: seeds for row, seeds in named.items() if seeds is not None}
            if not wanted:
                break
            for row, seeds in wanted.items():
                has[[0, row], :seeds] = True
    return wrong / tables


def main(words: list[str]) -> None:
    """Both blocks."""
    given = dict(word.split("=", 1) for word in words)
    tables, first_seed = int(given.pop("tables", DEFAULT_TABLES)), int(given.pop("first_seed", 0))
    if given:
        sys.exit(f"error: unknown {', '.join(given)}; allowed: tables, first_seed")
    print(f"{tables:,} tables a figure, residual sd 1, harmless within {DELTA:g}")
    lines = []
    for design in DESIGNS:
        plan = design.plan()
        named = plan.seeds_needed(ROW, power=POWER)
        assert named is not None
        cells = [design.name, f"{design.difference:g}", str(named)]
        for seeds in (named, named - 1):
            planned = plan.outlook(ROW, seeds).decides(design.difference, DELTA)
            found = design.decided(seeds, tables=tables, first_seed=first_seed)
            cells.append(f"{100 * found:.1f} ({100 * planned:.1f})")
        lines.append(cells)
        print(f"{design.name}: done", file=sys.stderr, flush=True)
    print_table(["a row's seeds for 80%", "difference", "named", "decided % there (planned)", "at one less"], lines)
    print()
    looks = []
    for first in (3, 5):
        by_look = looked_again(first, tables=tables, first_seed=first_seed)
        at = {look: by_look[look - first] for look in (first, 8, 12, LAST_LOOK)}
        looks.append([f"from {first} seeds", *(f"{100 * share:.1f}" for share in at.values())])
        print(f"looks from {first}: done", file=sys.stderr, flush=True)
    print_table(["a look after each seed: family error %", "first look", "by 8", "by 12", f"by {LAST_LOOK}"], looks)
    print()
    each = tables // FEWER
    share = [
        [f"from {first} seeds", f"{100 * followed(first, tables=each, first_seed=first_seed):.1f}"] for first in (3, 5)
    ]
    print_table([f"the named seeds, up to {LAST_LOOK}: family error %", f"of {each:,} tables"], share)


if __name__ == "__main__":
    main(sys.argv[1:])
