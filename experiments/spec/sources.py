"""The sources of a spec: selection and checks by role, and the hash of all data that is read."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from experiments.common.problems import Problem, wrong_value
from experiments.data.config import DATASETS, WORLD, DatasetConfig, QueriesConfig
from experiments.data.source import SOURCES, Choice, Sources
from experiments.evaluation.benchmark import BENCHMARKS
from experiments.evaluation.config import default_benchmarks
from experiments.spec.unsaid import UNSAID, default_of, reworded, unsaid


def roles(tree: Mapping[str, Any]) -> Iterator[tuple[str, str, type]]:
    """Section, name and config class of every role that a resolved spec has."""
    for role in DATASETS:
        yield "data", role, DatasetConfig
    for name in tree["eval"].get("benchmarks", default_benchmarks()):
        yield "eval", name, QueriesConfig


def sources_of(tree: Mapping[str, Any]) -> Sources:
    """The sources of a resolved spec, by role."""
    choices = {}
    for section, role, _ in roles(tree):
        said = tree[section].get(role, {})  # specs stored before sources existed name none
        name = said.get("source", WORLD)
        choices[role] = Choice(name, tree["data"]["world"] if name == WORLD else said[name])
    return Sources(choices)


def data_hash(tree: Mapping[str, Any], *, training: bool = False) -> str:
    """The hash of all data that a spec reads, or of its training data alone."""
    read = {name: asked_role(section, name) for section, name in read_by(tree) if section == "data" or not training}
    return sources_of(tree).fingerprint(read)


def asked_role(section: str, name: str) -> str:
    """The role requested from a source: a benchmark may use the queries of another one."""
    return name if section == "data" else BENCHMARKS.get(name).role


def read_by(tree: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Section and name of every role that a run of a resolved spec reads."""
    for section, role, _ in roles(tree):
        if section == "eval" or role in tree["data"]["mixture"]:
            yield section, role


def choose_sources(tree: dict[str, Any], scale: str, problems: list[Problem]) -> None:
    """Reduce every role to its own keys and the branch of its source; errors are added to `problems`.

    A benchmark with the default source gets no section.
    """
    for section, role, config in roles(tree):
        chosen = _chosen(f"{section}.{role}.", tree[section].get(role) or {}, config, scale, problems)
        tree[section][role] = chosen
        if chosen == {"source": WORLD}:
            del tree[section][role]
    run = tree["eval"]["benchmarks"]
    for name in BENCHMARKS.names():
        said = {} if name in run else tree["eval"].pop(name, {})
        if said.get("source", WORLD) != WORLD:
            hint = f"run it too, or take `eval.{name}` out"
            problems.append(wrong_value(f"eval.{name}.source", said["source"], f"sources of {', '.join(run)}", hint))


def _chosen(prefix: str, said: Mapping[str, Any], config: type, scale: str, problems: list[Problem]) -> dict[str, Any]:
    own = {entry.name: said[entry.name] for entry in fields(config) if entry.name in said}
    name = own.setdefault("source", WORLD)
    if name not in SOURCES.names():
        problems.append(wrong_value(f"{prefix}source", name, SOURCES.names()))
        return own
    if name == WORLD:
        return own
    settings, branch = SOURCES.get(name).config, dict(said.get(name) or {})
    missing = [entry.name for entry in fields(settings) if branch.get(entry.name, default_of(entry)) == UNSAID]
    problems += [unsaid(f"{prefix}{name}.{key}", scale) for key in missing]
    if missing:
        return own
    try:
        return {**own, name: asdict(settings(**branch))}
    except (ValueError, TypeError) as error:
        problems.append(reworded(error, f"{prefix}{name}.", settings))
        return own
