"""Step times of a row over its timed runs: the ratio to the baseline's with one interval, and times in the same rounds.

A timing pass alternates steps of row and baseline on one machine. Times of two passes, at other hours or on other
machines, are never subtracted: if the baseline's times in the same rounds are not stored, there are only ratios.
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
    """Step times of a row; unknown values are None. If the pair is known, all three times are from one ratio's rounds.

    This is the timing with the median ratio; for an even number, the mean of the middle two, as for the ratio.
    """

    step_time_s: float | None
    step_time_ratio: float | None
    step_time_ratio_low: float | None
    step_time_ratio_high: float | None
    paired_baseline_step_time_s: float | None
    step_time_difference_s: float | None
    num_timed: int  # runs timed beside the baseline; for the baseline, all timed runs


def step_times(runs: Sequence[StoredRun], *, is_baseline: bool) -> StepTimes:
    """Step times over the runs of one row."""
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
    """A row's step time to show beside the baseline's: from the rounds of its ratio, None without the pair.

    Beside a baseline timed at another hour, it could contradict its ratio.
    """
    base, difference = row["paired_baseline_step_time_s"], row["step_time_difference_s"]
    if is_baseline:
        return row["step_time_s"]
    return None if base is None or difference is None else base + difference


def pooled_interval(timings: Sequence[tuple[float, float | None, float | None]]) -> tuple[float | None, float | None]:
    """One 95% interval around the median ratio of several timings, each given as (ratio, low, high).

    On the log scale, its half-width is the root mean square of the half-widths over the square root of their number:
    they are repeated measurements. If the timings spread more than their intervals suggest, it is widened accordingly
    (the scale factor of the Particle Data Group). A single timing keeps its interval; None if any timing lacks one.
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
    """The row's and the baseline's step time in the timings with the middle ratios; None if any timing has no pair."""
    if not timed or not all({PAIRED_STEP_TIME, "step_time_s"} <= run.metrics.keys() for run in timed):
        return None, None
    by_ratio = sorted(timed, key=lambda run: run.metrics[RATIO])
    middle = by_ratio[(len(timed) - 1) // 2 : len(timed) // 2 + 1]
    ours, theirs = (fmean(run.metrics[name] for run in middle) for name in ("step_time_s", PAIRED_STEP_TIME))
    return ours, theirs
