"""Components by slot and name.

A component is one file in the folder of its slot. The file registers one class (under one or several names) with its
config dataclass; nothing else needs to change: the folders are imported on first use, and the experiment schema is
built from this registry.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

SLOTS = ("vision", "resampler", "xattn", "lm")

T = TypeVar("T", bound=type)


@dataclass(frozen=True)
class Component:
    """One registered component: its class and the dataclass that configures it."""

    cls: Any
    config: type

    @property
    def built_in(self) -> bool:
        """Whether the class belongs to this package, so that our tests and git history cover it."""
        return str(self.cls.__module__).split(".")[0] == __package__


class UnknownComponent(LookupError):
    """No component of the slot has this name."""

    def __init__(self, slot: str, name: str, allowed: tuple[str, ...]):
        super().__init__(f"`{name}` is no {slot} component; allowed: {', '.join(allowed)}")
        self.slot, self.name, self.allowed = slot, name, allowed


_components: dict[str, dict[str, Component]] = {slot: {} for slot in SLOTS}


def register(slot: str, *names: str, config: type) -> Callable[[T], T]:
    """Register a class under one or several names of a slot.

    Raises:
        ValueError: the slot does not exist, or a name is taken by another class.
    """
    if slot not in SLOTS:
        raise ValueError(f"slot is `{slot}`; allowed: {', '.join(SLOTS)}")

    def decorate(cls: T) -> T:
        for name in names:
            taken = _components[slot].get(name)
            if taken is not None:
                raise ValueError(f"{slot} `{name}` is registered twice: {taken.cls.__qualname__}, {cls.__qualname__}")
            _components[slot][name] = Component(cls, config)
        return cls

    return decorate


def names(slot: str) -> tuple[str, ...]:
    """Every name of a slot, sorted."""
    _import_built_in(slot)
    return tuple(sorted(_components[slot]))


def component(slot: str, name: str) -> Component:
    """The component with this name.

    Raises:
        UnknownComponent: no component of the slot has this name.
    """
    _import_built_in(slot)
    try:
        return _components[slot][name]
    except KeyError:
        raise UnknownComponent(slot, name, names(slot)) from None


def make_config(slot: str, choice: Mapping[str, Any]) -> Any:
    """The chosen component's config dataclass from `{"name": ..., <name>: {...}}`, plain data as in a spec."""
    name = choice["name"]
    return component(slot, name).config(**choice.get(name, {}))


def build(slot: str, choice: Mapping[str, Any], **neighbours: Any) -> Any:
    """Build the chosen component; `neighbours` are widths that only adjacent parts know."""
    return component(slot, choice["name"]).cls(make_config(slot, choice), **neighbours)


def _import_built_in(slot: str) -> None:
    package = importlib.import_module(f"flamingo_core.{slot}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"flamingo_core.{slot}.{module.name}")
