"""The world: pictures and clips by id, rendered on request, and a hash of its texts and scenes.

N media, F frames, H x W pixels.
"""

import hashlib
import json
from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from experiments.data.config import DATASETS
from experiments.data.world.config import WorldConfig
from experiments.data.world.documents import document, num_documents
from experiments.data.world.queries import ROLES, sample
from experiments.data.world.rendering import render
from experiments.data.world.scenes import SOURCES, parse_id, scene
from experiments.data.world.text import lm_document
from experiments.data.world.vocabulary import FACTS, KINDS, fact, words

# Raised when scenes are drawn differently or texts change beyond the samples that the fingerprint reads.
VERSION = 1

_CACHE_BYTES = 128 * 2**20


class World:
    """Pictures and clips by id, `split/source/index`; rendered pixels are cached up to a limit."""

    def __init__(self, config: WorldConfig):
        self.config = config
        self._drawn: dict[str, npt.NDArray[np.uint8]] = {}
        self._drawn_bytes = 0

    def media(self, ids: list[str]) -> npt.NDArray[np.uint8]:
        """Ids -> (N, F, 3, H, W), all of them pictures (F = 1) or all of them clips.

        Raises:
            ValueError: an id names no medium, or pictures and clips are mixed.
        """
        if len({SOURCES[parse_id(medium)[1]].clips for medium in ids}) > 1:
            raise ValueError(f"pictures and clips in one call: {', '.join(ids)}")
        size, frames = self.config.image_size, self.config.frames
        if not ids:
            return np.zeros((0, 1, 3, size, size), dtype=np.uint8)
        missing = [medium for medium in dict.fromkeys(ids) if medium not in self._drawn]
        fresh: dict[str, npt.NDArray[np.uint8]] = {}
        if missing:
            pixels = render([scene(medium) for medium in missing], image_size=size, frames=frames)
            fresh = {medium: drawn.copy() for medium, drawn in zip(missing, pixels, strict=True)}
        result = np.stack([fresh[medium] if medium in fresh else self._drawn[medium] for medium in ids])
        self._keep(fresh)
        return result

    def _keep(self, fresh: dict[str, npt.NDArray[np.uint8]]) -> None:
        """Cache rendered pixels, and drop the oldest beyond the limit."""
        self._drawn.update(fresh)
        self._drawn_bytes += sum(pixels.nbytes for pixels in fresh.values())
        while self._drawn_bytes > _CACHE_BYTES:
            self._drawn_bytes -= self._drawn.pop(next(iter(self._drawn))).nbytes


def fingerprint(config: WorldConfig) -> str:
    """sha256 of the world: its sizes, words and facts, and texts and scenes of every data set and benchmark.

    Reads the first examples, not all of them, and no pixels (their last bit may differ between machines). It does not
    depend on the mixture: the spec says which data sets are used.
    """
    world = World(config)
    parts: list[object] = [VERSION, asdict(config), words()]
    parts.append([fact(kind, relation) for kind in range(len(KINDS)) for relation in range(len(FACTS))])
    examples = [
        document(config, dataset, index)
        for dataset in DATASETS
        for index in range(min(4, num_documents(config, dataset)))
    ]
    parts += [(example.id, [asdict(chunk) for chunk in example.chunks]) for example in examples]
    shown = [medium for example in examples for medium in example.media]
    for role in ROLES:
        for split in ("test", "val", "support"):
            some = sample(role, split, 2)
            parts += [asdict(query) for query in some]
            shown += [query.medium for query in some]
    parts += [asdict(scene(medium)) for medium in shown]
    parts += [lm_document(world, index) for index in range(8)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
