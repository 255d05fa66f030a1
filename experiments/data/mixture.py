"""The mixture: which examples of each data set a training step reads, as tensors.

A batch depends on (seed, data set, step) alone, not on the rest of the mixture, the number of steps or where training
resumed. B examples, T tokens, N media in all examples together, F frames, H x W pixels.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from experiments.data.batch import Batch
from experiments.data.config import DataConfig
from experiments.data.document import Document, layout
from experiments.data.draws import generator
from experiments.data.pixels import stacked
from experiments.data.source import Sources
from experiments.data.tokenizer import encode, image_token_id

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from experiments.data.feature_cache import Features

IGNORED = -100  # the label of a token without loss
_INTERLEAVED = ("m3w",)


class Mixture:
    """Batches of every data set of the mixture, in the order of the mixture."""

    def __init__(self, data: DataConfig, sources: Sources, *, seed: int, tokenizer: "PreTrainedTokenizerBase"):
        self.datasets, self.sources = tuple(data.mixture), sources
        self._data, self._seed, self._tokenizer = data, seed, tokenizer
        self._image_token = image_token_id(tokenizer)
        self._orders: dict[tuple[str, int], np.ndarray] = {}

    def batch(
        self,
        dataset: str,
        step: int,
        *,
        features: "Features | None" = None,
        preprocess: "Callable[[Sequence[npt.NDArray[np.uint8]]], Tensor]" = stacked,
    ) -> Batch:
        """The examples of one data set in a step, the next in the epoch's order, with pixels or features.

        `preprocess` is the encoder's: (F, 3, h, w) each -> (N, F, 3, H, W). Without it, media must have the same size.
        """
        import torch

        source = self.sources.of(dataset)
        documents = [source.document(dataset, index) for index in self._indices(dataset, step)]
        rows = [self._row(dataset, step, example) for example in documents]
        shape = len(rows), max(len(ids) for ids, _, _ in rows)
        input_ids = np.full(shape, self._tokenizer.pad_token_id, dtype=np.int64)  # (B, T)
        labels, text_time = np.full(shape, IGNORED, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        attention_mask = np.zeros(shape, dtype=bool)
        for place, (ids, times, learned) in enumerate(rows):
            input_ids[place, : len(ids)] = ids
            text_time[place, : len(ids)] = times
            labels[place, : len(ids)] = np.where(learned, ids, IGNORED)
            attention_mask[place, : len(ids)] = True
        media_ids = [medium for example in documents for medium in example.media]
        return Batch(
            dataset=dataset,
            example_ids=[example.id for example in documents],
            input_ids=torch.from_numpy(input_ids),
            attention_mask=torch.from_numpy(attention_mask),
            labels=torch.from_numpy(labels),
            text_time=torch.from_numpy(text_time),
            media=preprocess(source.media(media_ids)) if features is None else None,
            media_features=None if features is None else features.of(dataset, media_ids),
            media_counts=torch.tensor([len(example.media) for example in documents]),
            media_ids=media_ids,
        )

    def _indices(self, dataset: str, step: int) -> list[int]:
        """Indices of a step's examples: every epoch has its own permutation, and steps run across epoch boundaries."""
        size, count = getattr(self._data, dataset).batch_size, self.sources.of(dataset).count(dataset)
        places = [divmod(place, count) for place in range(step * size, (step + 1) * size)]
        return [int(self._order(dataset, epoch, count)[place]) for epoch, place in places]

    def _order(self, dataset: str, epoch: int, count: int) -> np.ndarray:
        key = dataset, epoch
        if key not in self._orders:
            for other in [other for other in self._orders if other[0] == dataset and abs(other[1] - epoch) > 1]:
                del self._orders[other]
            self._orders[key] = generator("epoch", self._seed, dataset, epoch).permutation(count)
        return self._orders[key]

    def _row(self, dataset: str, step: int, example: Document) -> tuple[list[int], np.ndarray, list[bool]]:
        """Token ids, the medium each token sees, and whether the token has a loss.

        With probability 1/2 (interleaved data only), each text of a page comes before its picture and each token sees
        the next picture, as in the paper's augmentation. An `<image>` token then sees the picture after its own,
        because the first word about that one is predicted there.
        """
        text_first = dataset in _INTERLEAVED and bool(
            generator("next image", self._seed, step, example.id).random() < 0.5
        )
        text, spans = layout(example.chunks, text_first=text_first)
        ids, offsets = encode(self._tokenizer, text)
        marks = np.array(ids) == self._image_token
        times = np.cumsum(marks)
        if text_first:
            times = (times + 1) * (times < times[-1])  # 0 after the last picture: nothing follows
        learned = [any(start < last and first < end for first, last in spans) for start, end in offsets]
        return ids, times, learned
