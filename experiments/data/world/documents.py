"""The training data sets: which pictures stand beside which text.

m3w: interleaved pages of several pictures, each page mostly of one form (questions on facts, questions on the picture);
pages speak of their pictures and do not describe them. align: pictures with short captions. ltip: pictures with full
captions, some with a fact. laion: pictures of the same kind with alt text. vtp: clips with captions, some with a fact.
So captions are what pairs teach, and the form in which a fact is answered is taught by three data sets. Everything is
decided by (data set, index).
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
_KEEPS_FORM = 0.9  # how often a part of a page has the page's form
_WITH_FACT = {"ltip": (0.5, 0.1), "vtp": (0.3, 0.1)}  # of the pairs that show one thing, or two, how many ask a fact
_FACT_ALONE = 0.6  # of the parts of a page that ask a fact, how many are bound to show one thing


def num_media(config: WorldConfig, dataset: str) -> int:
    """How many pictures or clips a data set has."""
    return {
        "m3w": config.m3w_pictures,
        "align": config.align_pictures,
        "ltip": config.ltip_pictures,
        "laion": config.laion_pictures,
        "vtp": config.vtp_clips,
    }[dataset]


def num_documents(config: WorldConfig, dataset: str) -> int:
    """How many examples an epoch of the data set has: pages, or (medium, caption) pairs."""
    return config.m3w_documents if dataset == "m3w" else num_media(config, dataset) * config.captions


def document(config: WorldConfig, dataset: str, index: int) -> Document:
    """An example of a data set. Pairs go through all media before a medium comes with its next caption."""
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
