"""How media reach the blocks: a layer wrapper, the media of one forward pass, and the generation cache.

B examples (rows), T text tokens, M media per example, L tokens per medium, D width of the language model.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache
from transformers.modeling_layers import GradientCheckpointingLayer

from flamingo_core.media_mask import MediaMask


class FlamingoCache(DynamicCache):
    """The language model's cache, plus each block's keys and values of the media.

    The first forward pass projects the media once, for the B rows they were resampled for; all beams or sequences
    expanded from a row share the result. After that pass only each row's last medium is kept: new tokens attend to no
    other, since `generate` never emits `<image>`.
    """

    def __init__(self, media: Tensor | None, num_marks: Tensor):
        """Media (B, M, L, D), or None if there are none; `num_marks` (B,), how many of the M each row has."""
        super().__init__()
        self.media = media
        self.num_marks = num_marks
        self.projected: dict[int, tuple[Tensor, ...]] = {}  # block -> (rows, 1, L, ...)
        self.filled = False

    def keep_last_medium(self, block: int, projected: tuple[Tensor, ...], repeats: int) -> None:
        """Store a block's projections (B, M, L, ...), keeping only each row's last medium."""
        last = (self.num_marks - 1).clamp(min=0)
        rows = torch.arange(len(last), device=last.device)
        self.projected[block] = tuple(x[rows, last].unsqueeze(1).repeat_interleave(repeats, dim=0) for x in projected)

    def finish_prompt(self, repeats: int) -> None:
        """Mark the prompt as read: drop the media, and from now on count rows as the model sees them."""
        self.media = None
        self.num_marks = self.num_marks.repeat_interleave(repeats)
        self.filled = True

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Reorder rows as beam search asks."""
        super().reorder_cache(beam_idx)  # type: ignore[arg-type]
        self._take_rows(beam_idx)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat every row."""
        super().batch_repeat_interleave(repeats)
        self._take_rows(torch.arange(len(self.num_marks), device=self.num_marks.device).repeat_interleave(repeats))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows at `indices`."""
        super().batch_select_indices(indices)
        self._take_rows(indices)

    def reset(self) -> None:
        """Refuse: a cache without its media cannot read another prompt.

        Raises:
            ValueError: always; make a new cache.
        """
        raise ValueError("a FlamingoCache holds the media of one prompt: make a new one for the next")

    def _take_rows(self, rows: Tensor) -> None:
        if not self.filled:
            raise ValueError("rows of a FlamingoCache can change after the prompt was read, not before")
        self.num_marks = self.num_marks.index_select(0, rows.to(self.num_marks.device))
        self.projected = {
            block: tuple(x.index_select(0, rows.to(x.device)) for x in projected)
            for block, projected in self.projected.items()
        }


@dataclass(slots=True)
class MediaContext:
    """The media of one forward pass, passed to every layer as an argument."""

    media: Tensor | None  # (B, M, L, D); None while decoding, or if no example has media
    mask: MediaMask | None
    cache: FlamingoCache | None = None
    repeats: int = 1  # text rows per media row: the beams of a prompt

    def read(self, block: Any, index: int) -> tuple[Tensor, ...] | None:
        """A block's keys and values of the media: projected here, or cached from the prompt."""
        if self.cache is not None and self.cache.filled:
            return self.cache.projected.get(index)
        if self.media is None:
            return None
        projected: tuple[Tensor, ...] = block.project_media(self.media)
        if self.cache is not None:
            self.cache.keep_last_medium(index, projected, self.repeats)
        if self.repeats > 1:
            projected = tuple(x.repeat_interleave(self.repeats, dim=0) for x in projected)
        return projected


class ConditionedLayer(GradientCheckpointingLayer):
    """A layer of the language model with a cross-attention block before it, after it (grafted), or none.

    Every layer is wrapped, with or without a block, so that a parameter has the same name in every ablation. The inner
    layer's own gradient checkpointing stays off: this wrapper is recomputed instead.
    """

    def __init__(self, layer: nn.Module, index: int, block: nn.Module | None = None, *, grafted: bool = False):
        super().__init__()
        self.layer = layer
        self.index = index
        self.block = block
        self.grafted = grafted

    def __getattr__(self, name: str) -> Any:
        """Forward attributes that a decoder reads from its layers (`attention_type`, ...) to the inner layer."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    def forward(self, hidden: Tensor, *args: Any, media: MediaContext | None = None, **kwargs: Any) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        if self.grafted:
            return self._condition(self.layer(hidden, *args, **kwargs), media)
        output: Tensor = self.layer(self._condition(hidden, media), *args, **kwargs)
        return output

    def _condition(self, hidden: Tensor, media: MediaContext | None) -> Tensor:
        if self.block is None:
            return hidden
        projected = None if media is None else media.read(self.block, self.index)
        conditioned: Tensor = self.block(hidden, projected, None if media is None else media.mask)
        return conditioned
