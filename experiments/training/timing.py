"""The timing pass: whole steps of the baseline and of one row, turn by turn, in one process of one thread.

A whole step encodes its media, goes forward and backward, clips and updates; no feature cache. Its ratio is the median
of the paired ratios with its order-statistic interval: a machine that is busy for a while slows both sides of a pair.
"""

import math
import time
from dataclasses import asdict, dataclass
from statistics import median, quantiles

import torch

from experiments.progress import Progress
from experiments.spec import Spec
from experiments.training.build import build_mixture, build_model
from experiments.training.loop import Trainer, draw_step, synchronise
from experiments.training.memory import LiveBytes
from experiments.training.objective import WeightedBatch

ROUNDS = 15
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Of the row's whole step; the ratio is to the baseline's, None where it was not timed beside it."""

    step_time_s: float
    step_time_p90_s: float
    step_time_ratio: float | None
    step_time_ratio_low: float | None
    step_time_ratio_high: float | None
    peak_memory_bytes: int

    def metrics(self) -> dict[str, float]:
        """By MLflow name; what was not measured is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class _Side:
    """A model that is stepped round after round over batches drawn beforehand."""

    def __init__(self, spec: Spec, device: torch.device):
        self.model = build_model(spec, device)
        mixture = build_mixture(spec)
        self.batches = [draw_step(mixture, spec, round_) for round_ in range(ROUNDS)]
        self.trainer = Trainer(self.model, spec)

    def timed_step(self, round_: int) -> float:
        """Seconds of one whole step."""
        synchronise(self.model)
        started = time.perf_counter()
        self.trainer.step(self.batches[round_], round_)
        synchronise(self.model)
        return time.perf_counter() - started

    def peak_bytes(self) -> int:
        """Live tensor bytes at the height of one step, weights and optimizer state included."""
        with LiveBytes() as live:
            live.follow([*self.model.parameters(), *self.model.buffers()])
            live.follow(x for state in self.trainer.optimizer.state.values() for x in state.values())
            live.follow(_tensors(self.batches[0]))
            self.trainer.step(self.batches[0], 0)
        return live.peak


def time_row(spec: Spec, device: torch.device, *, beside_baseline: bool) -> Timing:
    """Time the row, beside the baseline where asked; weights are initial ones and are thrown away."""
    row = _Side(spec, device)
    sides = [_Side(spec.baseline, device), row] if beside_baseline else [row]
    for side in sides:
        side.timed_step(0)  # the first makes the optimizer's state
    memory = row.peak_bytes()
    times: dict[int, list[float]] = {id(side): [] for side in sides}
    with Progress(f"timing {spec.name}", ROUNDS, "round") as progress:
        for round_ in range(ROUNDS):
            for side in sides if round_ % 2 else reversed(sides):  # who goes first changes, so that it cannot matter
                times[id(side)].append(side.timed_step(round_))
            progress.advance()
    own = times[id(row)]
    ratios = [mine / theirs for mine, theirs in zip(own, times[id(sides[0])], strict=True)] if beside_baseline else None
    low, high = median_interval(ratios) if ratios else (None, None)
    return Timing(
        step_time_s=median(own),
        step_time_p90_s=quantiles(own, n=10)[-1],
        step_time_ratio=median(ratios) if ratios else None,
        step_time_ratio_low=low,
        step_time_ratio_high=high,
        peak_memory_bytes=memory,
    )


def median_interval(values: list[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The narrowest pair of order statistics, equally far from both ends, that covers the median so often or more."""
    ordered, n = sorted(values), len(values)
    below, rank = 0.0, 0
    while (below := below + math.comb(n, rank) / 2**n) <= (1 - confidence) / 2:
        rank += 1
    # `rank` values may be cut off at either end; with too few values for the confidence, none
    return ordered[max(rank - 1, 0)], ordered[n - 1 - max(rank - 1, 0)]


def _tensors(batches: list[WeightedBatch]) -> list[torch.Tensor]:
    return [
        getattr(each.batch, name)
        for each in batches
        for name in ("input_ids", "attention_mask", "labels", "text_time", "media")
    ]
