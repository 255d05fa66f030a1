"""VANILLA XATTN: the cross-attention of the original Transformer decoder (paper section 3.3, table 3 iv).

B examples, T text tokens, M media, L tokens per medium, D width of the language model.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from flamingo_core.config import check_positive
from flamingo_core.media_mask import MediaMask
from flamingo_core.registry import register
from flamingo_core.xattn.attention import MediaCrossAttention


@dataclass(kw_only=True, slots=True)
class VanillaConfig:
    """Sizes have no default: the scale sets them."""

    num_heads: int
    head_dim: int

    def __post_init__(self) -> None:
        check_positive(self, "num_heads", "head_dim")


@register("xattn", "vanilla", config=VanillaConfig)
class VanillaXattn(nn.Module):
    """(B, T, D) reads (B, M, L, D) -> (B, T, D), before a layer of the language model.

        y = y + attention(y, media)      zero for a token that sees no medium

    No feed-forward and no gate, so a new model does not equal its language model.
    """

    grafted = False
    starts_as_identity = False

    def __init__(self, config: VanillaConfig, *, width: int):
        super().__init__()
        self.attention = MediaCrossAttention(width, config.num_heads, config.head_dim)

    def project_media(self, media: Tensor) -> tuple[Tensor, ...]:
        """(B, M, L, D) -> the media projections that forward reads, each (B, M, L, ...)."""
        return self.attention.project_media(media)

    def forward(self, hidden: Tensor, projected: tuple[Tensor, ...] | None, mask: MediaMask | None) -> Tensor:
        """Condition text on the media it sees; the identity if the batch has no media."""
        if projected is None or mask is None:
            return hidden
        return hidden + self.attention(hidden, projected, mask)
