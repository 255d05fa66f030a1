"""The smallest models that still have more than one of everything, and batches for them."""

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from flamingo_core import registry
from flamingo_core.config import FlamingoConfig
from flamingo_core.flamingo import Flamingo

PAD, BOS, EOC, IMAGE, VOCABULARY = 0, 1, 2, 3, 50
IMAGE_SIZE, FRAMES, WIDTH, DEPTH = 16, 2, 32, 4

# The sizes of every component are those of scale `tiny`: a new one has them there, and nothing here names it. Only what
# a part shares with the batches below is set, by slot.
TINY = yaml.safe_load((Path(__file__).parents[2] / "experiments/conf/scale/tiny.yaml").read_text(encoding="utf-8"))
SHARED = {
    "vision": {"image_size": IMAGE_SIZE},
    "resampler": {"max_frames": 4},
    "lm": {"vocab_size": VOCABULARY, "width": WIDTH, "depth": DEPTH, "max_positions": 64},
}
BRANCHES: dict[str, dict[str, dict[str, Any]]] = {
    slot: {name: {**sizes, **SHARED.get(slot, {})} for name, sizes in branches.items()}
    for slot, branches in TINY["model"].items()
}

FAMILIES = registry.names("lm")
BLOCKS = registry.names("xattn")
RESAMPLERS = registry.names("resampler")
ENCODERS = registry.names("vision")
PLACEMENTS = ("every", "every_2nd", "every_4th", "single_middle")


def choice(slot: str, name: str, **changes: Any) -> dict[str, Any]:
    """A slot's choice with its branch, as a spec holds it."""
    return {"name": name, name: {**BRANCHES[slot][name], **changes}}


def config(
    *,
    lm: str = "llama",
    xattn: str = "gated",
    placement: str = "every",
    resampler: str = "perceiver",
    vision: str = "clip_vit_l14",
    freeze: bool = True,
    weights: str = "pretrained",
    path: str | None = None,
    **block: Any,
) -> FlamingoConfig:
    """A small model's config; further arguments go to the cross-attention block."""
    return FlamingoConfig(
        vision=choice("vision", vision),
        resampler=choice("resampler", resampler),
        xattn={**choice("xattn", xattn, **block), "placement": placement},
        lm={**choice("lm", lm), "freeze": freeze, "weights": weights, "path": path},
        image_token_id=IMAGE,
        bos_token_id=BOS,
        eos_token_id=EOC,
        pad_token_id=PAD,
    )


def model(*, seed: int = 0, gates: float | None = 0.5, dtype: torch.dtype = torch.float64, **choices: Any) -> Flamingo:
    """A small model in float64 whose gates, where it has any, are open."""
    built = Flamingo(config(**choices), seed=seed).to(dtype)
    if gates is not None:
        with torch.no_grad():
            for parameter in built.parameters():
                if parameter.requires_grad and parameter.ndim == 0:
                    parameter.fill_(gates)
    return built


def enable_checkpointing(model: Flamingo) -> None:
    """Recompute layers in the backward pass, by the name that the installed transformers has for it."""
    name = "activation_checkpointing_enable"  # the only one from transformers 6 on; `gradient_` in 5.17, where we begin
    getattr(model, name if hasattr(model, name) else "gradient_checkpointing_enable")()


def pixels(count: int, *, frames: int = FRAMES, seed: int = 0) -> Tensor:
    """(N, F, 3, H, W) random media."""
    generator = torch.Generator().manual_seed(seed)
    size = (count, frames, 3, IMAGE_SIZE, IMAGE_SIZE)
    return torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)


def prompts() -> list[list[int]]:
    """Rows of different length, with two, one and no image, the second with text before its image."""
    return [[BOS, IMAGE, 7, 8, EOC, IMAGE, 9, 10], [BOS, 11, 12, IMAGE, 13], [BOS, 14, 15, 16, 17, 18]]


def padded(rows: list[list[int]], *, side: str = "left") -> dict[str, Tensor]:
    """Rows as one batch with its mask, and how many media each has."""
    longest = max(map(len, rows))
    ids, mask = torch.full((len(rows), longest), PAD), torch.zeros(len(rows), longest, dtype=torch.long)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), None) if side == "left" else slice(0, len(row))
        ids[number, place], mask[number, place] = torch.tensor(row), 1
    counts = torch.tensor([row.count(IMAGE) for row in rows])
    return {"input_ids": ids, "attention_mask": mask, "media_counts": counts}
