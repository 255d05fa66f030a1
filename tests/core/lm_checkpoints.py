"""Small checkpoints of language models, as save_pretrained writes them."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.core import build

SIZES: dict[str, Any] = {
    "vocab_size": build.VOCABULARY,
    "hidden_size": build.WIDTH,
    "num_hidden_layers": build.DEPTH,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}
OPT_SIZES = {**SIZES, "ffn_dim": 64, "init_std": 0.2}
QWEN3_SIZES = {**SIZES, "head_dim": 8, "num_key_value_heads": 2}
SLIDING = {"use_sliding_window": True, "sliding_window": 4}


def rope(kind: str, **more: Any) -> dict[str, Any]:
    """Rotary embeddings that are stretched."""
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **more}}


# What the checkpoints of one family differ in, each with what could go wrong there.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {**SIZES, "tie_word_embeddings": False}),
    "llama tied head": ("llama", {**SIZES, "tie_word_embeddings": True}),
    "llama fewer key heads": ("llama", {**SIZES, "num_key_value_heads": 2}),
    "llama linear rope": ("llama", {**SIZES, **rope("linear", factor=4.0)}),
    "llama 3 rope": (
        "llama",
        {
            **SIZES,
            **rope(
                "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16
            ),
        },
    ),
    "gpt_neox": ("gpt_neox", SIZES),
    "gpt_neox sequential residual": ("gpt_neox", {**SIZES, "use_parallel_residual": False}),
    "opt": ("opt", {**OPT_SIZES, "word_embed_proj_dim": build.WIDTH}),
    "opt other embedding width": ("opt", {**OPT_SIZES, "word_embed_proj_dim": 16}),
    "opt post-norm": ("opt", {**OPT_SIZES, "word_embed_proj_dim": build.WIDTH, "do_layer_norm_before": False}),
    "opt post-norm, other width": ("opt", {**OPT_SIZES, "word_embed_proj_dim": 16, "do_layer_norm_before": False}),
    "qwen3": ("qwen3", QWEN3_SIZES),
    "qwen3 sliding on top": ("qwen3", {**QWEN3_SIZES, **SLIDING, "max_window_layers": 2}),
    "qwen3 sliding and full in turn": (
        "qwen3",
        {**QWEN3_SIZES, **SLIDING, "layer_types": ["sliding_attention", "full_attention"] * 2},
    ),
}


def write(folder: Path, variant: str, **changes: Any) -> Path:
    """A checkpoint of that kind, with weights that are always the same."""
    model_type, sizes = VARIANTS[variant]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **{**sizes, **changes}))
    model.save_pretrained(folder)
    return folder
