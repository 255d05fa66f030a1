"""One training loop for every frozen part: AdamW, warm-up and linear decay, checkpoints, resume."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from experiments.common.interrupt import StopRequest
from experiments.common.progress import Progress
from experiments.common.rules import ABOVE_ZERO, FRACTION, NOT_NEGATIVE, Checked, at_least
from flamingo_core.checkpoint import load_tensors, save_tensors

CHECKPOINT_FILE = "checkpoint.safetensors"
CHECKPOINT_EVERY = 250  # steps
BETAS = (0.9, 0.98)
CLIP_NORM = 1.0


@dataclass(kw_only=True, slots=True)
class PretrainConfig(Checked):
    """How one part is trained."""

    steps: int = field(metadata=at_least(1))
    batch_size: int = field(metadata=at_least(2))
    lr: float = field(metadata=ABOVE_ZERO)
    warmup_steps: int = field(metadata=at_least(0))
    decay_fraction: float = field(metadata=FRACTION)  # of the steps, at the end, down to zero
    weight_decay: float = field(metadata=NOT_NEGATIVE)


def fit(
    name: str,
    module: nn.Module,
    loss_of_step: Callable[[int], Tensor],
    config: PretrainConfig,
    folder: Path,
    *,
    identity: str,
) -> None:
    """Train `module` in place; a step's data must depend on its number alone.

    Continues from the checkpoint in `folder` if that belongs to the same `identity`.

    Raises:
        KeyboardInterrupt: a stop was requested; a checkpoint has been written.
    """
    decayed = [parameter for parameter in module.parameters() if parameter.requires_grad and parameter.ndim >= 2]
    others = [parameter for parameter in module.parameters() if parameter.requires_grad and parameter.ndim < 2]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=BETAS, fused=True)
    path = folder / CHECKPOINT_FILE
    start = _resume(path, module, optimizer, identity)
    trained = [*decayed, *others]
    with StopRequest() as stop, Progress(f"pretraining {name}", config.steps, "step", start=start) as progress:
        for step in range(start, config.steps):
            for group in optimizer.param_groups:
                group["lr"] = config.lr * _factor(step, config)
            loss = loss_of_step(step)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, CLIP_NORM)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            done = step + 1
            saved = stop.requested or done == config.steps or done % CHECKPOINT_EVERY == 0
            if saved:
                _save(path, module, optimizer, done, identity)
            progress.advance(f"loss {loss.item():.3f}")
            if saved:  # a stop requested after saving takes effect in the next step, which saves first
                stop.check()


def _factor(step: int, config: PretrainConfig) -> float:
    warmup = min(1.0, (step + 1) / max(1, config.warmup_steps))
    decay_steps = max(1.0, config.decay_fraction * config.steps)
    return warmup * min(1.0, (config.steps - step) / decay_steps)


def _save(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, step: int, identity: str) -> None:
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    tensors = {f"weights/{name}": parameter for name, parameter in module.named_parameters()}
    for parameter, state in optimizer.state.items():
        tensors |= {f"optimizer/{key}/{names[id(parameter)]}": value for key, value in state.items()}
    save_tensors(path, tensors, {"step": str(step), "identity": identity})


def _resume(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, identity: str) -> int:
    """Load the checkpoint and return its number of steps; 0 if there is none of this identity."""
    if not path.exists():
        return 0
    try:
        tensors, metadata = load_tensors(path, hashed=True)
    except ValueError as error:
        print(f"{path.name} is not used: {error}", file=sys.stderr)
        return 0
    if metadata.get("identity") != identity:
        return 0
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            kind, _, rest = name.partition("/")
            if kind == "weights":
                parameters[rest].copy_(tensor)
            else:
                key, _, parameter = rest.partition("/")
                optimizer.state[parameters[parameter]][key] = tensor
    return int(metadata["step"])
