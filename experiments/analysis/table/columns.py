"""The score columns of a table: the published table's, then those that only its runs have."""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, TypedDict

from experiments.evaluation.benchmark import published
from experiments.store.columns import Column, further_columns
from experiments.store.stored_run import StoredRun

if TYPE_CHECKING:
    from experiments.analysis.table.plain_table import PlainTable


class PlainColumn(TypedDict):
    """A column as plain data in a table's object."""

    name: str
    metric: str
    label: str
    measure: str
    graded: bool
    in_overall: bool


@cache
def published_columns() -> tuple[Column, ...]:
    """The columns of the published table."""
    return tuple(benchmark.column() for benchmark in published())


def columns_of(table: "PlainTable") -> tuple[Column, ...]:
    """The columns of a table, in its order."""
    return tuple(Column(**column) for column in table.get("columns", ())) or published_columns()


def columns_of_run(run: StoredRun) -> tuple[Column, ...]:
    """The columns that a run may have scores for; needs none of the benchmarks' code."""
    return (*published_columns(), *further_columns(run))


def columns_of_runs(runs: Iterable[StoredRun]) -> tuple[Column, ...]:
    """The columns of several runs: the published table's, then others by name.

    If two runs label a metric differently, the newest run's label is used.
    """
    further: dict[str, Column] = {}
    for run in sorted(runs, key=lambda run: (run.ended, run.run_id)):
        further |= {column.metric: column for column in further_columns(run)}
    return (*published_columns(), *(further[metric] for metric in sorted(further)))


def uncounted_in_words(columns: Iterable[Column]) -> str:
    """`Overall without ...`; empty if every column is part of Overall."""
    labels = [column.label for column in columns if not column.in_overall]
    return f"Overall without {', '.join(labels)}" if labels else ""


def plain(columns: Iterable[Column]) -> list[PlainColumn]:
    """The columns as plain data for a table's object."""
    return [
        PlainColumn(
            name=column.name,
            metric=column.metric,
            label=column.label,
            measure=column.measure,
            graded=column.graded,
            in_overall=column.in_overall,
        )
        for column in columns
    ]
