"""One row as every format and screen shows it: each derived number, word and flag, computed in one place.

Formats and screens only lay out a row and format its numbers; they do no comparisons themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from experiments.analysis.table import columns
from experiments.analysis.table.plain_table import Part, PlainTable, Row, Score, is_over_examples
from experiments.analysis.table.published_view import PublishedView, published_score, published_view
from experiments.analysis.table.row_words import PAIRED, answer, label_of, over, setting_of
from experiments.analysis.table.step_times import shown_step_time_s
from experiments.published.table3 import BASELINE
from experiments.store.names import OVERALL

if TYPE_CHECKING:
    from experiments.analysis.table.load import Table


@dataclass(frozen=True)
class ScoreView:
    """One score column of one row, in points. Unknown values are None."""

    metric: str
    label: str
    mean: float | None
    difference: float | None  # from our baseline, with its 95% interval; None for the baseline
    low: float | None
    high: float | None
    blind: float | None
    vision: Part | None
    language: Part | None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval."""
        return _half(self.low, self.high)


@dataclass(frozen=True)
class RowView:
    """One row. `row` is its object as `--json` prints it. Unknown numbers are None, unknown words empty.

    Without a `stored` table, as for the printed row, unreadable files are not reported.
    """

    row: Row
    baseline: "RowView | None"  # of the same table; None for the baseline itself
    table: PlainTable
    stored: "Table | None"

    @property
    def name(self) -> str:
        """The ablation's name, or several joined by `+`."""
        return self.row["row"]

    @property
    def is_baseline(self) -> bool:
        """Whether this is the row that all others are compared with."""
        return self.name == BASELINE

    @cached_property
    def scores(self) -> tuple[ScoreView, ...]:
        """The scores, in the order of the table's columns."""
        return tuple(
            _score(one.metric, one.label, self.row["scores"].get(one.metric)) for one in columns.columns_of(self.table)
        )

    @cached_property
    def overall(self) -> ScoreView:
        """The Overall score, on which the verdict is based."""
        return _score(OVERALL, "Overall", self.row["overall"])

    @property
    def all_scores(self) -> tuple[ScoreView, ...]:
        """The score columns, with Overall last."""
        return (*self.scores, self.overall)

    @property
    def group(self) -> str:
        """`i` to `viii`, `baseline` or `combination`; for the user's own row, the group its file names, or its name."""
        return self.row["group"]

    @property
    def n(self) -> int:
        """The number of seeds with runs."""
        return self.row["n"]

    @cached_property
    def published(self) -> PublishedView | None:
        """The paper's row with this name; None if it has none."""
        return published_view(self.name, columns.columns_of(self.table))

    @property
    def published_difference(self) -> float | None:
        """The paper's Overall difference from its baseline."""
        return published_score(self.name, OVERALL).difference

    # words

    @property
    def setting(self) -> tuple[str, str]:
        """Group and setting, and the original value; equal for all rows under one heading."""
        return setting_of(self.name, self.group)

    @property
    def heading(self) -> str:
        """The setting as one text: `(v) Cross-attention frequency: Every ->`, with an arrow."""
        title, original = self.setting
        return f"{title}: {original} \u2192" if original else title

    @property
    def label(self) -> str:
        """The changed value in the paper's words."""
        return label_of(self.name)

    @property
    def answer(self) -> str:
        """The verdict, or worse, better, unclear; empty for the baseline and if nothing is stored."""
        return "" if self.is_baseline or not self.n else answer(self.row["overall"])

    @property
    def over(self) -> str:
        """`95% over seeds` or `95% over examples`; empty without an interval."""
        return "" if self.overall.low is None else over(self.row["overall"])

    @property
    def is_over_examples(self) -> bool:
        """Whether the row's intervals are over the examples of one training run."""
        return is_over_examples(self.row["overall"])

    @property
    def pairing(self) -> str:
        """`paired`, `NOT PAIRED` or `no certificate`; empty for the baseline and if nothing is stored."""
        return "" if self.is_baseline or not self.n else PAIRED[self.row["certificate"]]

    # flags

    @property
    def verdict(self) -> str | None:
        """Hurts, helps, harmless or undecided."""
        return self.row["overall"]["verdict"]

    @property
    def seeds_needed(self) -> int | None:
        """The number of seeds that would probably decide an undecided row."""
        return self.row["overall"]["seeds_needed"]

    @property
    def has_borrowed_noise(self) -> bool:
        """Whether the interval uses other rows' noise, because the row has one run and no verdict of its own."""
        return self.row["overall"].get("borrowed_noise", False)

    @property
    def is_unpaired(self) -> bool:
        """Whether there are undeclared differences from the baseline."""
        return self.row["certificate"] == "differs"

    @property
    def broken(self) -> str | None:
        """Why the row's files cannot be read; None if they can."""
        return None if self.stored is None else self.stored.broken.get(self.name)

    @property
    def is_stored(self) -> bool:
        """Whether we have numbers for this row."""
        return self.n > 0 and self.broken is None

    @property
    def is_short(self) -> bool:
        """Whether the row lacks some of the table's seeds."""
        return self.n < self.wanted

    @property
    def wanted(self) -> int:
        """The number of the table's seeds."""
        return len(self.table["seeds"])

    @cached_property
    def command(self) -> str | None:
        """The command that runs the missing seeds, or reruns unreadable ones."""
        return None if self.stored is None else self.stored.fill_command(self.name)

    @property
    def missing_seeds(self) -> list[int]:
        """The table's seeds for which the row has no run."""
        return [] if self.stored is None else self.stored.missing_seeds(self.name)

    @property
    def unverified(self) -> list[str]:
        """Ids of the row's runs that were stored without hashes."""
        runs = {} if self.stored is None else self.stored.runs.get(self.name, {})
        return [run.run_id for run in runs.values() if not run.verified]

    @property
    def other_design_runs(self) -> int:
        """The number of runs with this row's name but another spec, left out of the table."""
        others = self.table["left_out"]["other_designs"]
        return sum(one["runs"] for one in others if one["row"] == self.name)

    # costs

    @property
    def params_difference(self) -> float | None:
        """Number of parameters minus the baseline's."""
        return self._minus_baseline("params_total")

    @property
    def trained_difference(self) -> float | None:
        """Number of trained parameters minus the baseline's."""
        return self._minus_baseline("params_trainable")

    def _minus_baseline(self, key: Literal["params_total", "params_trainable"]) -> float | None:
        ours, theirs = self.row[key], None if self.baseline is None else self.baseline.row[key]
        return None if ours is None or theirs is None else ours - theirs

    @property
    def step_time_s(self) -> float | None:
        """The step time in the rounds of the ratio; None if the baseline's step time in these rounds is not stored."""
        return shown_step_time_s(self.row, is_baseline=self.is_baseline)

    @property
    def paired_step_time_s(self) -> float | None:
        """The baseline's step time in the rounds of the ratio."""
        return self.row["paired_baseline_step_time_s"]

    @property
    def baseline_step_time_s(self) -> float | None:
        """The baseline's step time to show beside the row's: from the same rounds, else from its own timing."""
        own = None if self.baseline is None else self.baseline.row["step_time_s"]
        return own if self.paired_step_time_s is None else self.paired_step_time_s

    @property
    def ratio_half_width(self) -> float | None:
        """Half the width of the step time ratio's interval."""
        return _half(self.row["step_time_ratio_low"], self.row["step_time_ratio_high"])


def views(table: PlainTable, stored: "Table | None" = None) -> list[RowView]:
    """The rows of a table, in its order; `stored` is the table with its runs, if available."""
    base = next((RowView(row, None, table, stored) for row in table["rows"] if row["row"] == BASELINE), None)
    return [
        base if base is not None and row is base.row else RowView(row, base, table, stored) for row in table["rows"]
    ]


def _score(metric: str, label: str, known: Score | None) -> ScoreView:
    score: Mapping[str, Any] = known or {}
    return ScoreView(
        metric=metric,
        label=label,
        mean=score.get("mean"),
        difference=score.get("difference"),
        low=score.get("low"),
        high=score.get("high"),
        blind=score.get("blind"),
        vision=score.get("vision"),
        language=score.get("language"),
    )


def _half(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else (high - low) / 2
