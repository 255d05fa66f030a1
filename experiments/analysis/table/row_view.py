"""One row as every format and screen shows it: each derived figure, word and flag, worked out once.

Formats and screens lay a row out and write its numbers as text; they compare nothing themselves.
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
    """One column of scores in one row, in points. What is not known is None."""

    metric: str
    label: str
    mean: float | None
    difference: float | None  # from our baseline, with its 95% interval; of the baseline None
    low: float | None
    high: float | None
    blind: float | None
    vision: Part | None
    language: Part | None

    @property
    def half_width(self) -> float | None:
        """Half the interval."""
        return _half(self.low, self.high)


@dataclass(frozen=True)
class RowView:
    """One row. `row` is its object as `--json` prints it. A figure that is not known is None, a word is empty.

    Without a `stored` table, as for the printed row, nothing is known of files that cannot be read.
    """

    row: Row
    baseline: "RowView | None"  # of the same table; None for the baseline itself
    table: PlainTable
    stored: "Table | None"

    @property
    def name(self) -> str:
        """The ablation, or several joined by `+`."""
        return self.row["row"]

    @property
    def is_baseline(self) -> bool:
        """Whether all others are compared with it."""
        return self.name == BASELINE

    @cached_property
    def scores(self) -> tuple[ScoreView, ...]:
        """In the order of the table's columns."""
        return tuple(
            _score(one.metric, one.label, self.row["scores"].get(one.metric)) for one in columns.columns_of(self.table)
        )

    @cached_property
    def overall(self) -> ScoreView:
        """Overall, which a verdict is of."""
        return _score(OVERALL, "Overall", self.row["overall"])

    @property
    def all_scores(self) -> tuple[ScoreView, ...]:
        """The columns of scores, and Overall at the end."""
        return (*self.scores, self.overall)

    @property
    def group(self) -> str:
        """`i` to `viii`, `baseline`, `combination`; of a row of our own the group that its file names, or its name."""
        return self.row["group"]

    @property
    def n(self) -> int:
        """The number of seeds that it has runs of."""
        return self.row["n"]

    @cached_property
    def published(self) -> PublishedView | None:
        """The paper's row of this name; None where it has none."""
        return published_view(self.name, columns.columns_of(self.table))

    @property
    def published_difference(self) -> float | None:
        """The paper's difference of Overall from its baseline."""
        return published_score(self.name, OVERALL).difference

    # words

    @property
    def setting(self) -> tuple[str, str]:
        """Group and setting, and the value that it changes; equal for the rows that stand under one heading."""
        return setting_of(self.name, self.group)

    @property
    def heading(self) -> str:
        """The setting as one text: `(v) Cross-attention frequency: Every ->`, with an arrow."""
        title, original = self.setting
        return f"{title}: {original} \u2192" if original else title

    @property
    def label(self) -> str:
        """The changed value as the paper has it."""
        return label_of(self.name)

    @property
    def answer(self) -> str:
        """The verdict, or worse, better, unclear; empty for the baseline and where nothing is stored."""
        return "" if self.is_baseline or not self.n else answer(self.row["overall"])

    @property
    def over(self) -> str:
        """`95% over seeds` or `95% over examples`; empty where it has no interval."""
        return "" if self.overall.low is None else over(self.row["overall"])

    @property
    def is_over_examples(self) -> bool:
        """Whether its intervals are over the examples of one training run."""
        return is_over_examples(self.row["overall"])

    @property
    def pairing(self) -> str:
        """`paired`, `NOT PAIRED` or `no certificate`; empty for the baseline and where nothing is stored."""
        return "" if self.is_baseline or not self.n else PAIRED[self.row["certificate"]]

    # flags

    @property
    def verdict(self) -> str | None:
        """Hurts, helps, harmless or undecided."""
        return self.row["overall"]["verdict"]

    @property
    def seeds_needed(self) -> int | None:
        """Seeds that would probably decide an undecided row."""
        return self.row["overall"]["seeds_needed"]

    @property
    def has_borrowed_noise(self) -> bool:
        """Whether its interval is of other rows' noise: it has one run and no verdict of its own."""
        return self.row["overall"].get("borrowed_noise", False)

    @property
    def is_unpaired(self) -> bool:
        """Whether something undeclared differs from the baseline."""
        return self.row["certificate"] == "differs"

    @property
    def broken(self) -> str | None:
        """Why its files cannot be read."""
        return None if self.stored is None else self.stored.broken.get(self.name)

    @property
    def is_stored(self) -> bool:
        """Whether there are figures of ours."""
        return self.n > 0 and self.broken is None

    @property
    def is_short(self) -> bool:
        """Whether it lacks some of the table's seeds."""
        return self.n < self.wanted

    @property
    def wanted(self) -> int:
        """The number of the table's seeds."""
        return len(self.table["seeds"])

    @cached_property
    def command(self) -> str | None:
        """The one command that runs what is missing, or again what cannot be read."""
        return None if self.stored is None else self.stored.fill_command(self.name)

    @property
    def missing_seeds(self) -> list[int]:
        """Seeds of the table that it has no run of."""
        return [] if self.stored is None else self.stored.missing_seeds(self.name)

    @property
    def unverified(self) -> list[str]:
        """Ids of its runs that carry no hashes."""
        runs = {} if self.stored is None else self.stored.runs.get(self.name, {})
        return [run.run_id for run in runs.values() if not run.verified]

    @property
    def other_design_runs(self) -> int:
        """Runs under its name that are of another spec, and left out of the table."""
        others = self.table["left_out"]["other_designs"]
        return sum(one["runs"] for one in others if one["row"] == self.name)

    # costs

    @property
    def params_difference(self) -> float | None:
        """Parameters minus the baseline's."""
        return self._minus_baseline("params_total")

    @property
    def trained_difference(self) -> float | None:
        """Trained parameters minus the baseline's."""
        return self._minus_baseline("params_trainable")

    def _minus_baseline(self, key: Literal["params_total", "params_trainable"]) -> float | None:
        ours, theirs = self.row[key], None if self.baseline is None else self.baseline.row[key]
        return None if ours is None or theirs is None else ours - theirs

    @property
    def step_time_s(self) -> float | None:
        """Its step time from the rounds that the ratio is of; None where the baseline's of these is not stored."""
        return shown_step_time_s(self.row, is_baseline=self.is_baseline)

    @property
    def paired_step_time_s(self) -> float | None:
        """The baseline's step time in the rounds that the ratio is of."""
        return self.row["paired_baseline_step_time_s"]

    @property
    def baseline_step_time_s(self) -> float | None:
        """The baseline's step time to show beside it: of the same rounds, else of the baseline's own timing."""
        own = None if self.baseline is None else self.baseline.row["step_time_s"]
        return own if self.paired_step_time_s is None else self.paired_step_time_s

    @property
    def ratio_half_width(self) -> float | None:
        """Half the interval of the step time ratio."""
        return _half(self.row["step_time_ratio_low"], self.row["step_time_ratio_high"])


def views(table: PlainTable, stored: "Table | None" = None) -> list[RowView]:
    """The rows of a table in its order; `stored` is the table with its runs, where there is one."""
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
