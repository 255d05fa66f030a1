"""The feed-forward of resamplers and cross-attention blocks: norm, up, activation, down.

D width.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def squared_relu(x: Tensor) -> Tensor:
    """relu(x)^2, the activation of the paper (section A.1.2 of its appendix, from memory)."""
    return torch.relu(x).square()


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "squared_relu": squared_relu,
    "gelu": nn.functional.gelu,
    "relu": torch.relu,
}


class FeedForward(nn.Module):
    """(..., D) -> (..., D). Pre-norm inside, no residual and no biases: the caller adds and gates."""

    def __init__(self, width: int, mult: int, activation: str = "squared_relu"):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, mult * width, bias=False)
        self.fused = activation == "squared_relu"  # then `down` applies it
        self.activation = ACTIVATIONS[activation]
        down = SquaredReluLinear if self.fused else nn.Linear
        self.down = down(mult * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map every position on its own."""
        wide = self.up(self.norm(x))
        return self.down(wide if self.fused else self.activation(wide))


class SquaredReluLinear(nn.Linear):
    """squared_relu, then a linear map without bias, keeping one wide activation for the backward pass and not two."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., 4 D) -> (..., D)."""
        mapped: Tensor = _SquaredReluLinear.apply(x, self.weight)
        return mapped


class _SquaredReluLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        rectified = torch.relu(x)
        return nn.functional.linear(rectified.mul_(rectified), weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        # autocast does not reach here: the gradient's precision is the one to compute in
        x, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        rectified = torch.relu(x)
        for_x = (2 * gradient) @ weight * rectified if ctx.needs_input_grad[0] else None
        for_weight = None
        if ctx.needs_input_grad[1]:
            for_weight = gradient.flatten(0, -2).mT @ rectified.square().flatten(0, -2)
        return for_x, for_weight
