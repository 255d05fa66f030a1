"""Texts about a scene: captions, and alt text as in web shops."""

from dataclasses import dataclass

import numpy as np

from experiments.data.world.scenes import Scene, Thing
from experiments.data.world.vocabulary import ALT_OPENINGS, BACKGROUNDS, COLOURS, KINDS, MOTIONS, RELATIONS, SIZES


@dataclass(frozen=True)
class Style:
    """Probabilities of leaving each part out of a caption."""

    size: float = 0.0
    colour: float = 0.0
    background: float = 0.0
    relation: float = 0.0  # where the objects stand
    second: float = 0.0  # the second object as a whole


FULL = Style()
REFERENCE = Style(size=0.2, background=0.2, relation=0.1)
SHORT = Style(size=0.6, colour=0.3, background=0.6, relation=0.5, second=0.3)


def caption(scene: Scene, rng: np.random.Generator, style: Style) -> str:
    """One sentence about a picture or clip, either object first, with things left out at random.

    The article is `a` before every word.
    """
    keep_size, keep_background, keep_relation, keep_second = (
        rng.random() >= drop for drop in (style.size, style.background, style.relation, style.second)
    )
    phrases = [_noun(thing, keep_size, rng.random() >= style.colour) for thing in scene.things]
    swapped = rng.random() < 0.5
    background = f" on {BACKGROUNDS[scene.background]}" if keep_background else ""
    move = f" {MOTIONS[scene.motion]}" if scene.motion is not None else ""
    if scene.place is None or not keep_second:
        return f"{phrases[0]}{move}{background}"
    if keep_relation and (scene.motion is None or not swapped):
        first, second = phrases[::-1] if swapped else phrases
        return f"{first}{move} {RELATIONS[scene.place ^ swapped]} {second}{background}"
    if scene.motion is not None:
        clauses = [f"{phrases[0]}{move}", f"{phrases[1]} stays"]
        return f"{' while '.join(clauses[::-1] if swapped else clauses)}{background}"
    return f"{' and '.join(phrases[::-1] if swapped else phrases)}{background}"


def alt_text(scene: Scene, rng: np.random.Generator) -> str:
    """Alt text of a web shop: the names, rarely more."""
    words = [ALT_OPENINGS[rng.integers(len(ALT_OPENINGS))]]
    for thing in scene.things:
        if rng.random() < 0.3:
            words.append(COLOURS[thing.colour])
        words.append(KINDS[thing.kind])
    if rng.random() < 0.2:
        words.append(BACKGROUNDS[scene.background])
    return " ".join(words)


def _noun(thing: Thing, keep_size: bool, keep_colour: bool) -> str:
    words = ["a", KINDS[thing.kind]]
    if keep_colour:
        words.insert(1, COLOURS[thing.colour])
    if keep_size and thing.size is not None:
        words.insert(1, SIZES[thing.size])
    return " ".join(words)
