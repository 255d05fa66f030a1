"""What a key of a config allows: in words, and as a test, beside the field of the dataclass that it is about."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Rule:
    """What a key allows, in words and as a test; `choices` where it is one of a list, for the nearest match."""

    allowed: str
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()


# A field added later whose default is what was done before: as long as it has that default, hashes stay as they were.
ADDED: Mapping[str, Any] = {"added": True}


def rule_of(entry: Field) -> Rule | None:
    """The rule of a field; one that depends on what is registered is made when it is asked for."""
    rule = entry.metadata.get("rule")
    return rule() if callable(rule) else rule


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


def broken_rules(config: type, values: Mapping[str, Any]) -> Iterator[tuple[str, Any, Rule]]:
    """Every field of a dataclass whose value in `values` is not allowed: its name, the value, the rule."""
    for entry in fields(config):
        rule = rule_of(entry)
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
