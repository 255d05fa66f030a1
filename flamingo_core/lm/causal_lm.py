"""Causal language models from transformers: one adapter per family that cross-attention blocks can condition.

A family can be listed here if its decoder forwards unknown keyword arguments to every layer, so that a layer can be
replaced by one that also takes media, and if its layers pass on a single hidden state.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from flamingo_core.config import check_positive
from flamingo_core.pretrained import check_weights, load_model, on_meta
from flamingo_core.registry import register


@dataclass(kw_only=True, slots=True)
class CausalLMConfig:
    """Sizes of a language model built here; no defaults, the scale sets them. A model read from a path has its own."""

    vocab_size: int
    width: int
    depth: int
    num_heads: int
    ff_width: int
    max_positions: int

    def __post_init__(self) -> None:
        check_positive(self, "vocab_size", "width", "depth", "num_heads", "ff_width", "max_positions")


class CausalLM:
    """One model family: the names of its sizes and the location of its layers. `model` is the transformers model."""

    model_type: ClassVar[str]
    init_std_key: ClassVar[str] = "initializer_range"
    sizes: ClassVar[Mapping[str, str]] = {
        "vocab_size": "vocab_size",
        "width": "hidden_size",
        "depth": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "ff_width": "intermediate_size",
        "max_positions": "max_position_embeddings",
    }

    def __init__(self, config: CausalLMConfig, *, path: str | None = None, load_weights: bool = True):
        """Build from `config`, or from the directory `path`: its sizes and, with `load_weights`, its weights.

        Raises:
            ValueError: the directory has no model, a model of another family, or weights that do not fit.
        """
        sizes = self.transformers_config(config, path)
        if path is not None and load_weights:
            check_weights(path, "model.lm.path")
        if path is not None and load_weights and not on_meta():
            self.model: PreTrainedModel = load_model(AutoModelForCausalLM, path, "model.lm.path")
        else:
            self.model = AutoModelForCausalLM.from_config(sizes, dtype=torch.get_default_dtype())
        self.width: int = self.model.config.hidden_size
        self.depth: int = self.model.config.num_hidden_layers

    @classmethod
    def transformers_config(cls, config: CausalLMConfig, path: str | None = None) -> PreTrainedConfig:
        """The model's transformers config."""
        if path is not None:
            check_family(path, cls.model_type)
            return AutoConfig.from_pretrained(path)
        sizes = {theirs: getattr(config, ours) for ours, theirs in cls.sizes.items()}
        # transformers' default std of 0.02 suits widths near 2048: a narrow model could not tell words apart
        return AutoConfig.for_model(
            cls.model_type, **sizes, **{cls.init_std_key: config.width**-0.5}, **cls.further(config)
        )

    @classmethod
    def further(cls, config: CausalLMConfig) -> dict[str, Any]:
        """Other arguments of the family's config, besides its sizes."""
        return {"tie_word_embeddings": True}

    def decoder(self) -> Any:
        """The module whose `layers` run one after the other."""
        return self.model.model

    def layers(self) -> nn.ModuleList:
        """The decoder's layers; the list may be modified in place."""
        layers = self.decoder().layers
        assert isinstance(layers, nn.ModuleList)
        return layers

    def new_layer(self, index: int) -> nn.Module:
        """A new layer of the family's own class, for position `index` in the decoder."""
        config = deepcopy(self.model.config)
        config.num_hidden_layers = index + 1
        if getattr(config, "layer_types", None) is not None:
            config.layer_types = [*config.layer_types, *[config.layer_types[-1]] * (index + 1 - self.depth)]
        return type(self.layers()[0])(config, index)

    def set_depth(self, num_layers: int) -> None:
        """Update the decoder's config to this number of layers, after some were added."""
        config = self.model.config
        if getattr(config, "layer_types", None) is not None:
            config.layer_types = [*config.layer_types, *[config.layer_types[-1]] * (num_layers - self.depth)]
        config.num_hidden_layers = num_layers


@register("lm", "llama", config=CausalLMConfig)
class Llama(CausalLM):
    """Llama and what shares its architecture (SmolLM2 among them)."""

    model_type = "llama"


@register("lm", "gpt_neox", config=CausalLMConfig)
class GPTNeoX(CausalLM):
    """GPT-NeoX and Pythia."""

    model_type = "gpt_neox"

    def decoder(self) -> Any:
        """GPT-NeoX names its decoder `gpt_neox`."""
        return self.model.gpt_neox


@register("lm", "opt", config=CausalLMConfig)
class OPT(CausalLM):
    """OPT, pre-norm sizes."""

    model_type = "opt"
    init_std_key = "init_std"
    sizes: ClassVar[Mapping[str, str]] = {**CausalLM.sizes, "ff_width": "ffn_dim"}

    @classmethod
    def further(cls, config: CausalLMConfig) -> dict[str, Any]:
        """OPT allows an embedding width that differs from the hidden width; models built here do not use it."""
        return {"tie_word_embeddings": True, "word_embed_proj_dim": config.width}

    def decoder(self) -> Any:
        """OPT keeps its decoder one level deeper."""
        return self.model.model.decoder


@register("lm", "qwen3", config=CausalLMConfig)
class Qwen3(CausalLM):
    """Qwen3, dense sizes."""

    model_type = "qwen3"

    @classmethod
    def further(cls, config: CausalLMConfig) -> dict[str, Any]:
        """Qwen3's defaults for head size and number of key-value heads do not depend on the width."""
        heads = {"head_dim": config.width // config.num_heads, "num_key_value_heads": config.num_heads}
        return {"tie_word_embeddings": True, **heads}


def check_family(path: str, model_type: str) -> None:
    """Check that the directory holds a model of this family.

    Raises:
        ValueError: there is no config.json, or it names another architecture.
    """
    try:
        found = json.loads((Path(path) / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"`model.lm.path` is `{path}`; allowed: a directory with a config.json, as save_pretrained writes"
        ) from error
    if found != model_type:
        families = ", ".join(sorted(family.model_type for family in CausalLM.__subclasses__()))
        raise ValueError(
            f"`model.lm.path` holds a `{found}` model, but `model.lm.name` is `{model_type}`; "
            f"families that can be conditioned: {families}"
        )
