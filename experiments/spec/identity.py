"""The identity of a resolved spec: its hash, over its keys and over the files and data that it reads."""

import hashlib
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from experiments.common.outside_code import imported_hash
from experiments.common.problems import UserError, wrong_value
from experiments.data.config import WORLD
from experiments.data.source import SOURCES
from experiments.evaluation.benchmark import BENCHMARKS
from experiments.spec.schema import OUTSIDE_HASH, SLOT_BASES, Experiment, Slot
from experiments.spec.sources import read_by, roles
from experiments.spec.unsaid import default_of
from experiments.spec.yaml_files import leaves
from experiments.store.names import RESULTS_VERSION, is_path


def spec_hash(
    tree: Mapping[str, Any],
    *,
    files: Mapping[str, str],
    data: str,
    version: int = RESULTS_VERSION,
    training: bool = False,
) -> str:
    """A hash of 16 hexadecimal digits over everything that can change a result, or that can change training alone.

    `files` maps keys to file hashes: frozen weights, components from outside. `data` is the hash of the data sets.
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


def component_files(model: Mapping[str, Any], components: Sequence[str] = ()) -> dict[str, str]:
    """The sha256 of the source file of each chosen class from outside, by key: our git history does not cover it.

    If it imports modules that are neither installed nor ours, a second hash covers all of them. `components` are the
    modules that the command names. Built-in classes are left out: `RESULTS_VERSION` covers them.

    Raises:
        UserError: a class has no source file, for example one defined in a notebook.
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
    """The same for the benchmarks and sources from outside that a resolved spec reads.

    Raises:
        UserError: a class has no source file.
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
    """Hashes of the source file of a class from outside and of its imports, by key."""
    try:
        hashes = {key: content_hash(Path(inspect.getfile(cls)))}
    except (TypeError, OSError) as error:
        hint = "put it into a module of its own, and name that in `components`"
        raise UserError([wrong_value(key, name, "components whose class is in a file", hint)]) from error
    imported = imported_hash(cls.__module__, components)
    return hashes if imported is None else {**hashes, f"{key} imports": imported}


def _added_keys(tree: Mapping[str, Any]) -> Iterator[str]:
    """Keys that were added to the schema later and still have their default value."""
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
