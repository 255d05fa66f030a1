"""Overrides: `key=value` as typed, parsed by Hydra's grammar and checked against the schema key by key.

An override may only set an existing key to a plain value: no `+key`, no `~key`, no interpolation, no key twice.
"""

import math
import re
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, make_dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from experiments.common.problems import SEE_HELP, Problem, did_you_mean, nearest, show, wrong_value
from experiments.common.rules import Rule, rule_of
from experiments.spec.schema import Experiment

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override as HydraOverride

GROUPS = ("ablation", "scale")
HIDDEN = ("changes", "group")  # keys of the schema that belong to ablation files
MAX_SWEEP = 1000

# The tokens of a value: quoted text, words that can be names, anything else.
_PIECES = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[A-Za-z0-9_-]+|\s+|.""", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_OF_VALUES = ("choice", "sort", "shuffle")  # functions of Hydra's grammar that take names

_WORDS = {int: "whole numbers", float: "numbers", bool: "true, false", str: "text"}


@dataclass(frozen=True)
class Override:
    """One key with its value, or with the values of a sweep."""

    key: str
    values: tuple[Any, ...]
    typed: str  # the value as it was typed


@dataclass(frozen=True)
class Key:
    """A key of the schema: the type of its value, and its rule, if it has one."""

    type: Any
    rule: Rule | None


def parse(arguments: Sequence[str], *, sweeps: bool, keys: Sequence[str], problems: list[Problem]) -> list[Override]:
    """Parse overrides; unreadable ones are added to `problems`. `keys` are the candidates for suggestions."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    found: dict[str, list[Override]] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument in keys and "=" not in argument and rest and "=" not in rest[0]:
            problems.append(_two_words(argument, rest.pop(0)))
            continue
        key, equals, typed = argument.partition("=")
        try:
            parsed = parser.parse_override(f"{key}={_as_names(typed)}" if equals and key in GROUPS else argument)
        except HydraException:
            problems.append(_unreadable(argument, keys))
            continue
        problem = _not_plain(parsed, argument, keys)
        values = _values(parsed, typed, sweeps) if problem is None else ()
        if isinstance(values, Problem):
            problem = values
        if problem is not None:
            problems.append(problem)
        elif not isinstance(values, Problem):
            found.setdefault(parsed.key_or_group, []).append(Override(parsed.key_or_group, values, typed))
    for key, given in found.items():
        if len(given) > 1:
            problems.append(_given_twice(key, [override.typed for override in given]))
    return [given[0] for given in found.values() if len(given) == 1]


def find_key(root: type, name: str) -> Key | None:
    """The key with this dotted name in a dataclass; None if there is none or it stands for several keys."""
    here: Any = root
    rule: Rule | None = None
    for part in name.split("."):
        if get_origin(here) is dict:
            here, rule = get_args(here)[1], None
            continue
        entry = _fields_of(here).get(part)
        if entry is None:
            return None
        here, rule = entry
    return None if _dataclass_in(here) else Key(here, rule)


