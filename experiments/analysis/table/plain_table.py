"""A table as plain data: the object that `--json` prints, and the basis of every format and screen."""

from typing import NotRequired, TypedDict

from experiments.analysis.table.columns import PlainColumn
from experiments.analysis.table.select import OtherDesign
from experiments.analysis.table.step_times import StepTimes


class Part(TypedDict):
    """The language or vision part of a difference, with its interval over seeds."""

    difference: float
    low: float
    high: float


class Score(TypedDict):
    """One score of a row, in points; `difference` is from the baseline and equals the sum of its parts bit for bit."""

    mean: float | None
    difference: float | None
    low: float | None
    high: float | None
    blind: float | None
    language: Part | None
    vision: Part | None


class Overall(Score):
    """The Overall score of a row, and the verdict from its interval over seeds."""

    verdict: str | None
    seeds_needed: int | None
    # one run only: its interval over seeds uses other rows' noise, so it has no verdict of its own
    borrowed_noise: NotRequired[bool]


class Row(StepTimes):
    """One row of the table. Unknown values are None."""

    row: str
    group: str
    n: int
    params_total: int | None
    params_trainable: int | None
    scores: dict[str, Score]
    overall: Overall
    family: str | None  # `published`, `own` or `combinations`
    family_size: int | None  # rows that the interval over seeds covers simultaneously
    certificate: str | None
    run_ids: list[str]
    missing: list[str]
    published: dict[str, float | None]


class LeftOut(TypedDict):
    """Finished jobs of the scale that are not in the table."""

    not_comparable: int  # with overrides, or with another baseline
    other_designs: list[OtherDesign]  # with a row's name but another spec


class PlainTable(TypedDict):
    """The whole table."""

    scale: str
    seeds: list[int]
    baseline_hash: str | None
    delta: float
    detectable: float | None  # the Overall difference that would be detected in the median row with 80% probability
    left_out: LeftOut
    method: str
    unverified: int  # runs stored without hashes, so that their content cannot be verified
    rows: list[Row]
    columns: NotRequired[list[PlainColumn]]  # score columns in order, if there are more than the published table's


def is_over_examples(overall: Overall) -> bool:
    """Whether a row's interval is over the examples of one training run rather than over seeds."""
    return overall["low"] is not None and overall["verdict"] is None and not overall.get("borrowed_noise")
