"""Step times of a row over its timed runs: the ratio to the baseline's with one interval, and ms of the same rounds.

A timing pass steps row and baseline turn by turn on one machine. Milliseconds of two passes, of other hours or other
machines, are never subtracted: where the baseline's of the same rounds are not stored there are ratios only.
"""

import math
from collections.abc import Sequence
from statistics import fmean, median, stdev
from typing import TypedDict

from experiments.store.names import PAIRED_STEP_TIME
from experiments.store.stored_run import StoredRun

Z = 1.959964  # half a 95% interval in standard errors
RATIO, LOW, HIGH = "step_time_ratio", "step_time_ratio_low", "step_time_ratio_high"


class StepTimes(TypedDict):
    """Of a row; what is not known is None. Where the pair is known, all three times are of the rounds of one ratio.

    That is the timing with the middle ratio; of an even number the mean of the two in the middle, as the ratio is.
    """

    step_time_s: float | None
    step_time_ratio: float | None
    step_time_ratio_low: float | None
    step_time_ratio_high: float | None
    paired_baseline_step_time_s: float | None
    step_time_difference_s: float | None
    num_timed: int  # runs that were timed beside the baseline; of the baseline, those that were timed at all


def step_times(runs: Sequence[StoredRun], *, is_baseline: bool) -> StepTimes:
    """Over the runs of one row."""
    timed = [run for run in runs if ("step_time_s" if is_baseline else RATIO) in run.metrics]
    levels = [run.metrics["step_time_s"] for run in timed or runs if "step_time_s" in run.metrics]
    beside = [] if is_baseline else timed
    low, high = pooled_interval([(run.metrics[RATIO], run.metrics.get(LOW), run.metrics.get(HIGH)) for run in beside])
    ours, theirs = _of_same_rounds(beside)
    return StepTimes(
        step_time_s=ours if ours is not None else median(levels) if levels else None,
        step_time_ratio=_ratio(beside) if beside else 1.0 if is_baseline and runs else None,
        step_time_ratio_low=low,
        step_time_ratio_high=high,
        paired_baseline_step_time_s=theirs,
        step_time_difference_s=None if ours is None or theirs is None else ours - theirs,
        num_timed=len(timed),
    )


def shown_step_time_s(row: StepTimes, *, is_baseline: bool) -> float | None:
    """A row's step as it may stand beside the baseline's: of the rounds that its ratio is of, None without the pair.

    Beside the baseline of another hour it would contradict its ratio.
    """
    base, difference = row["paired_baseline_step_time_s"], row["step_time_difference_s"]
    if is_baseline:
        return row["step_time_s"]
    return None if base is None or difference is None else base + difference


def pooled_interval(timings: Sequence[tuple[float, float | None, float | None]]) -> tuple[float | None, float | None]:
    """One 95% interval around the median of several timings' ratios, each given with the ends of its own.

    On the log scale half of it is the root mean square of the halves, over the root of their number: they are repeated
    measurements. Where timings lie further apart than their intervals say, it is as much wider (the scale factor of the
    Particle Data Group). One timing keeps its interval; None where one has none.
    """
    known = [(ratio, low, high) for ratio, low, high in timings if low is not None and high is not None and low > 0]
    if not known or len(known) < len(timings):
        return None, None
    if len(known) == 1:
        return known[0][1:]
    half = math.sqrt(fmean((math.log(high / low) / 2) ** 2 for _, low, high in known))
    apart = Z * stdev(math.log(ratio) for ratio, _, _ in known)
    factor = math.exp(max(half, apart) / math.sqrt(len(known)))
    middle = median(ratio for ratio, _, _ in known)
    return middle / factor, middle * factor


def _ratio(beside: Sequence[StoredRun]) -> float:
    return median(run.metrics[RATIO] for run in beside)


def _of_same_rounds(timed: Sequence[StoredRun]) -> tuple[float | None, float | None]:
    """The row's and the baseline's step in the timings whose ratios lie in the middle; None where any has no pair."""
    if not timed or not all({PAIRED_STEP_TIME, "step_time_s"} <= run.metrics.keys() for run in timed):
        return None, None
    by_ratio = sorted(timed, key=lambda run: run.metrics[RATIO])
    middle = by_ratio[(len(timed) - 1) // 2 : len(timed) // 2 + 1]
    ours, theirs = (fmean(run.metrics[name] for run in middle) for name in ("step_time_s", PAIRED_STEP_TIME))
    return ours, theirs
