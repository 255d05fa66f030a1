"""Components as someone else would write them, from the words of the contract and with no code of ours."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, softmax

from flamingo_core import registry

STRANGE: dict[str, Any] = {"name": "strange", "strange": {"size": 8}}


@dataclass(kw_only=True, slots=True)
class StrangeConfig:
    """One size is enough for any of the three."""

    size: int


class StrangeResampler(nn.Module):
    """Two tokens: what the first and the last frame show, mapped by one matrix each."""

    def __init__(self, config: StrangeConfig, *, in_width: int, out_width: int):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(in_width, config.size), nn.Tanh(), nn.Linear(config.size, out_width))
        self.last = nn.Linear(in_width, out_width)

    def num_tokens(self, num_frames: int, num_features: int) -> int:
        return 2

    def forward(self, features: Tensor) -> Tensor:
        means = features.mean(dim=2)  # (N, F, V)
        return torch.stack([self.first(means[:, 0]), self.last(means[:, -1])], dim=1)


class StrangeBlock(nn.Module):
    """Additive attention with one gate a channel, which starts closed; its media are read as one tensor."""

    grafted = False
    starts_as_identity = True

    def __init__(self, config: StrangeConfig, *, width: int):
        super().__init__()
        self.ask = nn.Linear(width, config.size)
        self.read = nn.Linear(width, config.size + width)
        self.score = nn.Linear(config.size, 1, bias=False)
        self.gate = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.gate)

    def project_media(self, media: Tensor) -> tuple[Tensor, ...]:
        return (self.read(media),)

    def forward(self, hidden: Tensor, projected: tuple[Tensor, ...] | None, mask: Any) -> Tensor:
        if projected is None or mask is None:
            return hidden
        keys, values = projected[0].flatten(1, 2).split([self.score.in_features, hidden.shape[-1]], dim=-1)
        scores = self.score(torch.tanh(self.ask(hidden)[:, :, None] + keys[:, None]))[..., 0]  # (B, T, M*L)
        if mask.allowed is not None:
            scores = scores.masked_fill(~mask.allowed[:, 0], float("-inf"))
        return hidden + torch.where(mask.sees, self.gate * (softmax(scores, dim=-1) @ values), 0.0)


class StrangeEncoder(nn.Module):
    """Four features: the colour of each quarter, mapped."""

    def __init__(self, config: StrangeConfig):
        super().__init__()
        self.num_features, self.width = 4, config.size
        self.map = nn.Linear(3, config.size)

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.tanh(self.map(adaptive_avg_pool2d(pixels, 2).flatten(2).transpose(1, 2)))


STRANGERS: dict[str, type[nn.Module]] = {"resampler": StrangeResampler, "xattn": StrangeBlock, "vision": StrangeEncoder}


def take_in(monkeypatch: pytest.MonkeyPatch, slot: str, cls: type[nn.Module]) -> None:
    """Register a class as `strange` for the length of a test; afterwards the registry is as it was."""
    registry.names(slot)
    monkeypatch.setitem(registry._components, slot, dict(registry._components[slot]))
    registry.register(slot, "strange", config=StrangeConfig)(cls)
