"""YAML files and overrides -> resolved spec: the chosen branch of each slot, with no value missing.

A resolved spec is plain nested data.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from experiments.common.checkout import ROOT
from experiments.common.problems import Problem, did_you_mean, wrong_value
from experiments.common.rules import broken_rules
from experiments.evaluation.config import ceilings_of_run, wrong_ceilings
from experiments.spec.schema import SLOT_BASES, Experiment, Slot
from experiments.spec.sources import choose_sources
from experiments.spec.unsaid import UNSAID, default_of, reworded, unsaid
from experiments.spec.yaml_files import leaves
from experiments.store.names import is_path
from experiments.store.places import in_cache

RECORD_FILE = "parts.json"  # next to frozen parts that were trained here: their descriptions and hashes


def resolve(
    said: Mapping[str, Any],
    overrides: Mapping[str, Any],
    *,
    scale: str,
    problems: list[Problem],
    refuse_idle: bool = True,
) -> dict[str, Any]:
    """Files and overrides -> the resolved spec; errors are added to `problems`.

    An override for a component that is not chosen has no effect: it is a problem if `refuse_idle`, and ignored
    otherwise (the baseline of a command may lack a component that the row has).
    """
    from flamingo_core import registry

    tree = deepcopy(dict(said))
    for key, value in overrides.items():
        put(tree, key, value)
    tree = {key: value for key, value in tree.items() if key not in ("changes", "group", "debug")}
    model = {
        slot: _chosen_branch(slot, tree["model"][slot], overrides, scale, refuse_idle, problems)
        for slot in registry.SLOTS
    }
    tree["model"] = model
    _check_section(Experiment, tree, "", scale, problems)
    for slot, choice in model.items():
        _check_section(SLOT_BASES.get(slot, Slot), choice, f"model.{slot}.", scale, problems)
    _find_files(model, overrides, scale, problems)
    if not any(problem.key.startswith(("eval.benchmarks", "eval.ceilings")) for problem in problems):
        _choose_ceilings(tree["eval"], overrides if refuse_idle else {}, problems)
    choose_sources(tree, scale, problems)
    order = ("seed", "device", "compare", "rerun", "components", "model", "train", "data", "eval")
    return {key: tree[key] for key in order}


def _choose_ceilings(section: dict[str, Any], overrides: Mapping[str, Any], problems: list[Problem]) -> None:
    """Keep the ceilings of benchmarks that run and those typed; typed ones of other benchmarks are problems."""
    prefix = "eval.ceilings"
    typed = [*overrides.get(prefix, ()), *(key.removeprefix(f"{prefix}.") for key in overrides)]
    section["ceilings"] = ceilings_of_run(section["benchmarks"], section["ceilings"], typed)
    problems += wrong_ceilings(section["benchmarks"], section["ceilings"])


def put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key of nested dicts; missing parents are created."""
    *parents, last = key.split(".")
    for part in parents:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    tree[last] = value


def read_record(folder: Path) -> dict[str, dict[str, Any]]:
    """The record of the frozen parts in a folder, by name; empty if there is none.

    Raises:
        ValueError: the record exists but cannot be read.
    """
    path = folder / RECORD_FILE
    said: object = json.loads(path.read_bytes()) if path.exists() else {}
    if not isinstance(said, dict):
        raise ValueError("it holds no object")
    return said


