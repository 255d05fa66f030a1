"""MLP resampler: maps each visual feature independently, one output token per feature (paper table 3, vi).

B media, F frames, S features per frame, V their width, W hidden width, D width of the tokens, L = F * S tokens.
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
    """Sizes have no default: the scale sets them.

    At the published sizes (width 1536, `ff_mult` 4), depth 10 matches the Perceiver's parameter count within 2%.
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

    The paper mentions an MLP of the Perceiver's size but does not describe it; this one is input projection, time
    embedding, `depth` residual feed-forwards (norm, up, squared ReLU, down), norm, output projection. Features do not
    mix, whether of different media, frames or positions. That is left to cross-attention, which reads all F * S tokens:
    100 for an image and 800 for a clip of 8 frames at the published sizes, where the Perceiver returns 64. There is no
    position embedding over a frame's grid: the only position information is what the encoder put into the features.
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
        """Draw this module's own parameters; submodules draw theirs."""
        nn.init.normal_(self.frame_embedding)

    def num_tokens(self, num_frames: int, num_features: int) -> int:
        """F * S: every feature becomes a token."""
        return num_frames * num_features

    def forward(self, features: Tensor) -> Tensor:
        """Map each feature independently.

        Raises:
            ValueError: more frames than time embeddings.
        """
        x = add_frame_embedding(self.in_proj(features), self.frame_embedding).flatten(1, 2)  # (B, F*S, W)
        for layer in self.layers:
            x = x + layer(x)
        tokens: Tensor = self.out_proj(self.norm_out(x))  # (B, L, D)
        return tokens