def key_names(root: type, prefix: str = "") -> Iterator[str]:
    """The dotted names of all keys in a dataclass."""
    for name, (annotation, _) in _fields_of(root).items():
        if _dataclass_in(annotation):
            yield from key_names(annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def check_value(
    root: type, name: str, value: Any, problems: list[Problem], *, typed: str | None = None, keys: Sequence[str] = ()
) -> Any:
    """The value converted to the key's type; an unknown key or a wrong value is added to `problems`.

    `keys` are keys outside `root` that may be suggested.
    """
    key = find_key(root, name)
    if key is None:
        problems.append(_unknown_key(root, name, value, keys))
        return None
    if str in _plain_types(key.type) and typed is not None and isinstance(value, bool | int | float):
        value = typed  # a directory may be called 007
    try:
        converted = _convert(key.type, value)
    except ValueError:
        problems.append(wrong_value(name, value, *_allowed(key, value)))
        return None
    if not _finite(converted) or (key.rule is not None and not key.rule.holds(converted)):
        problems.append(wrong_value(name, value, *_allowed(key, value)))
    return converted


def _as_names(typed: str) -> str:
    """Quote every name in a value: a row may be called 2048, 1e3, true or null, which Hydra would not read as text.

    Names stand alone, in a list, or separated by commas; any other form is left to Hydra.
    """
    pieces: list[str] = _PIECES.findall(typed.strip())
    quoted, functions = "", [""]
    for place, piece in enumerate(pieces):
        before = next((one for one in reversed(pieces[:place]) if not one.isspace()), "")
        after = next((one for one in pieces[place + 1 :] if not one.isspace()), "")
        if piece in ("(", "["):
            functions.append(before if piece == "(" else functions[-1])
        elif piece in (")", "]") and len(functions) > 1:
            functions.pop()
        alone = before in ("", ",", "[", "(") and after in ("", ",", "]", ")") and functions[-1] in ("", *_OF_VALUES)
        quoted += f"'{piece}'" if alone and _NAME.fullmatch(piece) else piece
    return quoted


def _two_words(key: str, value: str) -> Problem:
    text = f"`{show(key)} {show(value)}` is not `key=value`; allowed: `key=value`, flags"
    return Problem(text=text, hint=f"did you mean `{show(key)}={show(value)}`?", key=key, value=value)


def _unreadable(argument: str, keys: Sequence[str]) -> Problem:
    shown, (key, equals, value) = show(argument), argument.partition("=")
    if equals and key:
        text, hint = f"`{shown}`: the value cannot be read; allowed: `key=value`", f"quote it: {show(key)}='\"...\"'"
        return Problem(text=text, hint=hint, key=key, value=value, allowed="key=value")
    near = nearest(argument.strip("="), keys)
    hint = f"did you mean `{near}{'' if '=' in near else '=...'}`?" if near else SEE_HELP
    return Problem(text=f"`{shown}` is not `key=value`; allowed: `key=value`, flags", hint=hint, key=argument)


def _not_plain(parsed: "HydraOverride", argument: str, keys: Sequence[str]) -> Problem | None:
    from hydra.core.override_parser.types import OverrideType

    key = parsed.key_or_group
    allowed = "`key=value` for a key that there is"
    if parsed.type is OverrideType.DEL:
        text, hint = f"`{show(argument)}` removes a key; allowed: {allowed}", "give it another value, or leave it out"
        return Problem(text=text, hint=hint, key=key, allowed=allowed)
    if parsed.type is not OverrideType.CHANGE:
        near = nearest_key(key, keys)
        hint = f"did you mean `{near}={argument.partition('=')[2]}`?" if near else SEE_HELP
        return Problem(
            text=f"`{show(argument)}` adds a key; allowed: {allowed}", hint=show(hint), key=key, allowed=allowed
        )
    if parsed.package is not None or "/" in key:
        return Problem(text=f"`{show(argument)}` is for Hydra itself; allowed: {allowed}", key=key, allowed=allowed)
    if "${" in argument:
        hint = f"write the value that `{key}` is to have"
        return wrong_value(key, argument.partition("=")[2], "a value, no interpolation", hint)
    if "???" in argument:
        return wrong_value(key, argument.partition("=")[2], "a value; `???` is Hydra's mark for none")
    if "_target_" in argument and key not in GROUPS:
        return wrong_value(key, argument.partition("=")[2], "a value; `_target_` has no meaning here")
    return None if key else _unreadable(argument, keys)


def _values(parsed: "HydraOverride", typed: str, sweeps: bool) -> tuple[Any, ...] | Problem:
    from hydra.core.override_parser.types import Glob, IntervalSweep, QuotedString
    from hydra.errors import HydraException

    key, value = parsed.key_or_group, parsed.value()
    if not parsed.is_sweep_override():
        return (value,)
    if not sweeps:
        known = find_key(Experiment, key)
        hint = f"-m {key}={typed} runs one job for each value"
        if key == "ablation" or (known is not None and get_origin(known.type) is list):
            hint += f"; `{key}=[{typed}]` takes them together"
        return wrong_value(key, typed, "one value, or a sweep with -m", hint)
    if isinstance(value, IntervalSweep | Glob) or getattr(value, "shuffle", False) or key == "components":
        return wrong_value(
            key, typed, "one value" if key == "components" else "values with commas between, or range(first,end)"
        )
    try:
        values = [
            item.text if isinstance(item, QuotedString) else parsed._convert_value(item)
            for item in islice(parsed.sweep_iterator(), MAX_SWEEP + 1)
        ]
    except (HydraException, ValueError, ArithmeticError):
        values = []
    if key in GROUPS:  # range(1,3) gives numbers, and names are text
        values = [str(item) if type(item) is int else item for item in values]
    if not 0 < len(values) <= MAX_SWEEP:
        return wrong_value(key, typed, f"a sweep of 1 to {MAX_SWEEP} values")
    twice = [item for place, item in enumerate(values) if item in values[:place]]
    if twice:
        return wrong_value(key, typed, "every value once", f"take out one `{show(twice[0])}`")
    return tuple(values)


def _given_twice(key: str, typed: Sequence[str]) -> Problem:
    shown = " and ".join(f"`{show(value)}`" for value in typed)
    together = (
        f"{key}=[{','.join(typed)}] combines them" if key == "ablation" else f"-m {key}={','.join(typed)} runs each"
    )
    return Problem(
        text=f"`{key}` is given {len(typed)} times, as {shown}; allowed: once",
        hint=show(together) if len(set(typed)) > 1 else f"give `{key}` once",
        key=key,
        value=shown,
        allowed="once",
    )


def _unknown_key(root: type, name: str, value: Any, keys: Sequence[str]) -> Problem:
    here, known = root, []
    for part in name.split("."):
        entry = _fields_of(here).get(part)
        if entry is None or not _dataclass_in(entry[0]):
            break
        here = entry[0]
        known.append(part)
    siblings = ", ".join(dict.fromkeys([*((*GROUPS, "model") if here is root else ()), *_fields_of(here)]))
    under = f" under `{'.'.join(known)}`" if known else ""
    if ".".join(known) == name:
        text = f"`{name}` is `{show(value)}`, but it stands for several keys; allowed: one of those{under}: {siblings}"
        return Problem(
            text=text, hint=f"set each on its own, as {name}.KEY=VALUE", key=name, value=show(value), allowed=siblings
        )
    near = nearest_key(name, [*GROUPS, *key_names(root), *keys])
    return Problem(
        text=f"`{show(name)}` is `{show(value)}`, but there is no such key; allowed{under}: {siblings}",
        hint=f"did you mean `{near}`?" if near else SEE_HELP,
        key=name,
        value=show(value),
        allowed=siblings,
    )


def nearest_key(name: str, keys: Sequence[str]) -> str | None:
    """The likely intended key: one that ends in `name`, or the nearest in spelling by whole name or by last part."""
    ending = next((key for key in keys if key.endswith(f".{name}")), None)
    if ending or nearest(name, keys):
        return ending or nearest(name, keys)
    ends = {key.rpartition(".")[2]: key for key in reversed(keys)}
    near = nearest(name.rpartition(".")[2], list(ends))
    return ends[near] if near else None


def _allowed(key: Key, value: Any) -> tuple[str, str | None]:
    """The values that a key allows, and a hint with the likely intended one."""
    allowed = key.rule.allowed if key.rule is not None else _in_words(key.type)
    choices = key.rule.choices if key.rule is not None else ()
    if get_origin(key.type) is list:
        if not isinstance(value, list):
            return allowed, f"did you mean `[{show(value)}]`?"
        twice = [item for place, item in enumerate(value) if item in value[:place]]
        if twice:
            return allowed, f"take out one `{show(twice[0])}`"
    return allowed, did_you_mean(value, choices) if choices else None


def _in_words(annotation: Any) -> str:
    if get_origin(annotation) is list:
        return f"a list of {_in_words(get_args(annotation)[0])}, as [a,b]"
    words = [_WORDS.get(kind, "values") for kind in _plain_types(annotation) if kind is not type(None)]
    return " or ".join(words + ["null"] * (type(None) in _plain_types(annotation)))


def _plain_types(annotation: Any) -> tuple[Any, ...]:
    union = get_origin(annotation) in (Union, types.UnionType)
    return get_args(annotation) if union else (annotation,)


def _dataclass_in(annotation: Any) -> bool:
    return any(is_dataclass(kind) for kind in _plain_types(annotation))


def _fields_of(annotation: Any) -> dict[str, tuple[Any, Rule | None]]:
    config = next((kind for kind in _plain_types(annotation) if is_dataclass(kind)), None)
    if config is None:
        return {}
    hints = get_type_hints(config)
    entries = [entry for entry in fields(config) if entry.name not in HIDDEN]
    return {entry.name: (hints[entry.name], rule_of(entry)) for entry in entries}


def _convert(annotation: Any, value: Any) -> Any:
    """Convert a value as OmegaConf converts values from YAML.

    Raises:
        ValueError: the value has the wrong type.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        holder = OmegaConf.structured(make_dataclass("Holder", [("value", annotation)]))
        holder.value = value
        plain = OmegaConf.to_container(holder)
    except OmegaConfBaseException as error:
        raise ValueError(str(error)) from None
    assert isinstance(plain, dict)
    return plain["value"]


def _finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(_finite(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)
