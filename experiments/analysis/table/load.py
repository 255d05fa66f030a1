"""A scale's stored runs as a table: printed by `report`, shown in the dashboard, read in a notebook as a data frame."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.analysis.table import pair_cache
from experiments.analysis.table.build import Evidence, build
from experiments.analysis.table.plain_table import PlainTable
from experiments.analysis.table.published_view import published_score
from experiments.analysis.table.select import select
from experiments.published import table3
from experiments.published.table3 import BASELINE, HARMLESS_POINTS
from experiments.store import damage
from experiments.store.commands import command, origin
from experiments.store.damage import UNREADABLE as UNREADABLE
from experiments.store.names import OVERALL
from experiments.store.stored_run import StoredRun

if TYPE_CHECKING:
    import pandas as pd

    from experiments.analysis.table.row_view import RowView

DEFAULT_SCALE = "desk"  # repeats `conf/config.yaml`, because reading that file would import flamingo_core


@dataclass(frozen=True)
class Table:
    """A scale's table, its runs by row and seed, and per row the reason why files could not be read.

    >>> Table.load(scale="desk").effects()  # doctest: +SKIP
    """

    table: PlainTable  # the object that `--json` prints
    runs: dict[str, dict[int, StoredRun]]
    broken: dict[str, str]
    behind: dict[str, dict[int, StoredRun]] = field(default_factory=dict)  # rows not shown but used for the noise
    evidence: Callable[[], AbstractContextManager[Evidence]] = pair_cache.opened

    @classmethod
    def load(
        cls,
        scale: str = DEFAULT_SCALE,
        *,
        rows: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
        baseline_seeds: Sequence[int] = (),
        finished: Iterable[StoredRun] | None = None,
        delta: float = HARMLESS_POINTS,
        evidence: Callable[[], AbstractContextManager[Evidence]] = pair_cache.opened,
    ) -> "Table":
        """Load the comparable runs of a scale; with an empty store, the published numbers only.

        `rows` are shown beside the baseline, by default all published rows and all other stored ones. Stored rows that
        are not shown still count in the noise estimate.
        `seeds` are by default those of any of these rows, and for the baseline all it has; `baseline_seeds` are
        additional seeds of the baseline.
        `finished` are all finished runs in any order, if already read; `evidence` gives facts about run pairs. A
        difference within `delta` Overall points is harmless.

        Raises:
            StoreError: the store exists but cannot be read.
        """
        chosen = select(scale, finished)
        if rows is None:
            rows = [*table3.rows(), *(run.row for run in chosen.runs)]
        names = list(dict.fromkeys([BASELINE, *rows]))
        kept = list(chosen.runs)
        if seeds is None:
            # seeds that only an older design of a row has count as missing
            of_rows = [run for run in (*chosen.runs, *chosen.other_designs) if run.row in set(names)]
            baseline_seeds = sorted({run.seed for run in chosen.runs if run.row == BASELINE})
            seeds = sorted({run.seed for run in of_rows if run.row != BASELINE}) or baseline_seeds or [0]
        else:
            of_baseline = {*seeds, *baseline_seeds}
            kept = [run for run in kept if run.seed in (of_baseline if run.row == BASELINE else set(seeds))]

        def made_of(runs: Sequence[StoredRun], names: list[str]) -> PlainTable:
            return build(
                runs,
                scale=scale,
                seeds=seeds,
                baseline_seeds=baseline_seeds,
                rows=names,
                left_out=chosen.left_out,
                other_designs=chosen.other_designs,
                delta=delta,
                evidence=evidence,
            )

        broken: dict[str, str] = {}
        try:
            built = made_of(kept, names)
        except UNREADABLE:  # unreadable files of one row must not hide the others: find that row
            for name in dict.fromkeys([*names, *(run.row for run in kept)]):
                try:
                    made_of([run for run in kept if run.row in (name, BASELINE)], [name])
                except UNREADABLE as error:
                    broken[name] = damage.in_words(error)
            kept = [run for run in kept if run.row not in broken]
            built = made_of(kept, names)
        shown: dict[str, dict[int, StoredRun]] = {}
        behind: dict[str, dict[int, StoredRun]] = {}
        for run in kept:
            (shown if run.row in names else behind).setdefault(run.row, {})[run.seed] = run
        return cls(built, shown, broken, behind, evidence)

    def views(self) -> "list[RowView]":
        """The rows as formats and screens show them."""
        from experiments.analysis.table.row_view import views

        return views(self.table, self)

    def missing_seeds(self, name: str) -> list[int]:
        """The table's seeds for which a row has no run."""
        return [seed for seed in self.table["seeds"] if seed not in self.runs.get(name, {})]

    def fill_command(self, name: str) -> str | None:
        """The command that runs a row's missing seeds, or reruns unreadable ones; None if nothing is missing."""
        missing = self.missing_seeds(name)
        if not missing:
            return None
        runs = self.runs.get(name, {})
        further = origin(name, [*runs.values(), *self.runs.get(BASELINE, {}).values()])
        again = "rerun=true" if name in self.broken else ""
        return command(name, scale=self.table["scale"], seeds=missing, overrides=again, **further)

    def effects(self) -> "pd.DataFrame":
        """One line per row and score, Overall last: mean, difference from the baseline with its interval, blind twin.

        `published` and `published_difference` are the paper's; unknown values are missing.
        """
        import pandas as pd

        lines: list[dict[str, Any]] = []
        for row in self.table["rows"]:
            for metric, score in (*row["scores"].items(), (OVERALL, row["overall"])):
                paper = published_score(row["row"], metric)
                lines.append(
                    {
                        "row": row["row"],
                        "group": row["group"],
                        "metric": metric,
                        "n": row["n"],
                        **score,
                        "published": paper.level,
                        "published_difference": paper.difference,
                    }
                )
        return pd.DataFrame(lines)
