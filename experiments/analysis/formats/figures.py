"""A row's numbers as text, the same in every format and on every screen; an unknown one is `-`."""

from typing import Any

from experiments.analysis.table.published_view import PublishedScore, PublishedView
from experiments.analysis.table.row_view import RowView, ScoreView

UNKNOWN = "-"
UNITS = ((1e9, "B"), (1e6, "M"), (1e3, "K"))


def points(value: float | None, *, signed: bool = False) -> str:
    """A score or, if signed, a difference of scores."""
    return UNKNOWN if value is None else number(value, 1, signed=signed)


def count(value: float | None, *, like: float | None = None, signed: bool = False) -> str:
    """Number of parameters as `2.25M`; `like` sets the unit, e.g. the total's for a part or a difference."""
    if value is None:
        return UNKNOWN
    size = abs(value if like is None else like)
    unit, letter = next((unit for unit in UNITS if size >= unit[0]), (1, ""))
    return number(value / unit, 2 if letter else 0, signed=signed) + letter


def seconds(value: float | None, *, like: float | None = None, signed: bool = False) -> str:
    """A step time as `331 ms` or `1.74 s`; `like` sets the unit of a difference."""
    if value is None:
        return UNKNOWN
    size = value if like is None else like
    if size >= 1:
        return number(value, 2, signed=signed) + " s"
    return number(1000 * value, 0 if size >= 0.1 else 1, signed=signed) + " ms"


def ratio(value: float | None) -> str:
    """A ratio of step times, or an end of its interval."""
    return UNKNOWN if value is None else f"{value:.2f}"


def number(value: float, digits: int, *, signed: bool = False) -> str:
    """Rounded to `digits` decimals; a value that rounds to zero has no sign."""
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text  # neither -0.0 nor +0.0


def interval(low: float | None, high: float | None) -> str:
    """Both ends, to append to a number; empty without an interval."""
    if low is None or high is None:
        return ""
    return f" [{points(low, signed=True)}, {points(high, signed=True)}]"


def half_width(half: float | None, digits: int = 1) -> str:
    """An interval's half-width, to append to a number; empty without an interval."""
    return "" if half is None else f" \u00b1{half:.{digits}f}"


def params(row: RowView) -> str:
    """The number of parameters."""
    return count(row.row["params_total"])


def trained(row: RowView) -> str:
    """The number of trained parameters, in the unit of the total."""
    return count(row.row["params_trainable"], like=row.row["params_total"])


def step_time(row: RowView) -> str:
    """A row's step time beside the baseline's; `-` if they are not from the same rounds, then see the ratio."""
    return seconds(row.step_time_s, like=row.paired_step_time_s)


def step_time_beside(row: RowView) -> str:
    """For tables whose baseline line is from other rounds: `184/196 ms`, the row's and the baseline's in one timing."""
    own, base = row.step_time_s, row.paired_step_time_s
    if base is None or own is None:
        return step_time(row)
    unit, size = ("s", base) if base >= 1 else ("ms", 1000 * base)
    digits = 1 if size < 10 else 0  # short enough for its column
    return f"{number(own * size / base, digits)}/{number(size, digits)} {unit}"


def step_time_difference(row: RowView) -> str:
    """The difference from the baseline's step time in the same rounds, never between two timing passes."""
    return seconds(row.row["step_time_difference_s"], like=row.paired_step_time_s, signed=True)


def step_time_ratio(row: RowView) -> str:
    """The row's step time divided by the baseline's."""
    return ratio(row.row["step_time_ratio"])


def ratio_interval(row: RowView) -> str:
    """Both ends of a step time ratio's interval, to append to it; empty without an interval."""
    low, high = row.row["step_time_ratio_low"], row.row["step_time_ratio_high"]
    return "" if low is None or high is None else f" [{ratio(low)}, {ratio(high)}]"


def difference(score: ScoreView) -> str:
    """The difference from the baseline, with both ends of its interval."""
    return points(score.difference, signed=True) + interval(score.low, score.high)


def parts_in_words(score: ScoreView) -> str:
    """The vision and language parts of a difference. Empty with one seed."""
    if score.vision is None or score.language is None:
        return ""
    shown = (points(part["difference"], signed=True) for part in (score.vision, score.language))
    return "vision {}, language {}".format(*shown)


def seeds(row: RowView, *, short: bool) -> str:
    """The number of seeds; if the row is `short` of some, also the number wanted."""
    return f"{row.n} of {row.wanted}" if short else str(row.n)


def published_params(paper: PublishedView) -> str:
    """The paper's number of parameters, in billions."""
    return _in(paper.params_b, 1, "B")


def published_params_difference(paper: PublishedView) -> str:
    """The difference in parameters from the paper's baseline, in billions."""
    return _in(paper.params_difference_b, 1, "B", signed=True)


def published_step_time(paper: PublishedView) -> str:
    """The paper's step time in seconds."""
    return _in(paper.step_time_s, 2, " s")


def published_step_time_difference(paper: PublishedView) -> str:
    """The difference in step time from the paper's baseline, in seconds."""
    return _in(paper.step_time_difference_s, 2, " s", signed=True)


def published_points(score: PublishedScore) -> str:
    """The paper's score, and in brackets its difference from the paper's baseline."""
    return points(score.level) + ("" if score.difference is None else f" ({points(score.difference, signed=True)})")


def _in(value: float | None, digits: int, unit: str, *, signed: bool = False) -> str:
    return UNKNOWN if value is None else number(value, digits, signed=signed) + unit


def same_digits(value: Any) -> Any:
    """Round a float to eight significant digits, which are the same on every CPU; return anything else unchanged.

    Rounding in sums and matrix products depends on a CPU's vector width: of sixteen digits, the last three or four may
    differ. The table itself and `--json` are not rounded.
    """
    return float(f"{value:.8g}") if isinstance(value, float) else value
