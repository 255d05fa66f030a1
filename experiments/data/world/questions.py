"""Questions about a scene and their answers, one word each; and facts, which no picture shows."""

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
    """A question about a thing that the picture shows, the fact that answers it, and the kind of the thing.

    Of two things one is asked about by its colour, so that looking is more than naming what there is.
    `seen_with_pictures` chooses from the relations that training asks of this kind, from the held-out ones, or (None,
    for text without pictures) from all.
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
    """The form in which a fact is answered beside a picture: first what it is, then the fact."""
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
    # The still object is asked about less often, or `stays` would be the best guess.
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
