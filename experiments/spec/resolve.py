"""From what the YAML files and overrides say to a resolved spec: the chosen branch of each slot, nothing missing.

A resolved spec is plain nested data. What it is known by, its hash, is taken here too.
"""

import hashlib
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from experiments.common.checkout import ROOT
from experiments.common.outside_code import imported_hash
from experiments.common.problems import Problem, UserError, did_you_mean, wrong_value
from experiments.common.rules import broken_rules
from experiments.data.config import WORLD
from experiments.data.source import SOURCES
from experiments.evaluation.benchmark import BENCHMARKS
from experiments.evaluation.config import ceilings_of_run, wrong_ceilings
from experiments.spec.schema import OUTSIDE_HASH, SLOT_BASES, Experiment, Slot
from experiments.spec.sources import choose_sources, read_by, roles
from experiments.spec.unsaid import UNSAID, default_of, reworded, unsaid
from experiments.spec.yaml_files import leaves
from experiments.store.names import RESULTS_VERSION, is_path
from experiments.store.places import in_cache

RECORD_FILE = "parts.json"  # beside frozen parts that were made here: what they are, and their hashes


def resolve(
    said: Mapping[str, Any],
    overrides: Mapping[str, Any],
    *,
    scale: str,
    problems: list[Problem],
    refuse_idle: bool = True,
) -> dict[str, Any]:
    """Files and overrides -> the resolved spec; errors in it go to `problems`.

    An override for a component that is not chosen would be without effect: it is a problem if `refuse_idle`, and passed
    over otherwise (the baseline of a command need not have what the row has).
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
    """Keep the ceilings of what is run, and those that the command gives: of what is not run they are problems."""
    prefix = "eval.ceilings"
    typed = [*overrides.get(prefix, ()), *(key.removeprefix(f"{prefix}.") for key in overrides)]
    section["ceilings"] = ceilings_of_run(section["benchmarks"], section["ceilings"], typed)
    problems += wrong_ceilings(section["benchmarks"], section["ceilings"])


def put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key of nested dicts; parents that are not there are made."""
    *parents, last = key.split(".")
    for part in parents:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    tree[last] = value


def spec_hash(
    tree: Mapping[str, Any],
    *,
    files: Mapping[str, str],
    data: str,
    version: int = RESULTS_VERSION,
    training: bool = False,
) -> str:
    """16 hexadecimal digits that move with whatever can change a result, or with what can change training alone.

    `files` are the hashes of the files that count, by key: frozen weights, components from outside. `data` is that of
    the data sets.
    """
    left_out = (*OUTSIDE_HASH, *_added_keys(tree), *(("eval",) if training else ()))
    kept = {key: value for key, value in leaves(tree).items() if not is_path(key) and not _is_below(key, left_out)}
    counted = {key: value for key, value in files.items() if not (training and _is_below(key, ("eval",)))}
    identity = {"spec": kept, "files": counted, "data": data, "version": version}
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _is_below(key: str, parents: Iterable[str]) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in parents)


def frozen_files(model: Mapping[str, Any]) -> dict[str, str]:
    """The sha256 of every file or directory of weights that a resolved model names, by key."""
    named = {key: value for key, value in leaves(model, "model.").items() if is_path(key) and value is not None}
    return {key: content_hash(Path(value)) for key, value in named.items()}


def read_record(folder: Path) -> dict[str, dict[str, Any]]:
    """The record of the frozen parts in a folder, by name; empty where there is none.

    Raises:
        ValueError: the record is there and cannot be read.
    """
    path = folder / RECORD_FILE
    said: object = json.loads(path.read_bytes()) if path.exists() else {}
    if not isinstance(said, dict):
        raise ValueError("it holds no object")
    return said


def component_files(model: Mapping[str, Any], components: Sequence[str] = ()) -> dict[str, str]:
    """The sha256 of the file that each chosen class from outside lies in, by key: it is in nobody's git history.

    Where it imports modules that are neither installed nor ours, there is another one over all of them. `components`
    are the modules that the command names. Our own classes are not among them: `RESULTS_VERSION` stands for those.

    Raises:
        UserError: a class is in no file, as one that was typed into a notebook.
    """
    from flamingo_core import registry

    hashes: dict[str, str] = {}
    for slot in registry.SLOTS:
        name = model[slot]["name"]
        chosen = registry.component(slot, name)
        if not chosen.built_in:
            hashes |= _file_of(chosen.cls, f"model.{slot}.name", name, components)
    return hashes


def outside_files(tree: Mapping[str, Any]) -> dict[str, str]:
    """The same of the benchmarks and sources from outside that a resolved spec reads.

    Raises:
        UserError: a class is in no file.
    """
    hashes: dict[str, str] = {}
    for name in tree["eval"]["benchmarks"]:
        if not BENCHMARKS.built_in(name):
            hashes |= _file_of(type(BENCHMARKS.get(name)), f"eval.benchmarks.{name}", name, tree["components"])
    for section, role in read_by(tree):
        name = tree[section].get(role, {}).get("source", WORLD)
        if not SOURCES.built_in(name):
            hashes |= _file_of(SOURCES.get(name).cls, f"{section}.{role}.source", name, tree["components"])
    return hashes


def _file_of(cls: type, key: str, name: str, components: Sequence[str]) -> dict[str, str]:
    """Hashes of the file of a class from outside, by key, and of what it imports."""
    try:
        hashes = {key: content_hash(Path(inspect.getfile(cls)))}
    except (TypeError, OSError) as error:
        hint = "put it into a module of its own, and name that in `components`"
        raise UserError([wrong_value(key, name, "components whose class is in a file", hint)]) from error
    imported = imported_hash(cls.__module__, components)
    return hashes if imported is None else {**hashes, f"{key} imports": imported}


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
    """Every value is said, and allowed by its rule; then the dataclass itself has its say."""
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
    """Make paths absolute: those of the command from the working directory, those of a YAML from the repository."""
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


def _added_keys(tree: Mapping[str, Any]) -> Iterator[str]:
    """Keys that were added to the schema later and have their default."""
    from flamingo_core import registry

    yield from _added(Experiment, tree, "")
    for slot, choice in tree["model"].items():
        yield from _added(SLOT_BASES.get(slot, Slot), choice, f"model.{slot}.")
        name = choice["name"]
        yield from _added(registry.component(slot, name).config, choice.get(name, {}), f"model.{slot}.{name}.")
    for section, role, config in roles(tree):
        said = tree[section].get(role, {})
        yield from _added(config, said, f"{section}.{role}.")
        name = said.get("source", WORLD)
        if name != WORLD and name in SOURCES.names():
            yield from _added(SOURCES.get(name).config, said.get(name, {}), f"{section}.{role}.{name}.")


def _added(config: type, values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    hints = get_type_hints(config)
    for entry in fields(config):
        if entry.name not in values:
            continue
        default = default_of(entry)
        if is_dataclass(default) and not isinstance(default, type):
            default = asdict(default)
        if entry.metadata.get("added") and values[entry.name] == default:
            yield prefix + entry.name
        elif is_dataclass(hints[entry.name]):
            yield from _added(hints[entry.name], values[entry.name], f"{prefix}{entry.name}.")


def content_hash(path: Path) -> str:
    """sha256 of a file, or of the names and contents of all files below a directory."""
    if path.is_file():
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(one for one in path.rglob("*") if one.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{content_hash(file)}\n".encode())
    return digest.hexdigest()
