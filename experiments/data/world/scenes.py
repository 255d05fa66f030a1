"""Scenes: the content of a picture or clip, before rendering. A scene depends on its id alone.

An id is `split/source/index`, e.g. `train/m3w/12`. Splits share no scene: the description of a scene (objects, their
places, background, motion) is hashed, each split owns some residues of the hash, and a scene with another residue is
redrawn. So no picture of the test split shows the scene of any training picture, even with other positions or light.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from experiments.data.draws import generator
from experiments.data.world.vocabulary import BACKGROUNDS, COLOURS, KINDS, MOTIONS, RELATIONS, SIZES, held_out_pair

# Which of the eight residues of a scene's hash each split owns.
SPLITS = {"train": (0, 1, 2, 3, 4), "support": (5,), "val": (6,), "test": (7,)}


@dataclass(frozen=True)
class Source:
    """How pictures or clips of a data set or benchmark are composed."""

    clips: bool = False
    alone: int = 3  # scenes in ten that show one object only
    zipf: bool = False  # kinds follow a Zipf distribution, as objects on web pages do


SOURCES = {
    "m3w": Source(zipf=True),
    "align": Source(),
    "ltip": Source(),
    "laion": Source(),
    "vtp": Source(clips=True, alone=5),
    "coco": Source(),
    "okvqa": Source(alone=5),
    "vqav2": Source(),
    "msvdqa": Source(clips=True, alone=5),
    "vatex": Source(clips=True, alone=5),
    "pairs": Source(),  # training data of the encoders; in no data set
    "probe": Source(alone=10),  # for probing the encoders
    "text": Source(),  # scenes for text only, for the language model
    "text_clips": Source(clips=True, alone=5),
}
TEXT_SOURCES = ("text", "text_clips")

_LEFT, _RIGHT, _ABOVE, _BELOW = range(len(RELATIONS))
# Two objects are placed so that the moving one does not hit the still one.
_PLACES = {
    "rises": (_LEFT, _RIGHT),
    "falls": (_LEFT, _RIGHT),
    "advances": (_ABOVE, _BELOW),
    "retreats": (_ABOVE, _BELOW),
    "grows": (_LEFT, _RIGHT, _ABOVE, _BELOW),
    "shrinks": (_LEFT, _RIGHT, _ABOVE, _BELOW),
}
_BOUNDS = np.array([len(KINDS)] * 2 + [len(COLOURS)] * 2 + [len(SIZES)] * 2 + [len(BACKGROUNDS), len(MOTIONS), 4])
_ZIPF = np.cumsum(1 / np.arange(1, len(KINDS) + 1) ** 0.7)
_ZIPF_ORDER = generator("zipf").permutation(len(KINDS))


@dataclass(frozen=True)
class Thing:
    """One object, as indices into `vocabulary`. `size` is None if it changes."""

    kind: int
    colour: int
    size: int | None


@dataclass(frozen=True)
class Scene:
    """One or two objects on a background; in a clip the first one moves. Two always differ in kind and in colour."""

    id: str
    things: tuple[Thing, ...]
    place: int | None  # index into RELATIONS: where the first object is, seen from the second
    background: int
    motion: int | None  # None in a picture

    def signature(self) -> str:
        """Everything a caption can say about the scene; equal for scenes that no caption distinguishes."""
        things = "|".join(f"{thing.kind},{thing.colour},{thing.size}" for thing in self.things)
        return f"{things}|{self.place}|{self.background}|{self.motion}"


def parse_id(medium_id: str) -> tuple[str, str, int]:
    """Split, source and index of an id.

    Raises:
        ValueError: the id names no scene.
    """
    split, _, rest = medium_id.partition("/")
    source, _, index = rest.partition("/")
    if split not in SPLITS or source not in SOURCES or not (index.isascii() and index.isdecimal()):
        raise ValueError(
            f"`{medium_id}` is no medium; an id is split/source/index with a split of {', '.join(SPLITS)} "
            f"and a source of {', '.join(SOURCES)}"
        )
    return split, source, int(index)


def split_of(scene: Scene) -> str:
    """The split that owns the scene's signature."""
    residue = hashlib.sha256(scene.signature().encode()).digest()[0] % 8
    return next(split for split, residues in SPLITS.items() if residue in residues)


@lru_cache(maxsize=65536)
def scene(medium_id: str) -> Scene:
    """The scene of an id.

    Raises:
        ValueError: the id names no scene.
    """
    split, name, index = parse_id(medium_id)
    rng = generator("scene", medium_id)
    # Text covers every kind in every colour; otherwise the language model would learn that some never occur.
    hold_out = split in ("train", "support") and name not in TEXT_SOURCES
    while True:
        candidate = _draw(medium_id, SOURCES[name], alone=index % 10 < SOURCES[name].alone, rng=rng)
        shown = candidate.things
        if len(shown) == 2 and (shown[0].kind == shown[1].kind or shown[0].colour == shown[1].colour):
            continue
        if hold_out and any(held_out_pair(thing.kind, thing.colour) for thing in shown):
            continue
        if split_of(candidate) == split:
            return candidate


def _draw(medium_id: str, source: Source, *, alone: bool, rng: np.random.Generator) -> Scene:
    kind_0, kind_1, colour_0, colour_1, size_0, size_1, background, moves, where = rng.integers(0, _BOUNDS).tolist()
    if source.zipf:
        ranks = np.searchsorted(_ZIPF, rng.random(2) * _ZIPF[-1])
        kind_0, kind_1 = _ZIPF_ORDER[ranks].tolist()
    # In pictures the first object is the left or upper one, so that one scene has one signature.
    places = _PLACES[MOTIONS[moves]] if source.clips else (_LEFT, _ABOVE)
    resizes = source.clips and MOTIONS[moves] in ("grows", "shrinks")
    first = Thing(kind_0, colour_0, None if resizes else size_0)
    return Scene(
        id=medium_id,
        things=(first,) if alone else (first, Thing(kind_1, colour_1, size_1)),
        place=None if alone else places[where % len(places)],
        background=background,
        motion=moves if source.clips else None,
    )
