"""The dataclasses a spec is made of, with what each key allows beside it, and the schema of a whole experiment.

Sizes have no default: the scale says them. The dataclass of a component lies beside the component; `make_schema` puts
them all in their places, so that every YAML and every override is checked.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from typing import Any

from experiments.store.names import SCORES
from flamingo_core.xattn.placement import PLACEMENTS, block_layers

DATASETS = ("m3w", "align", "ltip", "laion", "vtp")
DEVICES = ("auto", "cpu", "cuda", "mps")

# What is no part of a spec's identity: it cannot change a result, or is the other half of a job's (the seed).
OUTSIDE_HASH = ("seed", "device", "compare", "rerun", "debug", "components", "train.checkpoint_every")

# What a component may be configured by.
A_CONFIG = "a dataclass of plain values (numbers, strings, booleans, None, lists of them), not a frozen one"

# A field added later whose default is what was done before: as long as it has that default, hashes stay as they were.
ADDED: Mapping[str, Any] = {"added": True}


@dataclass(frozen=True)
class Rule:
    """What a key allows, in words and as a test; `choices` where it is one of a list, for the nearest match."""

    allowed: str
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()


def allow(allowed: str, holds: Callable[[Any], bool], choices: tuple[str, ...] = ()) -> dict[str, Any]:
    """The metadata of a dataclass field that has a rule."""
    return {"rule": Rule(allowed, holds, choices)}


def at_least(least: int) -> dict[str, Any]:
    """A whole number with a lower bound."""
    return allow(f"whole numbers from {least}", lambda value: value >= least)


def one_of(*choices: str) -> dict[str, Any]:
    """One of a few names."""
    return allow(", ".join(choices), lambda value: value in choices, choices)


ABOVE_ZERO = allow("numbers above 0", lambda value: 0 < value < math.inf)
NOT_NEGATIVE = allow("numbers from 0", lambda value: 0 <= value < math.inf)
FRACTION = allow("numbers from 0 to 1", lambda value: 0 <= value <= 1)
DECAY = allow("numbers from 0 to below 1", lambda value: 0 <= value < 1)
SWITCH = allow("true, false", lambda value: isinstance(value, bool))
SHOTS = ("0", "4", "8", "16", "32")


def broken_rules(config: type, values: Mapping[str, Any]) -> Iterator[tuple[str, Any, Rule]]:
    """Every field of a dataclass whose value in `values` is not allowed: its name, the value, the rule."""
    for entry in fields(config):
        rule = entry.metadata.get("rule")
        if rule is not None and entry.name in values and not rule.holds(values[entry.name]):
            yield entry.name, values[entry.name], rule


class Checked:
    """A dataclass that refuses values its rules do not allow, naming all of them."""

    __slots__ = ()

    def __post_init__(self) -> None:
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}  # type: ignore[arg-type]
        wrong = [
            f"`{name}` is {value!r}; allowed: {rule.allowed}" for name, value, rule in broken_rules(type(self), values)
        ]
        if wrong:
            raise ValueError("\n".join(wrong))


@dataclass(kw_only=True, slots=True)
class TrainConfig(Checked):
    """Optimisation; one recipe for every row of a scale."""

    steps: int = field(metadata=at_least(1))
    lr: float = field(metadata=ABOVE_ZERO)
    lr_gates: float = field(metadata=ABOVE_ZERO)
    lr_lm: float = field(metadata=ABOVE_ZERO)  # unused while the language model is frozen
    warmup_steps: int = field(metadata=at_least(0))
    decay_fraction: float = field(default=0.25, metadata=FRACTION)  # of the steps, at the end
    final_lr_fraction: float = field(default=0.03, metadata=FRACTION)
    beta1: float = field(default=0.9, metadata=DECAY)
    beta2: float = field(default=0.98, metadata=DECAY)
    weight_decay: float = field(metadata=NOT_NEGATIVE)
    clip_norm: float = field(default=1.0, metadata=ABOVE_ZERO)
    objective: str = field(default="accumulation", metadata=one_of("accumulation", "round_robin"))
    checkpoint_every: int = field(default=100, metadata=at_least(1))  # steps


@dataclass(kw_only=True, slots=True)
class DatasetConfig(Checked):
    """What a step takes of one data set, and how much its loss weighs."""

    batch_size: int = field(metadata=at_least(1))
    loss_weight: float = field(metadata=ABOVE_ZERO)


@dataclass(kw_only=True, slots=True)
class WorldConfig(Checked):
    """How large the rendered world is."""

    image_size: int = field(metadata=at_least(16))  # pixels a side
    frames: int = field(metadata=at_least(2))  # frames a clip
    max_media: int = field(metadata=at_least(2))  # pictures an interleaved document has at most; it has at least 2
    m3w_pictures: int = field(metadata=at_least(20))
    m3w_documents: int = field(metadata=at_least(1))  # interleaved documents drawn over those pictures
    align_pictures: int = field(metadata=at_least(1))
    ltip_pictures: int = field(metadata=at_least(1))
    laion_pictures: int = field(metadata=at_least(1))
    vtp_clips: int = field(metadata=at_least(1))
    captions: int = field(metadata=at_least(1))  # captions a training medium has, each an example of its own
    # At least 18: blind evaluation takes the medium of another query, 17 places on.
    queries: int = field(metadata=at_least(18))  # queries a benchmark, test split
    val_queries: int = field(metadata=at_least(18))  # queries a benchmark, validation split
    support: int = field(metadata=at_least(10))  # demonstrations to draw from, a benchmark

    def __post_init__(self) -> None:
        # the zero-argument form does not work in a dataclass with slots, which is made twice
        Checked.__post_init__(self)
        least = 10 * self.max_media  # three of ten pictures show one thing, which a page may ask for alone
        if self.m3w_pictures < least:
            raise ValueError(f"`m3w_pictures` is {self.m3w_pictures}; allowed: 10 times `max_media`, {least}, or more")


@dataclass(kw_only=True, slots=True)
class DataConfig(Checked):
    """The data sets of a step, in order, and the world they are drawn in."""

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


@dataclass(kw_only=True, slots=True)
class EvalConfig(Checked):
    """How the benchmarks are run."""

    shots: int = field(default=4, metadata=allow(", ".join(SHOTS), lambda value: str(value) in SHOTS, SHOTS))
    batch_size: int = field(metadata=at_least(1))
    beams: int = field(default=1, metadata=at_least(1))
    max_new_tokens: int = field(metadata=at_least(1))
    ceilings: dict[str, float] = field(  # by metric, the points that count as 100 in Overall
        metadata=allow(
            f"points above 0 for each of {', '.join(SCORES)}",
            lambda value: set(value) == set(SCORES) and all(0 < points < math.inf for points in value.values()),
        )
    )


@dataclass(kw_only=True, slots=True)
class Slot:
    """One slot of the model: which component, beside one branch for each component there is."""

    name: str


def _is_placement(value: str) -> bool:
    try:
        return bool(block_layers(value, num_layers=1000))
    except ValueError:
        return False


@dataclass(kw_only=True, slots=True)
class XattnSlot(Slot):
    """The blocks, and in front of which layers of the language model they stand."""

    placement: str = field(
        metadata=allow(PLACEMENTS, _is_placement, ("every", "every_2nd", "every_4th", "single_middle"))
    )


@dataclass(kw_only=True, slots=True)
class LMSlot(Slot):
    """The language model, and where its weights come from: drawn at random, or those of the directory `path`."""

    freeze: bool = field(metadata=SWITCH)
    weights: str = field(metadata=one_of("pretrained", "random"))
    path: str | None = None


@dataclass(kw_only=True, slots=True)
class Experiment:
    """An experiment without its model, which `make_schema` adds: that much is known without importing a component."""

    seed: int = field(default=0, metadata=allow("whole numbers from 0 to 4294967295", lambda value: 0 <= value < 2**32))
    device: str = field(default="auto", metadata=one_of(*DEVICES))
    compare: bool = field(default=True, metadata=SWITCH)
    rerun: bool = field(default=False, metadata=SWITCH)
    debug: bool = field(default=False, metadata=SWITCH)
    components: list[str] = field(default_factory=list)
    changes: dict[str, list[str]] = field(default_factory=dict)  # for ablation files: what each says it changes
    train: TrainConfig
    data: DataConfig
    eval: EvalConfig


SLOT_BASES: Mapping[str, type[Slot]] = {"xattn": XattnSlot, "lm": LMSlot}


def make_schema() -> type[Experiment]:
    """`Experiment` with `model`: for each slot its own keys, and one branch for each registered component.

    Raises:
        ValueError: the config of a component is no dataclass that can be read from YAML.
    """
    from flamingo_core import registry

    slots = []
    for slot in registry.SLOTS:
        base = SLOT_BASES.get(slot, Slot)
        taken = {entry.name for entry in fields(base)}
        branches: list[tuple[str, Any, Any]] = []
        for name in registry.names(slot):
            config = registry.component(slot, name).config
            _check_component(slot, name, config, taken)
            branches.append((name, config | None, field(default=None)))
        slots.append((slot, make_dataclass(f"{slot}_slot", branches, bases=(base,), kw_only=True, slots=True)))
    model = make_dataclass("Model", slots, kw_only=True, slots=True)
    return make_dataclass("ExperimentWithModel", [("model", model)], bases=(Experiment,), kw_only=True, slots=True)


def _check_component(slot: str, name: str, config: Any, taken: set[str]) -> None:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    who = f"{slot} `{name}`"
    if not name.isidentifier() or name in taken:
        raise ValueError(f"{who}: a component's name is one word in letters, digits and `_`, not {', '.join(taken)}")
    called = getattr(config, "__name__", repr(config))
    if not isinstance(config, type) or not is_dataclass(config):
        raise ValueError(f"{who}: its config is `{called}`; allowed: {A_CONFIG}")
    if config.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise ValueError(f"{who}: its config `{called}` is frozen, so no YAML could fill it; allowed: {A_CONFIG}")
    try:
        OmegaConf.structured(config)
    except (OmegaConfBaseException, ValueError, TypeError, NameError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{who}: its config `{called}` cannot be read from YAML: {reason}; allowed: {A_CONFIG}"
        ) from None
