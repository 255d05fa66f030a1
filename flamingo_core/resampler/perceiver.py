"""Perceiver resampler: any number of visual features in, a fixed number of tokens out (paper section 2.1, figure 5).

B media, F frames, S features per frame, V their width, L latents, W hidden width, H heads of size d, D width of the
tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from flamingo_core.config import check_choice, check_positive
from flamingo_core.feed_forward import ACTIVATIONS, FeedForward
from flamingo_core.registry import register
from flamingo_core.resampler.frames import add_frame_embedding


@dataclass(kw_only=True, slots=True)
class PerceiverConfig:
    """Sizes have no default: the scale sets them."""

    width: int
    depth: int
    num_heads: int
    head_dim: int
    num_latents: int  # L: tokens per medium
    max_frames: int  # learned time embeddings
    ff_mult: int = 4  # as published, at every scale
    activation: str = "squared_relu"

    def __post_init__(self) -> None:
        check_positive(self, "width", "depth", "num_heads", "head_dim", "num_latents", "max_frames", "ff_mult")
        check_choice(self, "activation", tuple(ACTIVATIONS))


@register("resampler", "perceiver", config=PerceiverConfig)
class Perceiver(nn.Module):
    """(B, F, S, V) -> (B, L, D).

    Each frame gets its time embedding, then all are flattened into one sequence; an image is a clip of one frame.
    Latents attend to [features ; latents]. There is no position embedding over a frame's grid: the encoder's features
    carry the position. Media never mix.
    """

    def __init__(self, config: PerceiverConfig, *, in_width: int, out_width: int):
        super().__init__()
        self.in_proj = nn.Linear(in_width, config.width, bias=False)
        self.frame_embedding = nn.Parameter(torch.empty(config.max_frames, config.width))
        self.latents = nn.Parameter(torch.empty(config.num_latents, config.width))
        self.layers = nn.ModuleList(PerceiverLayer(config) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(config.width)
        self.out_proj = nn.Linear(config.width, out_width, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw this module's own parameters; submodules draw theirs."""
        nn.init.normal_(self.frame_embedding)
        nn.init.normal_(self.latents)

    def num_tokens(self, num_frames: int, num_features: int) -> int:
        """L, whatever the input size."""
        return self.latents.shape[0]

    def forward(self, features: Tensor) -> Tensor:
        """Resample each medium independently.

        Raises:
            ValueError: more frames than time embeddings.
        """
        x = add_frame_embedding(self.in_proj(features), self.frame_embedding).flatten(1, 2)  # (B, F*S, W)
        latents = self.latents.unsqueeze(0)  # (1, L, W): the first layer maps them once for all media
        for layer in self.layers:
            latents = layer(x, latents)
        return self.out_proj(self.norm_out(latents))  # (B, L, D)


class PerceiverLayer(nn.Module):
    """Latents attend to [features ; latents], then pass through a feed-forward: both pre-norm, both residual."""

    def __init__(self, config: PerceiverConfig):
        super().__init__()
        inner = config.num_heads * config.head_dim
        self.num_heads = config.num_heads
        self.norm_features = nn.LayerNorm(config.width)
        self.norm_latents = nn.LayerNorm(config.width)
        self.to_q = nn.Linear(config.width, inner, bias=False)
        self.to_kv = nn.Linear(config.width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, config.width, bias=False)
        self.feed_forward = FeedForward(config.width, config.ff_mult, config.activation)

    def forward(self, features: Tensor, latents: Tensor) -> Tensor:
        """(B, F*S, W), (B, L, W) or (1, L, W) for all -> (B, L, W)."""
        normed, examples = self.norm_latents(latents), (len(features), -1, -1)
        read = [self.to_kv(self.norm_features(features)), self.to_kv(normed).expand(examples)]
        keys, values = torch.cat(read, dim=1).chunk(2, dim=-1)
        queries = self.to_q(normed).expand(examples)
        q, k, v = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (queries, keys, values))
        attended = scaled_dot_product_attention(q, k, v)  # (B, H, L, d)
        latents = latents + self.to_out(attended.transpose(1, 2).flatten(2))
        return latents + self.feed_forward(latents)
