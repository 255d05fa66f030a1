"""Assemble a Flamingo: build the language model, draw initial weights, insert the cross-attention blocks."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from flamingo_core import registry
from flamingo_core.conditioning import ConditionedLayer
from flamingo_core.config import FlamingoConfig
from flamingo_core.init import FROZEN_SEED, initialise
from flamingo_core.lm.causal_lm import CausalLM
from flamingo_core.xattn.placement import block_layers


def build_language_model(config: FlamingoConfig) -> CausalLM:
    """Build the adapter of the chosen family and its model, read from the directory `path` if one is given."""
    choice = config.lm
    return registry.build("lm", choice, path=choice["path"], load_weights=choice["weights"] == "pretrained")


def draw_weights(config: FlamingoConfig, seed: int, *, vision: nn.Module, resampler: nn.Module, lm: nn.Module) -> None:
    """Draw the weights of encoder, resampler and language model that are not loaded from a file.

    A frozen part without a weight file stands in for a pretrained one, so it does not depend on the run's seed.
    """
    initialise(resampler, seed=seed, name="resampler")
    if getattr(config.component_config("vision"), "path", None) is None:
        initialise(vision, seed=FROZEN_SEED, name="vision")
    if config.lm["weights"] == "random":
        initialise(lm, seed=seed, name="lm")
    elif config.lm["path"] is None:
        initialise(lm, seed=FROZEN_SEED, name="lm")


def insert_blocks(lm: CausalLM, config: FlamingoConfig, seed: int | None) -> None:
    """Wrap every layer of the language model, adding a block to the layers the architecture and placement select.

    Raises:
        ValueError: the placement is unknown, or the architecture does not support it.
    """
    choice = {key: value for key, value in config.xattn.items() if key != "placement"}
    placement = config.xattn["placement"]
    if registry.component("xattn", choice["name"]).cls.grafted:
        if placement != "every":
            raise ValueError(
                f"`placement` is `{placement}`; `{choice['name']}` stands on the language model: allowed: every"
            )
        _graft(lm, choice, seed)
    else:
        _insert(lm, choice, block_layers(placement, lm.depth), seed)


def _insert(lm: CausalLM, choice: Mapping[str, Any], indices: tuple[int, ...], seed: int | None) -> None:
    layers = lm.layers()
    for index in range(lm.depth):
        block = _build_block(lm, choice, index, seed) if index in indices else None
        layers[index] = ConditionedLayer(layers[index], index, block)


def _graft(lm: CausalLM, choice: Mapping[str, Any], seed: int | None) -> None:
    num_pairs = registry.make_config("xattn", choice).num_pairs
    new_layers = [lm.new_layer(lm.depth + pair) for pair in range(num_pairs)]
    _insert(lm, choice, (), seed)
    for index, layer in enumerate(new_layers, start=lm.depth):
        if seed is not None:
            initialise(layer, seed=seed, name=f"xattn.{index}.self_attention", owner=lm.model)
        lm.layers().append(ConditionedLayer(layer, index, _build_block(lm, choice, index, seed), grafted=True))
    lm.set_depth(lm.depth + num_pairs)


def _build_block(lm: CausalLM, choice: Mapping[str, Any], index: int, seed: int | None) -> nn.Module:
    block: nn.Module = registry.build("xattn", choice, width=lm.width)
    if seed is not None:
        initialise(block, seed=seed, name=f"xattn.{index}")
    return block
