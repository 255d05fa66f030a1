"""From a command's overrides to jobs, with values checked against the schema."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from experiments.common.large_imports import uncollected
from experiments.common.problems import Problem, UserError, wrong_value
from experiments.data.config import WORLD
from experiments.published.table3 import BASELINE, in_order
from experiments.spec.overrides import GROUPS, Override, check_value, key_names, parse
from experiments.spec.preflight import check_device
from experiments.spec.schema import Experiment
from experiments.spec.yaml_files import (
    ABLATION,
    SCALE,
    check_config_dir,
    chosen_ablations,
    chosen_scale,
    default_scale,
    known,
    plain_values,
)


@dataclass(frozen=True)
class SweepPoint:
    """One job of a command, with checked values."""

    scale: str
    ablations: tuple[str, ...]
    overrides: Mapping[str, Any]


@dataclass(frozen=True)
class Sweep:
    """A command's overrides, checked as far as possible without importing components."""

    scales: tuple[str, ...]
    ablations: tuple[tuple[str, ...], ...]
    overrides: Mapping[str, Override]
    values: Mapping[str, list[Any]]  # checked, by key, except those that depend on registered components
    keys: tuple[str, ...]  # candidates for "did you mean" hints
    config_dir: Path | None
    problems: tuple[Problem, ...]  # found so far; keys that need components are checked later
    names_stand: bool  # the list of jobs is known


def parse_sweep(
    arguments: Sequence[str],
    *,
    sweeps: bool = False,
    config_dir: Path | None = None,
    problems: Sequence[Problem] = (),
) -> Sweep:
    """Parse a command's overrides and check everything that needs no component; `problems` are those found so far.

    Importing components takes seconds; without it, a wrong seed is refused immediately.

    Raises:
        UserError: the command is invalid, and no key is given that needs components to be checked.
    """
    found = list(problems)
    if config_dir is not None:
        check_config_dir(config_dir, found)
    groups = {group: known(group, config_dir) for group in GROUPS}
    keys = [
        *GROUPS,
        *key_names(Experiment),
        *plain_values(),
        *(f"{group}={name}" for group in GROUPS for name in groups[group]),
    ]
    overrides = {override.key: override for override in parse(arguments, sweeps=sweeps, keys=keys, problems=found)}
    scales = overrides.pop(SCALE, Override(SCALE, (default_scale(),), ""))
    ablations = overrides.pop(ABLATION, Override(ABLATION, (BASELINE,), ""))
    chosen_scales = [chosen_scale(value, list(groups[SCALE]), found, config_dir) for value in scales.values]
    chosen = [
        in_order(chosen_ablations(value, list(groups[ABLATION]), found, config_dir)) for value in ablations.values
    ]
    names_stand = not found
    late = _late(overrides)
    others = {key: override for key, override in overrides.items() if key not in late}
    values = _checked(Experiment, others, keys, found)
    if values.get("device"):
        check_device(values["device"], found)
    if found and not late:
        raise UserError(found)
    return Sweep(
        tuple(chosen_scales), tuple(chosen), overrides, values, tuple(keys), config_dir, tuple(found), names_stand
    )


def points(sweep: Sweep, problems: list[Problem]) -> tuple[list[SweepPoint], type]:
    """The jobs of a sweep and the schema that they were checked against; this imports components.

    An invalid override is added to `problems` and left out of the jobs, so that further errors can be found.

    Raises:
        UserError: the list of jobs is not known, or the components cannot be imported.
    """
    schema = _load_components(sweep.values.get("components", [[]])[0], problems)
    checked = {**sweep.values, **_checked(schema, _late(sweep.overrides), sweep.keys, problems)}
    if not sweep.names_stand:
        raise UserError(problems)
    jobs = [
        SweepPoint(scale, names, dict(zip(checked, values, strict=True)))
        for scale, names, *values in product(sweep.scales, sweep.ablations, *checked.values())
    ]
    return jobs, schema


def _late(overrides: Mapping[str, Override]) -> dict[str, Override]:
    """Overrides checked after components are imported: of the model, of sources, and of what modules can extend."""
    outside = ("eval.benchmarks",) if "components" in overrides else ()
    return {key: override for key, override in overrides.items() if _is_of_slot(key) or key in outside}


def _is_of_slot(key: str) -> bool:
    """Whether a key belongs to a slot of the model or to a role's source."""
    section, *parts = key.split(".")
    if section == "model":
        return True
    of_role = section == "eval" or (section == "data" and parts[:1] != [WORLD])
    return of_role and len(parts) > 1 and parts[0] != "ceilings" and parts[1] not in ("batch_size", "loss_weight")


def _checked(
    schema: type, overrides: Mapping[str, Override], keys: Sequence[str], problems: list[Problem]
) -> dict[str, list[Any]]:
    """The values of each override that the schema allows."""
    checked = {}
    for key, override in overrides.items():
        typed, before = override.typed if len(override.values) == 1 else None, len(problems)
        values = [check_value(schema, key, one, problems, typed=typed, keys=list(keys)) for one in override.values]
        if len(problems) == before:
            checked[key] = values
    return checked


def import_components(modules: Sequence[str], problems: list[Problem]) -> None:
    """Import modules from outside, which register their classes; one that cannot be imported is a problem."""
    for module in modules:
        try:
            with redirect_stdout(sys.stderr):
                importlib.import_module(module)
        except (Exception, SystemExit) as error:
            allowed = f"modules that can be imported ({type(error).__name__}: {' '.join(str(error).split())})"
            hint = "is its folder on PYTHONPATH, or the working directory?"
            problems.append(wrong_value("components", module, allowed, hint))


def _load_components(modules: Sequence[str], problems: list[Problem]) -> type:
    """Import components from outside, then make the schema with all registered classes."""
    from experiments.spec.schema import make_schema

    import_components(modules, problems)
    try:
        with uncollected():  # the first access to the registry imports every component
            return make_schema()
    except ValueError as error:
        problems.append(
            Problem(text=str(error), hint="see the configs beside the built-in components", key="components")
        )
        raise UserError(problems) from error
