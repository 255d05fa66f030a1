"""The training loop: batches, step, schedule, checkpoints. Losses and times are stored outside the step."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from experiments.common.interrupt import StopRequest
from experiments.common.progress import Progress
from experiments.data.feature_cache import Features
from experiments.data.mixture import Mixture
from experiments.data.pixels import stacked
from experiments.spec.spec import Spec
from experiments.training import checkpoint, trained_batches
from experiments.training.checkpoint import Progressed
from experiments.training.objective import OBJECTIVES, WeightedBatch
from experiments.training.optimizer import lr_factor, make_optimizer, set_learning_rates
from flamingo_core.flamingo import Flamingo


def draw_step(
    mixture: Mixture,
    spec: Spec,
    step: int,
    *,
    features: Features | None = None,
    preprocess: Callable[[Sequence[Any]], torch.Tensor] = stacked,
) -> list[WeightedBatch]:
    """One batch of every data set in the mixture, with the weight of its loss."""
    data = spec.data
    return [
        WeightedBatch(
            mixture.batch(dataset, step, features=features, preprocess=preprocess), getattr(data, dataset).loss_weight
        )
        for dataset in mixture.datasets
    ]


class Trainer:
    """A model, its optimizer and its objective: one call is one step."""

    def __init__(self, model: Flamingo, spec: Spec):
        self.model, self.spec = model, spec
        self.optimizer = make_optimizer(model, spec.train)
        self.objective = OBJECTIVES[spec.train.objective]
        model.train()

    def step(self, batches: list[WeightedBatch], step: int) -> dict[str, torch.Tensor]:
        """Forward, backward, clip and update; the loss of each data set."""
        set_learning_rates(self.optimizer, lr_factor(step, self.spec.train))
        return self.objective(self.model, batches, self.spec.train, self.optimizer, step)


def train(
    trainer: Trainer,
    mixture: Mixture,
    spec: Spec,
    *,
    features: Features,
    folder: Path,
    progressed: Progressed,
    before_checkpoint: Callable[[Progressed], None],
    stop: StopRequest,
) -> None:
    """Train from `progressed` to the end, leaving checkpoints in `folder`; `progressed` is updated in place.

    `before_checkpoint` is called just before a checkpoint is published, to store the measurements so far.

    Raises:
        NonFiniteLoss: a loss is infinite or not a number.
        KeyboardInterrupt: a stop was requested; a checkpoint of the last complete step has been written.
    """
    if progressed.batches is None:
        progressed.batches = trained_batches.drawn_again(mixture, progressed.step, features=features)
    if progressed.step == spec.train.steps:
        trainer.model.eval()
        return
    assert isinstance(progressed.batches, dict), "weights that were taken over are trained to the end"
    with Progress(spec.title, spec.train.steps, "step", start=progressed.step) as progress:
        for step in range(progressed.step, spec.train.steps):
            batches = draw_step(mixture, spec, step, features=features)
            for each in batches:
                trained_batches.add(progressed.batches, each.batch)
            synchronise(trainer.model)
            started = time.perf_counter()
            losses = trainer.step(batches, step)
            synchronise(trainer.model)
            progressed.step_times_s.append(time.perf_counter() - started)
            for dataset, loss in losses.items():
                progressed.losses.setdefault(dataset, []).append(loss.item())
            progressed.step = step + 1
            last = progressed.step == spec.train.steps
            saved = last or stop.requested or progressed.step % spec.train.checkpoint_every == 0
            if saved:
                before_checkpoint(progressed)
                checkpoint.save(folder, trainer.model, trainer.optimizer, progressed, spec.train_hash)
            progress.advance(f"loss {sum(loss.item() for loss in losses.values()) / len(losses):.3f}")
            if saved:  # a stop requested after saving takes effect in the next step, which saves first
                stop.check()
    trainer.model.eval()


def synchronise(model: Flamingo) -> None:
    """Wait for pending work on the device, so that timing is correct."""
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
