"""The feed-forward of resamplers and cross-attention blocks: norm, up-projection, activation, down-projection.

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
    """(..., D) -> (..., D). Includes the pre-norm, but no residual and no biases: the caller adds and gates."""

    def __init__(self, width: int, mult: int, activation: str = "squared_relu"):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, mult * width, bias=False)
        self.fused = activation == "squared_relu"  # then `down` applies it
        self.activation = ACTIVATIONS[activation]
        down = SquaredReluLinear if self.fused else nn.Linear
        self.down = down(mult * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map every position independently."""
        wide = self.up(self.norm(x))
        return self.down(wide if self.fused else self.activation(wide))


class SquaredReluLinear(nn.Linear):
    """squared_relu, then a linear map without bias; saves one wide activation for the backward pass instead of two."""

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
        # autocast does not apply here: compute in the gradient's dtype
        x, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        rectified = torch.relu(x)
        for_x = (2 * gradient) @ weight * rectified if ctx.needs_input_grad[0] else None
        for_weight = None
        if ctx.needs_input_grad[1]:
            for_weight = gradient.flatten(0, -2).mT @ rectified.square().flatten(0, -2)
        return for_x, for_weight
