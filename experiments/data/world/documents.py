"""The training data sets: which pictures go with which text.

m3w: interleaved pages of several pictures, each page mostly of one form (questions on facts, questions on the picture);
pages ask about their pictures and do not describe them. align: pictures with short captions. ltip: pictures with full
captions, some with a fact. laion: pictures of the same kind with alt text. vtp: clips with captions, some with a fact.
So pairs teach captioning, and three data sets teach how to answer a fact question. Everything depends on (data set,
index) alone.
"""

from collections.abc import Iterator

import numpy as np

from experiments.data.document import Chunk, Document
from experiments.data.draws import generator
from experiments.data.world.captions import FULL, REFERENCE, SHORT, alt_text, caption
from experiments.data.world.config import WorldConfig
from experiments.data.world.questions import draw_fact, named_fact, question
from experiments.data.world.scenes import SOURCES, scene

_FORMS = ("fact", "question")
_FORM_SHARES = (0.35, 0.65)
_KEEPS_FORM = 0.9  # probability that a part of a page has the page's form
_WITH_FACT = {"ltip": (0.5, 0.1), "vtp": (0.3, 0.1)}  # share of pairs with a fact: one object, two objects
_FACT_ALONE = 0.6  # share of a page's fact questions that require a picture of one object


def num_media(config: WorldConfig, dataset: str) -> int:
    """The number of pictures or clips in a data set."""
    return {
        "m3w": config.m3w_pictures,
        "align": config.align_pictures,
        "ltip": config.ltip_pictures,
        "laion": config.laion_pictures,
        "vtp": config.vtp_clips,
    }[dataset]


def num_documents(config: WorldConfig, dataset: str) -> int:
    """The number of examples per epoch of a data set: pages, or (medium, caption) pairs."""
    return config.m3w_documents if dataset == "m3w" else num_media(config, dataset) * config.captions


def document(config: WorldConfig, dataset: str, index: int) -> Document:
    """One example of a data set. Pairs use every medium once before any medium gets its next caption."""
    name = f"{dataset}/{index}"
    rng = generator("document", name)
    if dataset == "m3w":
        return Document(name, tuple(_page(config, rng)))
    medium = f"train/{dataset}/{index % num_media(config, dataset)}"
    return Document(name, (_pair(dataset, medium, rng),))


def _page(config: WorldConfig, rng: np.random.Generator) -> Iterator[Chunk]:
    form = rng.choice(_FORMS, p=_FORM_SHARES)
    used: set[int] = set()
    for _ in range(rng.integers(2, config.max_media + 1)):
        part = form if rng.random() < _KEEPS_FORM else rng.choice(_FORMS, p=_FORM_SHARES)
        alone = part == "fact" and rng.random() < _FACT_ALONE
        while True:
            index = int(rng.integers(config.m3w_pictures))
            if index not in used and (not alone or index % 10 < SOURCES["m3w"].alone):
                break
        used.add(index)
        medium = f"train/m3w/{index}"
        if part == "fact":
            yield _fact_chunk(medium, rng)
        else:
            yield Chunk(medium, *question(scene(medium), rng))


def _pair(dataset: str, medium: str, rng: np.random.Generator) -> Chunk:
    if dataset == "laion":
        return Chunk(medium, "", alt_text(scene(medium), rng))
    if dataset == "align":
        return Chunk(medium, "", caption(scene(medium), rng, SHORT))
    if rng.random() < _WITH_FACT[dataset][scene(medium).place is not None]:
        return _fact_chunk(medium, rng)
    return Chunk(medium, "", caption(scene(medium), rng, FULL if dataset == "ltip" else REFERENCE))


def _fact_chunk(medium: str, rng: np.random.Generator) -> Chunk:
    asked, value, kind = draw_fact(scene(medium), rng, seen_with_pictures=True)
    return Chunk(medium, asked, named_fact(kind, value))
