"""Transformer resampler: self-attention over a medium's features, one output token per feature (paper table 3, vi).

B media, F frames, S features per frame, V their width, W hidden width, H heads of size d, D width of the tokens,
L = F * S.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from flamingo_core.config import check_positive
from flamingo_core.feed_forward import FeedForward
from flamingo_core.registry import register
from flamingo_core.resampler.frames import add_frame_embedding


@dataclass(kw_only=True, slots=True)
class TransformerConfig:
    """Sizes have no default: the scale sets them.

    With the Perceiver's published sizes it matches the Perceiver's parameter count within 2%.
    """

    width: int
    depth: int
    num_heads: int
    head_dim: int
    max_frames: int  # learned time embeddings
    ff_mult: int = 4  # the Perceiver's

    def __post_init__(self) -> None:
        check_positive(self, "width", "depth", "num_heads", "head_dim", "max_frames", "ff_mult")


@register("resampler", "transformer", config=TransformerConfig)
class Transformer(nn.Module):
    """(B, F, S, V) -> (B, F * S, D).

    The paper mentions a Transformer of the Perceiver's size but does not describe it; this one is input projection,
    time embedding, `depth` pre-norm layers of self-attention and feed-forward (squared ReLU), norm, output projection.
    The features of all frames of a medium attend to each other, without a mask. There is no position embedding over a
    frame's grid: the only position information is what the encoder put into the features, and permuting the features of
    a frame permutes its tokens. Media never mix. Cross-attention reads all F * S tokens: 100 for an image and 800 for a
    clip of 8 frames at the published sizes, where the Perceiver returns 64.
    """

    def __init__(self, config: TransformerConfig, *, in_width: int, out_width: int):
        super().__init__()
        self.in_proj = nn.Linear(in_width, config.width, bias=False)
        self.frame_embedding = nn.Parameter(torch.empty(config.max_frames, config.width))
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(config.width)
        self.out_proj = nn.Linear(config.width, out_width, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw this module's own parameters; submodules draw theirs."""
        nn.init.normal_(self.frame_embedding)

    def num_tokens(self, num_frames: int, num_features: int) -> int:
        """F * S: every feature becomes a token."""
        return num_frames * num_features

    def forward(self, features: Tensor) -> Tensor:
        """Let the features of each medium attend to each other.

        Raises:
            ValueError: more frames than time embeddings.
        """
        x = add_frame_embedding(self.in_proj(features), self.frame_embedding).flatten(1, 2)  # (B, F*S, W)
        for layer in self.layers:
            x = layer(x)
        tokens: Tensor = self.out_proj(self.norm_out(x))  # (B, L, D)
        return tokens


class TransformerLayer(nn.Module):
    """(B, L, W) -> (B, L, W): self-attention, then a feed-forward; both pre-norm, both residual."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        inner = config.num_heads * config.head_dim
        self.num_heads = config.num_heads
        self.norm = nn.LayerNorm(config.width)
        self.to_qkv = nn.Linear(config.width, 3 * inner, bias=False)
        self.to_out = nn.Linear(inner, config.width, bias=False)
        self.feed_forward = FeedForward(config.width, config.ff_mult)

    def forward(self, x: Tensor) -> Tensor:
        """Attend over all positions of each medium, then map each position independently."""
        queries, keys, values = self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        q, k, v = (y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for y in (queries, keys, values))
        attended = scaled_dot_product_attention(q, k, v)  # (B, H, L, d)
        x = x + self.to_out(attended.transpose(1, 2).flatten(2))
        fed: Tensor = x + self.feed_forward(x)
        return fed
