"""The dataclasses a spec is made of, with what each key allows beside it, and the schema of a whole experiment.

Sizes have no default: the scale says them. The dataclass of a component lies beside the component; `make_schema` puts
them all in their places, so that every YAML and every override is checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from typing import Any

from experiments.common.rules import ABOVE_ZERO, DECAY, FRACTION, NOT_NEGATIVE, SWITCH, Checked, allow, at_least, one_of
from experiments.data.config import DataConfig
from experiments.evaluation.config import EvalConfig
from flamingo_core.xattn.placement import PLACEMENTS, block_layers

DEVICES = ("auto", "cpu", "cuda", "mps")

# What is no part of a spec's identity: it cannot change a result, or is the other half of a job's (the seed).
OUTSIDE_HASH = ("seed", "device", "compare", "rerun", "debug", "components", "train.checkpoint_every")

# What a component may be configured by.
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
            check_component(slot, name, config, taken)
            branches.append((name, config | None, field(default=None)))
        slots.append((slot, make_dataclass(f"{slot}_slot", branches, bases=(base,), kw_only=True, slots=True)))
    model = make_dataclass("Model", slots, kw_only=True, slots=True)
    return make_dataclass("ExperimentWithModel", [("model", model)], bases=(Experiment,), kw_only=True, slots=True)


def check_component(slot: str, name: str, config: Any, taken: set[str]) -> None:
    """Check the name and the config class of a component; `taken` are keys that it stands beside.

    Raises:
        ValueError: the name is no word of its own, or the config is no dataclass that can be read from YAML.
    """
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
