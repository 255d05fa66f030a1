"""The one shape every side is measured at, our model at that shape, and the batches all sides read.

A Llama-like language model of 8 layers, a resampler of 2, cross-attention in front of every layer. The vision encoder
is left out: all sides are given the same features. B examples, T tokens, M media an example, S features, V their width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from flamingo_core.config import FlamingoConfig
from flamingo_core.flamingo import Flamingo

IMAGE = 1
VOCABULARY, WIDTH, DEPTH, HEADS, HEAD_DIM, FF_WIDTH = 2048, 256, 8, 8, 32, 688
FEATURES = 64  # S, of the width V = WIDTH
LATENTS, RESAMPLER_DEPTH, MAX_POSITIONS = 64, 2, 512
GATE = 0.5  # open, as after training: a closed gate would spare some sides a gradient


@dataclass(frozen=True)
class Batch:
    """Examples of one length, the first token of each an image."""

    input_ids: Tensor  # (B, T)
    attention_mask: Tensor  # (B, T), nothing padded
    features: Tensor  # (B, M, S, V)

    @property
    def media_counts(self) -> Tensor:
        """How many media each example has: all have M."""
        return torch.full((len(self.features),), self.features.shape[1])

    @property
    def sees(self) -> Tensor:
        """(B, T, M): whether a token sees a medium, for sides that are told."""
        last = (self.input_ids == IMAGE).cumsum(dim=-1)
        return last.unsqueeze(-1) == torch.arange(1, self.features.shape[1] + 1)


def draw_batch(*, examples: int, tokens: int, images: int, seed: int, even: bool = True) -> Batch:
    """A batch of random tokens and features; images stand evenly spread, or in each example where chance puts them."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(IMAGE + 1, VOCABULARY, (examples, tokens), generator=generator)
    for row in ids:
        places = torch.randperm(tokens - 1, generator=generator)[: images - 1] + 1
        row[0] = IMAGE
        row[torch.arange(images) * tokens // images if even else places] = IMAGE
    features = torch.randn(examples, images, FEATURES, WIDTH, generator=generator)
    return Batch(ids, torch.ones_like(ids), features)


def flamingo() -> Flamingo:
    """Our model; its encoder, the smallest there is, is never called."""
    heads = {"num_heads": HEADS, "head_dim": HEAD_DIM}
    encoder = {"image_size": 16, "patch_size": 8, "width": WIDTH, "depth": 1, "num_heads": HEADS, "ff_width": WIDTH}
    resampler = {"width": WIDTH, "depth": RESAMPLER_DEPTH, "num_latents": LATENTS, "max_frames": 1, **heads}
    lm = {
        "vocab_size": VOCABULARY,
        "width": WIDTH,
        "depth": DEPTH,
        "num_heads": HEADS,
        "ff_width": FF_WIDTH,
        "max_positions": MAX_POSITIONS,
    }
    config = FlamingoConfig(
        vision={"name": "clip_vit_l14", "clip_vit_l14": encoder},
        resampler={"name": "perceiver", "perceiver": resampler},
        xattn={"name": "gated", "placement": "every", "gated": heads},
        lm={"name": "llama", "llama": lm, "freeze": True, "weights": "pretrained", "path": None},
        image_token_id=IMAGE,
    )
    model = Flamingo(config)
    with torch.no_grad():
        for layer in model.conditioned_layers():
            layer.block.alpha_xattn.fill_(GATE)
            layer.block.alpha_ff.fill_(GATE)
    return model
