"""Rules for the values of config keys, in words and as a test, declared beside the dataclass field."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Rule:
    """The values a key allows, in words and as a test; `choices` if it is one of a list, for the nearest match."""

    allowed: str
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()


# Marks a field added later whose default is the old behaviour: with that default it is left out of hashes.
ADDED: Mapping[str, Any] = {"added": True}


def rule_of(entry: Field) -> Rule | None:
    """The rule of a field; a rule that depends on registered names is made on each call."""
    rule = entry.metadata.get("rule")
    return rule() if callable(rule) else rule


def allow(allowed: str, holds: Callable[[Any], bool], choices: tuple[str, ...] = ()) -> dict[str, Any]:
    """Field metadata with a rule."""
    return {"rule": Rule(allowed, holds, choices)}


def at_least(least: int) -> dict[str, Any]:
    """Field metadata: a whole number with a lower bound."""
    return allow(f"whole numbers from {least}", lambda value: value >= least)


def one_of(*choices: str) -> dict[str, Any]:
    """Field metadata: one of these names."""
    return allow(", ".join(choices), lambda value: value in choices, choices)


ABOVE_ZERO = allow("numbers above 0", lambda value: 0 < value < math.inf)
NOT_NEGATIVE = allow("numbers from 0", lambda value: 0 <= value < math.inf)
FRACTION = allow("numbers from 0 to 1", lambda value: 0 <= value <= 1)
DECAY = allow("numbers from 0 to below 1", lambda value: 0 <= value < 1)
SWITCH = allow("true, false", lambda value: isinstance(value, bool))


def broken_rules(config: type, values: Mapping[str, Any]) -> Iterator[tuple[str, Any, Rule]]:
    """Name, value and rule of each field of a dataclass whose value in `values` is not allowed."""
    for entry in fields(config):
        rule = rule_of(entry)
        if rule is not None and entry.name in values and not rule.holds(values[entry.name]):
            yield entry.name, values[entry.name], rule


class Checked:
    """Mixin for dataclasses: values that break their rules raise a ValueError that names all of them."""

    __slots__ = ()

    def __post_init__(self) -> None:
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}  # type: ignore[arg-type]
        wrong = [
            f"`{name}` is {value!r}; allowed: {rule.allowed}" for name, value, rule in broken_rules(type(self), values)
        ]
        if wrong:
            raise ValueError("\n".join(wrong))
