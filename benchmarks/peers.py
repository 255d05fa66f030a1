"""Public peers at the shape of `shape.py`: flamingo-pytorch's parts in our Llama, and transformers' Idefics.

Nothing of theirs is changed but sizes. Each is frozen as ours is: the resampler and the blocks train.
"""

from types import SimpleNamespace
from typing import Any

import torch
from flamingo_pytorch import GatedCrossAttentionBlock, PerceiverResampler
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, IdeficsConfig, IdeficsForVisionText2Text

from benchmarks.shape import (
    DEPTH,
    FF_WIDTH,
    GATE,
    HEAD_DIM,
    HEADS,
    IMAGE,
    LATENTS,
    MAX_POSITIONS,
    RESAMPLER_DEPTH,
    VOCABULARY,
    WIDTH,
)
from flamingo_core.lm.causal_lm import CausalLMConfig, Llama

MAX_MEDIA = 17  # flamingo-pytorch learns one embedding a medium; 16 shots and a query


class FlamingoPytorch(nn.Module):
    """flamingo-pytorch's resampler and gated blocks, a block in front of each layer of the Llama that ours has.

    Its own language model (PaLM-like, without a cache) is left out, so that both sides differ in Flamingo's parts only.
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = CausalLMConfig(
            vocab_size=VOCABULARY,
            width=WIDTH,
            depth=DEPTH,
            num_heads=HEADS,
            ff_width=FF_WIDTH,
            max_positions=MAX_POSITIONS,
        )
        self.lm = AutoModelForCausalLM.from_config(Llama.transformers_config(sizes)).requires_grad_(False)
        self.resampler = PerceiverResampler(
            dim=WIDTH,
            depth=RESAMPLER_DEPTH,
            heads=HEADS,
            dim_head=HEAD_DIM,
            num_latents=LATENTS,
            num_media_embeds=MAX_MEDIA,
        )
        for index, layer in enumerate(self.lm.model.layers):
            self.lm.model.layers[index] = _Conditioned(layer)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, features: Tensor, labels: Tensor) -> Any:
        """The language model's output with its loss; the blocks read where the images are."""
        media = {"media": self.resampler(features), "media_locations": input_ids == IMAGE}
        return self.lm(input_ids, attention_mask, labels=labels, use_cache=False, **media)


class _Conditioned(nn.Module):
    """A layer of the language model with flamingo-pytorch's block in front of it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.block = GatedCrossAttentionBlock(dim=WIDTH, heads=HEADS, dim_head=HEAD_DIM)
        nn.init.constant_(self.block.attn_gate, GATE)
        nn.init.constant_(self.block.ff_gate, GATE)
        self.layer = layer

    def forward(self, hidden: Tensor, *args: Any, media: Tensor, media_locations: Tensor, **kwargs: Any) -> Any:
        return self.layer(self.block(hidden, media, media_locations=media_locations), *args, **kwargs)


def idefics() -> IdeficsForVisionText2Text:
    """Transformers' Idefics; its feed-forwards are SwiGLU and therefore 688 wide where ours are 1024."""
    config = IdeficsConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=FF_WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        max_position_embeddings=MAX_POSITIONS,
        tie_word_embeddings=True,
        freeze_lm_head=True,
        use_resampler=True,
        perceiver_config={
            "use_resampler": True,
            "resampler_n_latents": LATENTS,
            "resampler_depth": RESAMPLER_DEPTH,
            "resampler_n_heads": HEADS,
            "resampler_head_dim": HEAD_DIM,
        },
        vision_config={"embed_dim": WIDTH, "num_hidden_layers": 1, "image_size": 16, "patch_size": 8},
    )
    model = IdeficsForVisionText2Text(config)
    model.model.vision_model = _Features()
    with torch.no_grad():
        for block in model.model.gated_cross_attn_layers:
            block.alpha_cross_attn.fill_(GATE)
            block.alpha_dense.fill_(GATE)
    return model


class _Features(nn.Module):
    """Stands in for an encoder: its pixels are the features. Idefics' `generate` takes no features as such."""

    def forward(self, pixel_values: Tensor, **_: Any) -> Any:
        return SimpleNamespace(last_hidden_state=pixel_values)
