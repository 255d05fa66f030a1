"""The feed-forward of resamplers and cross-attention blocks: norm, up, activation, down.

D width.
"""

from collections.abc import Callable

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
        self.down = nn.Linear(mult * width, width, bias=False)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """Map every position on its own."""
        return self.down(self.activation(self.up(self.norm(x))))
