"""Checks of components from outside on the meta device: weights can be initialised, output shapes match the slot.

Errors in such a class are found before anything runs, and are reported under its slot's key. No values are computed and
no weights are read. Built-in components are skipped: tests cover them, and a command should start fast.

N media, F frames, S features per frame, V their width, L tokens per medium, D width of the language model; B examples,
M media per example, T tokens of text.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments.common.problems import Problem, UserError

if TYPE_CHECKING:
    from torch import nn

    from flamingo_core.flamingo import Flamingo

EXAMPLES, MOST, TOKENS = 2, 2, 3  # B, M and T: the first example has one medium, the second two
MEDIA = 3  # N


def try_parts(model: "Flamingo", *, image_size: int, frames: int) -> None:
    """Check the encoder, the resampler and the first block of a model on the meta device, unless they are built in.

    Raises:
        UserError: one of them breaks the contract of its slot.
    """
    import torch

    from flamingo_core import registry

    with torch.device("meta"), torch.no_grad():
        for slot, part in _parts(model).items():
            if registry.component(slot, getattr(model.config, slot)["name"]).built_in:
                continue
            try:
                _draw(slot, part, model)
                for count in (1, frames):
                    TRIALS[slot](part, model, image_size, count)
            except Exception as error:
                raise UserError([_problem(slot, getattr(model.config, slot), error)]) from error


def _parts(model: "Flamingo") -> "dict[str, nn.Module]":
    parts = {"vision": model.vision, "resampler": model.resampler}
    for layer in model.conditioned_layers():
        assert layer.block is not None
        return {**parts, "xattn": layer.block}
    return parts


def _draw(slot: str, part: "nn.Module", model: "Flamingo") -> None:
    from flamingo_core.init import initialise

    if slot != "vision" or getattr(model.config.component_config("vision"), "path", None) is None:
        initialise(part, seed=0, name=slot)


def _try_vision(vision: Any, model: "Flamingo", image_size: int, frames: int) -> None:
    import torch

    pixels = torch.empty(MEDIA * frames, 3, image_size, image_size)
    _require("forward", vision(pixels), (len(pixels), vision.num_features, vision.width), "N, num_features, width")


def _try_resampler(resampler: Any, model: "Flamingo", image_size: int, frames: int) -> None:
    import torch

    vision: Any = model.vision
    features = torch.empty(MEDIA, frames, vision.num_features, vision.width)
    num_tokens = resampler.num_tokens(frames, vision.num_features)
    expected = (MEDIA, num_tokens, model.config.hidden_size)
    _require(f"forward on media of {frames} frames", resampler(features), expected, "N, num_tokens, out_width")


def _try_block(block: Any, model: "Flamingo", image_size: int, frames: int) -> None:
    import torch

    from flamingo_core.media_mask import MediaMask

    resampler, vision, width = model.resampler, model.vision, model.config.hidden_size
    num_tokens = resampler.num_tokens(frames, vision.num_features)
    projected = block.project_media(torch.empty(EXAMPLES, MOST, num_tokens, width))  # (B, M, L, D)
    if not isinstance(projected, tuple):
        raise TypeError(f"project_media gives {type(projected).__name__}; allowed: a tuple of tensors")
    for tensor in projected:
        kept = (EXAMPLES, MOST, num_tokens, *tensor.shape[3:])
        _require("project_media", tensor, kept, "B, M, L, ...")
    text_time = torch.empty(EXAMPLES, TOKENS, dtype=torch.long)  # (B, T)
    hidden = torch.empty(EXAMPLES, TOKENS, width)  # (B, T, D)
    mask = MediaMask.of(text_time, num_media=MOST, num_tokens=num_tokens)
    _require("forward", block(hidden, projected, mask), tuple(hidden.shape), "B, T, D")
    _require("forward without media", block(hidden, None, None), tuple(hidden.shape), "B, T, D")


TRIALS = {"vision": _try_vision, "resampler": _try_resampler, "xattn": _try_block}


def _require(what: str, given: Any, expected: tuple[int, ...], letters: str) -> None:
    shape = tuple(given.shape) if hasattr(given, "shape") else type(given).__name__
    if shape != expected:
        raise ValueError(f"{what} gives {shape}; allowed: {expected}, which is ({letters})")


def _problem(slot: str, choice: Mapping[str, Any], error: Exception) -> Problem:
    reason = " ".join(str(error).split()) or type(error).__name__
    return Problem(
        text=f"`model.{slot}.name` is `{choice['name']}`, which does not keep the contract of its slot: {reason}",
        hint="docs/components.md says what a component must provide; debug=true shows where it fails",
        key=f"model.{slot}.name",
        value=choice["name"],
    )
