"""Text without pictures in the world's language: the pretraining data of the language model.

It states every fact, answers questions on them, has captions and questions as they appear with pictures (with
`<image>`, but without a picture), and answers questions on scenes that a caption has just described.
"""

from collections.abc import Iterator

import numpy as np

from experiments.data.document import Chunk, Document, layout
from experiments.data.draws import generator
from experiments.data.marks import IMAGE
from experiments.data.world.captions import FULL, REFERENCE, caption
from experiments.data.world.questions import draw_fact, named_fact, question
from experiments.data.world.scenes import Scene, scene
from experiments.data.world.vocabulary import FACTS, KINDS, fact, fact_question

_FORMS = ("facts", "fact_questions", "captions", "questions", "told_facts", "told_scenes")
_SHARES = (0.10, 0.18, 0.12, 0.10, 0.08, 0.42)


def text_document(index: int) -> Document:
    """The text of an index in chunks, so that answers can get a higher weight than the rest."""
    rng = generator("text", index)
    form = rng.choice(_FORMS, p=_SHARES)
    return Document(f"text/{index}", tuple(_chunks(str(form), index, rng)))


def lm_document(world: object, index: int) -> str:
    """The text of an index, `<EOC>` after each answer. The same in every world: sizes do not change the language."""
    return layout(text_document(index).chunks)[0]


def _chunks(form: str, index: int, rng: np.random.Generator) -> Iterator[Chunk]:
    if form == "facts":
        yield Chunk(None, "", " ".join(_statement(rng) for _ in range(5)))
    elif form == "told_scenes":
        told = _scene(index, 0, rng)
        told_text = f"{caption(told, rng, FULL)} . "
        for _ in range(3):
            asked, answer = question(told, rng)
            yield Chunk(None, told_text + asked, answer)
            told_text = ""
    else:
        for part in range(2 if form == "told_facts" else 4):
            yield _short_chunk(form, _scene(index, part, rng), rng)


def _short_chunk(form: str, shown: Scene, rng: np.random.Generator) -> Chunk:
    if form == "captions":
        return Chunk(None, IMAGE, caption(shown, rng, REFERENCE))
    if form == "questions":
        asked, answer = question(shown, rng)
        return Chunk(None, f"{IMAGE} {asked}", answer)
    if form == "fact_questions" and rng.random() < 0.5:
        kind, relation = int(rng.integers(len(KINDS))), int(rng.integers(len(FACTS)))
        return Chunk(None, fact_question(relation, f"the {KINDS[kind]}"), fact(kind, relation))
    asked, value, kind = draw_fact(shown, rng, seen_with_pictures=None)
    opening = IMAGE if form == "fact_questions" else f"{caption(shown, rng, FULL)} ."
    return Chunk(None, f"{opening} {asked}", named_fact(kind, value))


def _statement(rng: np.random.Generator) -> str:
    kind, relation = int(rng.integers(len(KINDS))), int(rng.integers(len(FACTS)))
    return f"the {KINDS[kind]} {FACTS[relation].says} {fact(kind, relation)} ."


def _scene(index: int, part: int, rng: np.random.Generator) -> Scene:
    source = "text_clips" if rng.random() < 0.4 else "text"
    return scene(f"train/{source}/{4 * index + part}")
