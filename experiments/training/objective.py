"""One training step: the weighted loss of every data set, gradients, clipping, update (paper section 2.4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.data.batch import Batch
from experiments.spec.schema import TrainConfig
from flamingo_core.flamingo import Flamingo, token_loss


class NonFiniteLoss(ArithmeticError):
    """A loss that is infinite or not a number; the message names step, data set and example ids."""


@dataclass(frozen=True)
class WeightedBatch:
    """A batch and the weight of its data set's loss."""

    batch: Batch
    weight: float


def accumulation(
    model: Flamingo, batches: Sequence[WeightedBatch], train: TrainConfig, optimizer: torch.optim.Optimizer, step: int
) -> dict[str, Tensor]:
    """Gradients of all data sets add up to one update, as in the paper's baseline."""
    losses = {each.batch.dataset: _backward(model, each) for each in batches}
    _require_finite(model, losses, batches, step)
    _update(model, train, optimizer)
    return losses


def round_robin(
    model: Flamingo, batches: Sequence[WeightedBatch], train: TrainConfig, optimizer: torch.optim.Optimizer, step: int
) -> dict[str, Tensor]:
    """One update per data set, in the order of the mixture: a step sees the same data but makes several updates."""
    losses = {}
    for each in batches:
        losses[each.batch.dataset] = _backward(model, each)
        _require_finite(model, losses, [each], step)
        _update(model, train, optimizer)
    return losses


Objective = Callable[[Flamingo, Sequence[WeightedBatch], TrainConfig, torch.optim.Optimizer, int], dict[str, Tensor]]
OBJECTIVES: dict[str, Objective] = {"accumulation": accumulation, "round_robin": round_robin}


def model_inputs(batch: Batch, device: torch.device) -> dict[str, Tensor]:
    """A batch as keyword arguments of the model, on its device; media counts stay on the CPU, where they are read."""
    tensors = {
        name: getattr(batch, name)
        for name in ("input_ids", "attention_mask", "labels", "text_time", "media", "media_features")
    }
    on_device = {name: tensor.to(device) for name, tensor in tensors.items() if tensor is not None}
    return {**on_device, "media_counts": batch.media_counts}


def _backward(model: Flamingo, each: WeightedBatch) -> Tensor:
    output = model(**model_inputs(each.batch, model.device), example_ids=each.batch.example_ids)
    (each.weight * output.loss).backward()
    return output.loss.detach()


def _update(model: Flamingo, train: TrainConfig, optimizer: torch.optim.Optimizer) -> None:
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    torch.nn.utils.clip_grad_norm_(trained, train.clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _require_finite(model: Flamingo, losses: dict[str, Tensor], batches: Sequence[WeightedBatch], step: int) -> None:
    """Raise before the update, so that the weights that gave the non-finite loss can be inspected."""
    for each in batches:
        loss = losses[each.batch.dataset]
        if not torch.isfinite(loss):
            ids = _non_finite_examples(model, each.batch) or each.batch.example_ids
            raise NonFiniteLoss(
                f"the loss is {loss.item()} at step {step}, data set `{each.batch.dataset}`, "
                f"example{'s' if len(ids) > 1 else ''} {', '.join(ids)}"
            )


@torch.no_grad()
def _non_finite_examples(model: Flamingo, batch: Batch) -> list[str]:
    logits = model(**model_inputs(batch, model.device)).logits
    labels = batch.labels.to(model.device)
    return [
        name
        for row, name in enumerate(batch.example_ids)
        if not torch.isfinite(token_loss(logits[row : row + 1], labels[row : row + 1]))
    ]
