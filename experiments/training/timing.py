"""The timing pass: whole steps of the baseline and of one row, alternating, in one single-threaded process.

A whole step encodes its media, runs forward and backward, clips and updates, without the feature cache. The reported
ratio is the median of the paired ratios, with an order-statistic interval: a temporarily busy machine slows both sides
of a pair.
"""

import math
import socket
import time
from dataclasses import asdict, dataclass, replace
from statistics import median, quantiles

import torch

from experiments.common.progress import Progress
from experiments.spec.spec import Spec
from experiments.training.build import build_mixture, build_model
from experiments.training.certificate import processor
from experiments.training.loop import Trainer, draw_step, synchronise
from experiments.training.memory import LiveBytes
from experiments.training.objective import WeightedBatch

ROUNDS = 15
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The timing of a row's whole step; fields are None if the row was not timed together with the baseline.

    `paired_baseline_step_time_s` is the baseline's median in the rounds of the ratio: only this may be compared with
    the row's step time by subtraction.
    """

    step_time_s: float
    step_time_p90_s: float
    peak_memory_bytes: int
    rounds_s: tuple[float, ...]  # step time of each round, in order
    paired_baseline_step_time_s: float | None = None
    step_time_ratio: float | None = None
    step_time_ratio_low: float | None = None
    step_time_ratio_high: float | None = None

    def metrics(self) -> dict[str, float]:
        """Metrics by MLflow name, without those that were not measured."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        del known["rounds_s"]
        return known


class _Side:
    """A model that is trained for one step per round, on batches drawn in advance."""

    def __init__(self, spec: Spec, device: torch.device):
        self.model = build_model(spec, device)
        mixture = build_mixture(spec)
        self.batches = [draw_step(mixture, spec, round_, preprocess=self.model.preprocess) for round_ in range(ROUNDS)]
        self.trainer = Trainer(self.model, spec)

    def timed_step(self, round_: int) -> float:
        """Seconds of one whole step."""
        synchronise(self.model)
        started = time.perf_counter()
        self.trainer.step(self.batches[round_], round_)
        synchronise(self.model)
        return time.perf_counter() - started

    def peak_bytes(self) -> int:
        """Peak bytes of live tensors in one step, weights and optimizer state included."""
        with LiveBytes() as live:
            live.follow([*self.model.parameters(), *self.model.buffers()])
            live.follow(x for state in self.trainer.optimizer.state.values() for x in state.values())
            live.follow(_tensors(self.batches[0]))
            self.trainer.step(self.batches[0], 0)
        return live.peak


def time_rows(row: Spec, baseline: Spec | None, device: torch.device) -> tuple[Timing, Timing | None]:
    """Time a row, together with its baseline if one is given; initial weights are used, and discarded afterwards."""
    specs = [row] if baseline is None else [row, baseline]
    sides = [_Side(spec, device) for spec in specs]
    for side in sides:
        side.timed_step(0)  # the first step creates the optimizer's state
    peaks = [side.peak_bytes() for side in sides]
    times: list[list[float]] = [[] for _ in sides]
    with Progress(f"timing {row.name}", ROUNDS, "round") as progress:
        for round_ in range(ROUNDS):
            # the order alternates from round to round, so that it does not matter
            for place in sorted(range(len(sides)), reverse=bool(round_ % 2)):
                times[place].append(sides[place].timed_step(round_))
            progress.advance()
    own, *others = (_timing(some, peak) for some, peak in zip(times, peaks, strict=True))
    if not others:
        return own, None
    ratios = [mine / theirs for mine, theirs in zip(*times, strict=True)]
    low, high = median_interval(ratios)
    paired = replace(
        own,
        paired_baseline_step_time_s=others[0].step_time_s,
        step_time_ratio=median(ratios),
        step_time_ratio_low=low,
        step_time_ratio_high=high,
    )
    return paired, others[0]


def rounds_of(row: Timing, baseline: Timing | None, device: torch.device) -> dict[str, object]:
    """All measurements of a timing pass and the machine it ran on, as stored next to the medians."""
    return {
        "row_s": list(row.rounds_s),
        "baseline_s": None if baseline is None else list(baseline.rounds_s),
        "host": socket.gethostname(),
        "cpu": processor(),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _timing(times_s: list[float], peak_bytes: int) -> Timing:
    return Timing(
        step_time_s=median(times_s),
        step_time_p90_s=quantiles(times_s, n=10)[-1],
        peak_memory_bytes=peak_bytes,
        rounds_s=tuple(times_s),
    )


def median_interval(values: list[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The narrowest symmetric pair of order statistics that covers the median with at least this confidence."""
    ordered, n = sorted(values), len(values)
    below, rank = 0.0, 0
    while (below := below + math.comb(n, rank) / 2**n) <= (1 - confidence) / 2:
        rank += 1
    # `rank` values may be cut off at either end; none if there are too few values for the confidence
    return ordered[max(rank - 1, 0)], ordered[n - 1 - max(rank - 1, 0)]


def _tensors(batches: list[WeightedBatch]) -> list[torch.Tensor]:
    return [
        getattr(each.batch, name)
        for each in batches
        for name in ("input_ids", "attention_mask", "labels", "text_time", "media")
    ]
