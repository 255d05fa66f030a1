"""The smallest world that has everything, for the tests of data and prompts."""

from dataclasses import asdict
from typing import Any

from experiments.data.config import DATASETS, DataConfig, DatasetConfig
from experiments.data.source import Choice, Sources
from experiments.data.sources.world import WorldSource
from experiments.data.world import vocabulary
from experiments.data.world.config import WorldConfig
from experiments.data.world.queries import ROLES
from experiments.data.world.world import World


def tiny_config(**sizes: int) -> WorldConfig:
    """The sizes, of which some may be changed."""
    config = {
        "image_size": 16,
        "frames": 3,
        "max_media": 3,
        "m3w_pictures": 40,
        "m3w_documents": 30,
        "align_pictures": 12,
        "ltip_pictures": 20,
        "laion_pictures": 12,
        "vtp_clips": 20,
        "captions": 2,
        "queries": 24,
        "val_queries": 20,
        "support": 40,
    }
    return WorldConfig(**{**config, **sizes})


def tiny_data(mixture: tuple[str, ...] = ("m3w", "align", "ltip", "vtp"), **sizes: int) -> DataConfig:
    """Four examples of each data set a step."""
    datasets: dict[str, Any] = {
        name: DatasetConfig(batch_size=4, loss_weight=1.0) for name in ("m3w", "align", "ltip", "laion", "vtp")
    }
    return DataConfig(mixture=list(mixture), world=tiny_config(**sizes), **datasets)


def tiny_world(**sizes: int) -> World:
    """The world itself."""
    return World(tiny_config(**sizes))


def tiny_source(**sizes: int) -> WorldSource:
    """The world as a source."""
    return WorldSource(tiny_config(**sizes))


def tiny_sources(data: DataConfig) -> Sources:
    """The world in every role."""
    return Sources(dict.fromkeys((*DATASETS, *ROLES), Choice("world", asdict(data.world))))


def fact_asked(question: str) -> tuple[int, str] | None:
    """The relation that a question asks for and about what, `this` or `the red one`; None for another question."""
    for number, relation in enumerate(vocabulary.FACTS):
        opening, closing = relation.question.format(subject="|", asks=relation.asks).split("|")
        if question.startswith(opening) and question.endswith(closing):
            return number, question.removeprefix(opening).removesuffix(closing)
    return None
