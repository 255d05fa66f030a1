"""MLP resampler: every visual feature mapped on its own; as many tokens leave as features enter (paper table 3, vi).

B media, F frames, S features a frame, V their width, W width inside, D width of the tokens, L = F * S tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flamingo_core.config import check_positive
from flamingo_core.feed_forward import FeedForward
from flamingo_core.registry import register
from flamingo_core.resampler.frames import add_frame_embedding


@dataclass(kw_only=True, slots=True)
class MLPConfig:
    """Sizes have no default: the scale says.

    At the published sizes (width 1536, `ff_mult` 4) a depth of 10 has the parameters of the Perceiver within 2%.
    """

    width: int
    depth: int
    max_frames: int  # learned time embeddings
    ff_mult: int = 4  # the Perceiver's

    def __post_init__(self) -> None:
        check_positive(self, "width", "depth", "max_frames", "ff_mult")


@register("resampler", "mlp", config=MLPConfig)
class MLP(nn.Module):
    """(B, F, S, V) -> (B, F * S, D).

    The paper names an MLP of the Perceiver's size and does not describe it; this one is input projection, time
    embedding, `depth` residual feed-forwards (norm, up, squared ReLU, down), norm, output projection. Nothing moves
    between features: neither media nor frames nor places mix. That is left to cross-attention, which reads all F * S
    tokens: 100 of a picture and 800 of a clip of 8 frames at the published sizes, where the Perceiver leaves 64. There
    is no position embedding over a frame's grid: a feature's place is known only as far as the encoder wrote it in.
    """

    def __init__(self, config: MLPConfig, *, in_width: int, out_width: int):
        super().__init__()
        self.in_proj = nn.Linear(in_width, config.width, bias=False)
        self.frame_embedding = nn.Parameter(torch.empty(config.max_frames, config.width))
        self.layers = nn.ModuleList(FeedForward(config.width, config.ff_mult) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(config.width)
        self.out_proj = nn.Linear(config.width, out_width, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw what this module holds itself; its parts draw their own."""
        nn.init.normal_(self.frame_embedding)

    def num_tokens(self, num_frames: int, num_features: int) -> int:
        """F * S: every feature becomes a token."""
        return num_frames * num_features

    def forward(self, features: Tensor) -> Tensor:
        """Map each feature on its own.

        Raises:
            ValueError: more frames than time embeddings.
        """
        x = add_frame_embedding(self.in_proj(features), self.frame_embedding).flatten(1, 2)  # (B, F*S, W)
        for layer in self.layers:
            x = x + layer(x)
        tokens: Tensor = self.out_proj(self.norm_out(x))  # (B, L, D)
        return tokens
