"""Questions about a scene with one-word answers, and questions on facts, which no picture shows."""

import numpy as np

from experiments.data.world.scenes import Scene
from experiments.data.world.vocabulary import (
    BACKGROUNDS,
    COLOURS,
    FACTS,
    KINDS,
    MOTIONS,
    RELATIONS,
    fact,
    fact_question,
    fact_seen_with_pictures,
)


def question(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """A question that the picture or clip answers, and its answer."""
    forms = _picture_questions(scene, rng) if scene.motion is None else _clip_questions(scene, rng)
    return forms[rng.integers(len(forms))]


def draw_fact(scene: Scene, rng: np.random.Generator, *, seen_with_pictures: bool | None) -> tuple[str, str, int]:
    """A fact question about an object in the picture, the fact that answers it, and the object's kind.

    Of two objects, the question names one by its colour, so that naming what the picture shows is not enough.
    `seen_with_pictures` selects the relations that training asks about this kind (True), the held-out ones (False), or
    all (None, for text without pictures).
    """
    thing = scene.things[rng.integers(len(scene.things))]
    kind, subject = thing.kind, "this" if scene.place is None else f"the {COLOURS[thing.colour]} one"
    relations = [
        relation
        for relation in range(len(FACTS))
        if seen_with_pictures is None or fact_seen_with_pictures(kind, relation) == seen_with_pictures
    ]
    relation = relations[rng.integers(len(relations))]
    return fact_question(relation, subject), fact(kind, relation), kind


def named_fact(kind: int, value: str) -> str:
    """The answer to a fact question about a picture: first the kind, then the fact."""
    return f"{KINDS[kind]} , {value}"


def _picture_questions(scene: Scene, rng: np.random.Generator) -> list[tuple[str, str]]:
    about = int(rng.integers(len(scene.things)))
    thing = scene.things[about]
    kind, colour = KINDS[thing.kind], COLOURS[thing.colour]
    forms = [
        (f"what colour is the {kind} ?", colour),
        ("what is this on ?", BACKGROUNDS[scene.background]),
    ]
    if scene.place is None:
        return [*forms, ("what is this ?", kind), ("what colour is this ?", colour)]
    other = KINDS[scene.things[1 - about].kind]
    where = RELATIONS[scene.place ^ about]
    return [
        *forms,
        (f"what is the {colour} one ?", kind),
        (f"what is {where} the {other} ?", kind),
        (f"what colour is the one {where} the {other} ?", colour),
    ]


def _clip_questions(scene: Scene, rng: np.random.Generator) -> list[tuple[str, str]]:
    assert scene.motion is not None
    # The still object is asked about less often; otherwise `stays` would be the best guess.
    about = int(len(scene.things) == 2 and rng.random() < 0.25)
    thing = scene.things[about]
    does = MOTIONS[scene.motion] if about == 0 else "stays"
    return [
        (f"what does the {KINDS[thing.kind]} do ?", does),
        (f"what does the {COLOURS[thing.colour]} one do ?", does),
        (f"what {does} ?", KINDS[thing.kind]),
        (f"which one {does} ?", KINDS[thing.kind]),
        (f"what colour is the one that {does} ?", COLOURS[thing.colour]),
    ]
