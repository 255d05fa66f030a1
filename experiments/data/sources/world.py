"""The rendered world as a source: the default of every role."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.data.document import Document
from experiments.data.source import Limits, Source, register_source
from experiments.data.world import documents, lengths, queries
from experiments.data.world.config import WorldConfig
from experiments.data.world.queries import WorldQuery
from experiments.data.world.scenes import parse_id
from experiments.data.world.world import VERSION, World, fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRAIN = "train"  # the split of documents


@register_source("world", config=WorldConfig)
class WorldSource(Source):
    """Scenes, texts and questions of every role, drawn when they are asked for."""

    config: WorldConfig

    def __init__(self, config: WorldConfig):
        super().__init__(config)
        self.world = World(config)

    def count(self, role: str) -> int:
        """The number of pages, or of pairs of a medium and a caption."""
        return documents.num_documents(self.config, role)

    def document(self, role: str, index: int) -> Document:
        """A document that depends on (role, index) alone."""
        return documents.document(self.config, role, index)

    def media(self, ids: Sequence[str]) -> list[npt.NDArray[np.uint8]]:
        """Pixels of pictures only or of clips only, all of one size."""
        return list(self.world.media(list(ids)))

    def limits(self, role: str, tokenizer: "PreTrainedTokenizerBase") -> Limits:
        """Bounds from the grammar; nothing is drawn."""
        from experiments.data.tokenizer import most_tokens_a_word

        spelt = most_tokens_a_word(tokenizer)
        return Limits(
            frames=self.config.frames,
            document=spelt * lengths.longest_document(self.config, role),
            demonstration=spelt * lengths.longest_turn(),
            question=spelt * lengths.longest_query(),
            mark=spelt,
        )

    def fingerprint(self, role: str) -> str:
        """The fingerprint of the whole world, for every role."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.config)

    def queries(self, role: str, split: str) -> Sequence[WorldQuery]:
        """Queries on scenes that no document shows."""
        _check(role)
        return queries.queries(self.world, role, split)

    def support(self, role: str) -> Sequence[WorldQuery]:
        """Examples on scenes that neither documents nor queries show."""
        _check(role)
        return queries.support(self.world, role)

    def demonstrations(self, role: str) -> int:
        """The size of the support set; for fact questions, without the examples that show the most frequent kind."""
        _check(role)
        if queries.sample(role, "support", 1)[0].name is None:
            return self.config.support
        some = self.support(role)
        return len(some) - max(Counter(kind for example in some for kind in example.shown).values())

    def twin_order(self, role: str, split: str, count: int) -> Sequence[int]:
        """The given order: scenes are drawn independently of each other."""
        return range(count)

    def block(self, medium: str) -> tuple[str, int] | None:
        """One block per split and source of scenes."""
        split, source, index = parse_id(medium)
        return f"{split}-{source}", index

    def block_media(self, block: str) -> list[str]:
        """The ids of all media of the split."""
        split, _, source = block.partition("-")
        if split == TRAIN:
            count = documents.num_media(self.config, source)
        else:
            count = {"support": self.config.support, "val": self.config.val_queries, "test": self.config.queries}[split]
        return [f"{split}/{source}/{index}" for index in range(count)]

    def pixels_version(self) -> list[Any]:
        """The version of drawing, and the sizes."""
        return [VERSION, self.config.image_size, self.config.frames]

    def picture_name(self, medium: str) -> str:
        """The image size and the id, after checking the id."""
        parse_id(medium)
        return f"{self.config.image_size}px/{medium}"


def _check(role: str) -> None:
    if role not in queries.ROLES:
        raise ValueError(f"the world has no queries of `{role}`; allowed: {', '.join(queries.ROLES)}")
