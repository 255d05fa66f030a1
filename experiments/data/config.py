"""Configs of the data sets that a step reads, and of the sources of every role."""

from dataclasses import dataclass, field

from experiments.common.rules import ABOVE_ZERO, ADDED, Checked, allow, at_least
from experiments.data.world.config import WorldConfig

WORLD = "world"  # the default source of every role
_A_SOURCE = {**ADDED, **allow("the name of a source", lambda value: isinstance(value, str))}
DATASETS = ("m3w", "align", "ltip", "laion", "vtp")


@dataclass(kw_only=True, slots=True)
class DatasetConfig(Checked):
    """Examples per step of one data set, and the weight of its loss."""

    batch_size: int = field(metadata=at_least(1))
    loss_weight: float = field(metadata=ABOVE_ZERO)
    source: str = field(default=WORLD, metadata=_A_SOURCE)  # where its documents come from


@dataclass(kw_only=True, slots=True)
class QueriesConfig(Checked):
    """The source of a benchmark's queries and demonstrations."""

    source: str = field(default=WORLD, metadata=_A_SOURCE)


@dataclass(kw_only=True, slots=True)
class DataConfig(Checked):
    """The data sets of a step, in order, and the sizes of the rendered world."""

    mixture: list[str] = field(
        metadata=allow(
            f"a list of {', '.join(DATASETS)}, each at most once, at least one",
            lambda value: 0 < len(value) == len(set(value) & set(DATASETS)),
            DATASETS,
        )
    )
    m3w: DatasetConfig
    align: DatasetConfig
    ltip: DatasetConfig
    laion: DatasetConfig
    vtp: DatasetConfig
    world: WorldConfig