def _chosen_branch(
    slot: str,
    choice: Mapping[str, Any],
    overrides: Mapping[str, Any],
    scale: str,
    refuse_idle: bool,
    problems: list[Problem],
) -> dict[str, Any]:
    """A slot's own keys, and the branch of the component that its `name` chooses."""
    from flamingo_core import registry

    known, name = registry.names(slot), choice["name"]
    own = {key: value for key, value in choice.items() if key not in known}
    if name not in known:
        problems.append(wrong_value(f"model.{slot}.name", name, known))
        return own
    prefix = f"model.{slot}.{name}."
    if refuse_idle:
        problems += [
            _idle(key, value, slot, name) for key, value in overrides.items() if _of_another(key, slot, name, known)
        ]
        if own.get("path") is not None:
            problems += [_idle_size(key, value, slot) for key, value in overrides.items() if key.startswith(prefix)]
    config, branch = registry.component(slot, name).config, dict(choice.get(name) or {})
    missing = [entry.name for entry in fields(config) if branch.get(entry.name, default_of(entry)) == UNSAID]
    if len(branch) == 0 and missing:
        filled = [other for other in known if choice.get(other)]
        problems.append(_no_sizes(slot, name, scale, missing, filled))
    else:
        problems += [unsaid(prefix + key, scale) for key in missing]
    if missing:
        return own
    try:
        return {**own, name: asdict(config(**branch))}
    except (ValueError, TypeError) as error:
        problems.append(reworded(error, prefix, config))
        return own


def _check_section(config: type, values: Mapping[str, Any], prefix: str, scale: str, problems: list[Problem]) -> None:
    """Check that every value is given and allowed by its rule, then that the dataclass accepts them all."""
    before, hints = len(problems), get_type_hints(config)
    for entry in fields(config):
        value = values.get(entry.name, default_of(entry))
        if is_dataclass(hints[entry.name]) and isinstance(value, Mapping):
            _check_section(hints[entry.name], value, f"{prefix}{entry.name}.", scale, problems)
        elif value == UNSAID:
            problems.append(unsaid(prefix + entry.name, scale))
    for name, value, rule in broken_rules(config, values):
        if value != UNSAID:
            hint = did_you_mean(value, rule.choices) if rule.choices else None
            problems.append(wrong_value(prefix + name, value, rule.allowed, hint))
    if len(problems) == before and not any(is_dataclass(hint) for hint in hints.values()):
        try:
            config(**{entry.name: values[entry.name] for entry in fields(config)})
        except ValueError as error:
            problems.append(reworded(error, prefix, config))


def _find_files(model: dict[str, Any], overrides: Mapping[str, Any], scale: str, problems: list[Problem]) -> None:
    """Make paths absolute: relative to the working directory if typed, to the repository if from YAML."""
    for key, value in leaves(model, "model.").items():
        if is_path(key) and value is not None:
            path = Path(value).expanduser()
            typed = key in overrides
            path = Path.cwd() / path if typed else ROOT / in_cache(path)
            if not path.exists():
                makes = f"python -m experiments.pretrain scale={scale} makes it"
                hint = f"there is nothing at {path}" if typed else makes
                problems.append(wrong_value(key, value, "a file or directory that exists", hint))
            put(model, key.removeprefix("model."), str(path))


def _of_another(key: str, slot: str, name: str, known: tuple[str, ...]) -> bool:
    parts = key.split(".")
    return len(parts) > 3 and parts[:2] == ["model", slot] and parts[2] in known and parts[2] != name


def _idle(key: str, value: Any, slot: str, name: str) -> Problem:
    other = key.split(".")[2]
    hint = f"take it out, or choose `model.{slot}.name={other}`"
    return wrong_value(key, value, f"keys of `model.{slot}.{name}`, as `model.{slot}.name` is `{name}`", hint)


def _idle_size(key: str, value: Any, slot: str) -> Problem:
    allowed = f"nothing, as the directory `model.{slot}.path` brings its own sizes"
    return wrong_value(key, value, allowed, f"take it out, or build a model without weights: model.{slot}.path=null")


def _no_sizes(slot: str, name: str, scale: str, missing: list[str], filled: list[str]) -> Problem:
    allowed = ", ".join(filled) or "none"
    return Problem(
        text=f"`model.{slot}.name` is `{name}`, for which scale `{scale}` has no sizes; with sizes: {allowed}",
        hint=f"fill `model.{slot}.{name}` in the scale's file, or give its keys: {', '.join(missing)}",
        key=f"model.{slot}.name",
        value=name,
        allowed=allowed,
    )
