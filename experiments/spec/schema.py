"""The dataclasses of a spec, with the allowed values of each key, and the schema of a whole experiment.

Sizes have no default: the scale sets them. A component's config class is defined next to the component; `make_schema`
combines all of them, so that every YAML file and every override is checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from typing import Any

from experiments.common.rules import ABOVE_ZERO, DECAY, FRACTION, NOT_NEGATIVE, SWITCH, Checked, allow, at_least, one_of
from experiments.data.config import DATASETS, WORLD, DataConfig, DatasetConfig, QueriesConfig
from experiments.data.source import SOURCES
from experiments.evaluation.benchmark import BENCHMARKS
from experiments.evaluation.config import EvalConfig
from flamingo_core.xattn.placement import PLACEMENTS, block_layers

DEVICES = ("auto", "cpu", "cuda", "mps")

# Keys outside the hash: they cannot change a result, or are the other half of a job's identity (the seed).
OUTSIDE_HASH = ("seed", "device", "compare", "rerun", "debug", "components", "train.checkpoint_every")

# The kind of config class a component may have.
A_CONFIG = "a dataclass of plain values (numbers, strings, booleans, None, lists of them), not a frozen one"


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
class Slot:
    """One slot of the model: the name of the chosen component; `make_schema` adds one branch per component."""

    name: str


def _is_placement(value: str) -> bool:
    try:
        return bool(block_layers(value, num_layers=1000))
    except ValueError:
        return False


@dataclass(kw_only=True, slots=True)
class XattnSlot(Slot):
    """The cross-attention blocks, and the layers of the language model that they are inserted before."""

    placement: str = field(
        metadata=allow(PLACEMENTS, _is_placement, ("every", "every_2nd", "every_4th", "single_middle"))
    )


@dataclass(kw_only=True, slots=True)
class LMSlot(Slot):
    """The language model, and the origin of its weights: random initialisation, or the directory `path`."""

    freeze: bool = field(metadata=SWITCH)
    weights: str = field(metadata=one_of("pretrained", "random"))
    path: str | None = None


@dataclass(kw_only=True, slots=True)
class Experiment:
    """The keys of an experiment that are known before components are imported; `make_schema` adds the rest."""

    seed: int = field(default=0, metadata=allow("whole numbers from 0 to 4294967295", lambda value: 0 <= value < 2**32))
    device: str = field(default="auto", metadata=one_of(*DEVICES))
    compare: bool = field(default=True, metadata=SWITCH)
    rerun: bool = field(default=False, metadata=SWITCH)
    debug: bool = field(default=False, metadata=SWITCH)
    components: list[str] = field(default_factory=list)
    changes: dict[str, list[str]] = field(default_factory=dict)  # for ablation files: the keys each declares
    group: str | None = None  # for the file of a row that is not in the published table
    train: TrainConfig
    data: DataConfig
    eval: EvalConfig


SLOT_BASES: Mapping[str, type[Slot]] = {"xattn": XattnSlot, "lm": LMSlot}


def make_schema() -> type[Experiment]:
    """`Experiment` with `model`, and with the branches of every slot and role: one per registered class.

    Raises:
        ValueError: the config of a registered class is not a dataclass that YAML can fill.
    """
    sections = [("model", _model()), ("data", _data()), ("eval", _eval())]
    return make_dataclass("ExperimentWithModel", sections, bases=(Experiment,), kw_only=True, slots=True)


def _model() -> type:
    """For each slot, its own keys and one branch per component."""
    from flamingo_core import registry

    slots = []
    for slot in registry.SLOTS:
        configs = {name: registry.component(slot, name).config for name in registry.names(slot)}
        slots.append((slot, _with_branches(slot, SLOT_BASES.get(slot, Slot), configs)))
    return make_dataclass("Model", slots, kw_only=True, slots=True)


def _data() -> type:
    """For each data set, its own keys and one branch per source."""
    roles = [(role, _with_branches(role, DatasetConfig, _source_configs())) for role in DATASETS]
    return make_dataclass("Data", roles, bases=(DataConfig,), kw_only=True, slots=True)


def _eval() -> type:
    """The evaluation keys, and for each benchmark the keys of its source."""
    taken = {entry.name for entry in fields(EvalConfig)}
    roles = []
    for name in BENCHMARKS.names():
        role = _with_branches(name, QueriesConfig, _source_configs())
        _check_name(f"benchmark `{name}`", name, taken)
        roles.append((name, role, field(default_factory=role)))
    return make_dataclass("Eval", roles, bases=(EvalConfig,), kw_only=True, slots=True)


def _source_configs() -> dict[str, type]:
    """Config classes by name, except the world's: its keys are in `data.world` for every role."""
    return {name: SOURCES.get(name).config for name in SOURCES.names() if name != WORLD}


def _with_branches(where: str, base: type, configs: Mapping[str, Any]) -> type:
    taken = {entry.name for entry in fields(base)}
    branches: list[tuple[str, Any, Any]] = []
    for name, config in configs.items():
        check_component(where, name, config, taken)
        branches.append((name, config | None, field(default=None)))
    return make_dataclass(f"{where}_slot", branches, bases=(base,), kw_only=True, slots=True)


def check_component(kind: str, name: str, config: Any, taken: set[str]) -> None:
    """Check the name and config class of a registered class; `taken` are the other keys of its section.

    Raises:
        ValueError: the name is taken or not one word, or the config is not a dataclass that YAML can fill.
    """
    _check_name(f"{kind} `{name}`", name, taken)
    _check_config(f"{kind} `{name}`", config)


def _check_name(who: str, name: str, taken: set[str]) -> None:
    if not name.isidentifier() or name in taken:
        raise ValueError(f"{who}: a component's name is one word in letters, digits and `_`, not {', '.join(taken)}")


def _check_config(who: str, config: Any) -> None:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

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
