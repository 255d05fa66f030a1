"""The columns of scores that a table has: those of the five published benchmarks."""

from experiments.analysis.table.build import PlainTable
from experiments.store.names import BENCHMARKS, Benchmark


def columns_of(table: PlainTable) -> tuple[Benchmark, ...]:
    """Name, metric, label and measure of each benchmark of a table, in its order."""
    return BENCHMARKS
