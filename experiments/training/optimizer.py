"""AdamW over the trainable parameters: groups with their own learning rates, and their common schedule."""

from typing import TYPE_CHECKING

import torch

from experiments.spec.schema import TrainConfig

if TYPE_CHECKING:
    from flamingo_core.flamingo import Flamingo


def make_optimizer(model: "Flamingo", train: TrainConfig) -> torch.optim.AdamW:
    """Groups of parameters: the language model, gates (scalars), everything else; only matrices get weight decay.

    Gates start at zero and have their own learning rate: at the rate of the weights they hardly open.
    """
    rates = {"lm": train.lr_lm, "gates": train.lr_gates, "rest": train.lr}
    groups: dict[tuple[str, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parts():
        if parameter.requires_grad:
            kind = "lm" if name.startswith("lm.") else "gates" if parameter.ndim == 0 else "rest"
            groups.setdefault((kind, parameter.ndim >= 2), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": rates[kind],
                "base_lr": rates[kind],
                "weight_decay": train.weight_decay if decays else 0.0,
            }
            for (kind, decays), parameters in groups.items()
        ],
        betas=(train.beta1, train.beta2),
        fused=True,
    )


def lr_factor(step: int, train: TrainConfig) -> float:
    """Linear warm-up, constant, then linear to `final_lr_fraction` over the last `decay_fraction` of the steps."""
    warmup = min(1.0, (step + 1) / max(1, train.warmup_steps))
    decay_steps = train.decay_fraction * train.steps
    left = (train.steps - step) / decay_steps if decay_steps else 1.0
    decay = min(1.0, train.final_lr_fraction + (1 - train.final_lr_fraction) * left)
    return warmup * decay


def set_learning_rates(optimizer: torch.optim.AdamW, factor: float) -> None:
    """Set every group's learning rate to its base rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
