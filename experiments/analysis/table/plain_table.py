"""A table as plain data: the object that `--json` prints, and that every format and screen is made from."""

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
    """One score of a row, in points; `difference` is from the baseline, and the sum of its parts to the last bit."""

    mean: float | None
    difference: float | None
    low: float | None
    high: float | None
    blind: float | None
    language: Part | None
    vision: Part | None


class Overall(Score):
    """The Overall score of a row, and what its interval over seeds says."""

    verdict: str | None
    seeds_needed: int | None
    # of one run, in an interval over seeds that only other rows have: no verdict of its own
    borrowed_noise: NotRequired[bool]


class Row(StepTimes):
    """One row of the table. What is not known is None."""

    row: str
    group: str
    n: int
    params_total: int | None
    params_trainable: int | None
    scores: dict[str, Score]
    overall: Overall
    family: str | None  # `published`, `own` or `combinations`
    family_size: int | None  # rows that the interval over seeds holds for at once
    certificate: str | None
    run_ids: list[str]
    missing: list[str]
    published: dict[str, float | None]


class LeftOut(TypedDict):
    """Finished jobs of the scale that are not in the table."""

    not_comparable: int  # with overrides, or of another baseline
    other_designs: list[OtherDesign]  # under the name of a row that is of another spec


class PlainTable(TypedDict):
    """The whole table."""

    scale: str
    seeds: list[int]
    baseline_hash: str | None
    delta: float
    detectable: float | None  # the Overall difference that the median row would have shown with 80% probability
    left_out: LeftOut
    method: str
    unverified: int  # runs in it that carry no hashes, so that nobody can say whether they are what was stored
    rows: list[Row]
    columns: NotRequired[list[PlainColumn]]  # of scores, in order, where there are more than the published table's


def is_over_examples(overall: Overall) -> bool:
    """Whether a row's interval is over the examples of one training run, not over seeds."""
    return overall["low"] is not None and overall["verdict"] is None and not overall.get("borrowed_noise")
