"""A row of the paper as shown beside ours: levels, and differences from the paper's baseline."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.published import table3
from experiments.published.table3 import BASELINE
from experiments.store.columns import Column
from experiments.store.names import OVERALL


@dataclass(frozen=True)
class PublishedScore:
    """A published score in points; None for a column that the paper lacks, and for the baseline's difference."""

    metric: str
    level: float | None
    difference: float | None


@dataclass(frozen=True)
class PublishedView:
    """One row of the paper's table. The differences of its baseline are None."""

    is_baseline: bool
    changed_value: str
    params_b: float  # 1e9 parameters
    params_difference_b: float | None
    step_time_s: float
    step_time_difference_s: float | None
    step_time_ratio: float
    scores: tuple[PublishedScore, ...]  # in the order of the columns
    overall: PublishedScore

    @property
    def all_scores(self) -> tuple[PublishedScore, ...]:
        """The score columns, with Overall last."""
        return (*self.scores, self.overall)


def published_view(name: str, columns: Sequence[Column]) -> PublishedView | None:
    """The paper's row with this name, in these score columns; None if it has none."""
    row, base = table3.rows().get(name), table3.rows()[BASELINE]
    if row is None:
        return None
    return PublishedView(
        is_baseline=row is base,
        changed_value=row.changed_value,
        params_b=row.params_b,
        params_difference_b=None if row is base else row.params_b - base.params_b,
        step_time_s=row.step_time_s,
        step_time_difference_s=None if row is base else row.step_time_s - base.step_time_s,
        step_time_ratio=row.step_time_s / base.step_time_s,
        scores=tuple(published_score(name, one.metric) for one in columns),
        overall=published_score(name, OVERALL),
    )


def published_score(name: str, metric: str) -> PublishedScore:
    """The paper's score of a row in one column."""
    level, base = (_levels(one).get(metric) for one in (name, BASELINE))
    if name == BASELINE or level is None or base is None:
        return PublishedScore(metric, level, None)
    return PublishedScore(metric, level, level - base)


def _levels(name: str) -> dict[str, float]:
    row = table3.rows().get(name)
    return {**row.scores, OVERALL: row.overall} if row else {}
