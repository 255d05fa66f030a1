"""GATED XATTN-DENSE: gated cross-attention, then a gated feed-forward (paper section 2.2, figure 4).

B examples, T text tokens, M media, L tokens per medium, D width of the language model.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flamingo_core.config import check_choice, check_positive
from flamingo_core.feed_forward import ACTIVATIONS, FeedForward
from flamingo_core.media_mask import MediaMask
from flamingo_core.registry import register
from flamingo_core.xattn.attention import MediaCrossAttention


@dataclass(kw_only=True, slots=True)
class GatedConfig:
    """Sizes have no default: the scale sets them."""

    num_heads: int
    head_dim: int
    ff_mult: int = 4  # as published, at every scale
    tanh_gating: bool = True
    activation: str = "squared_relu"

    def __post_init__(self) -> None:
        check_positive(self, "num_heads", "head_dim", "ff_mult")
        check_choice(self, "activation", tuple(ACTIVATIONS))


@register("xattn", "gated", config=GatedConfig)
class GatedXattn(nn.Module):
    """(B, T, D) reads (B, M, L, D) -> (B, T, D), before a layer of the language model.

        y = y + tanh(alpha_xattn) * attention(y, media)      zero for a token that sees no medium
        y = y + tanh(alpha_ff) * feed_forward(y)             for every token

    Both alphas are scalars that start at zero, so a new model equals its language model. Without `tanh_gating` both
    residuals are plain and the block has no alphas.
    """

    grafted = False

    def __init__(self, config: GatedConfig, *, width: int):
        super().__init__()
        self.attention = MediaCrossAttention(width, config.num_heads, config.head_dim)
        self.feed_forward = FeedForward(width, config.ff_mult, config.activation)
        self.tanh_gating = config.tanh_gating
        if config.tanh_gating:
            self.alpha_xattn = nn.Parameter(torch.empty(()))
            self.alpha_ff = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    @property
    def starts_as_identity(self) -> bool:
        """Whether a model with new blocks equals its language model."""
        return self.tanh_gating

    def reset_parameters(self) -> None:
        """Close the gates; submodules draw their own weights."""
        if self.tanh_gating:
            nn.init.zeros_(self.alpha_xattn)
            nn.init.zeros_(self.alpha_ff)

    def project_media(self, media: Tensor) -> tuple[Tensor, ...]:
        """(B, M, L, D) -> the media projections that forward reads, each (B, M, L, ...)."""
        return self.attention.project_media(media)

    def forward(self, hidden: Tensor, projected: tuple[Tensor, ...] | None, mask: MediaMask | None) -> Tensor:
        """Condition text on the media it sees; without any media in the batch only the feed-forward runs."""
        if projected is not None and mask is not None:
            hidden = hidden + self._gate("alpha_xattn", self.attention(hidden, projected, mask))
        return hidden + self._gate("alpha_ff", self.feed_forward(hidden))

    def _gate(self, name: str, x: Tensor) -> Tensor:
        return torch.tanh(getattr(self, name)) * x if self.tanh_gating else x
