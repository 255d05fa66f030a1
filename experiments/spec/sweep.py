"""What a command asks for: its overrides as jobs, in values that the schema allows."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from experiments.common.large_imports import uncollected
from experiments.common.problems import Problem, UserError, wrong_value
from experiments.published.table3 import BASELINE, in_order
from experiments.spec.overrides import GROUPS, Override, check_value, key_names, parse
from experiments.spec.preflight import check_device
from experiments.spec.schema import Experiment
from experiments.spec.yaml_files import (
    ABLATION,
    SCALE,
    chosen_ablations,
    chosen_scale,
    default_scale,
    known,
    plain_values,
)


@dataclass(frozen=True)
class SweepPoint:
    """One of the jobs that a command asks for, in checked values."""

    scale: str
    ablations: tuple[str, ...]
    overrides: Mapping[str, Any]


def read_jobs(
    arguments: Sequence[str],
    *,
    sweeps: bool,
    config_dir: Path | None,
    problems: list[Problem],
    before_imports: Callable[[], None] | None = None,
) -> tuple[list[SweepPoint], type]:
    """The jobs of a command and the schema they were checked against.

    What is wrong with an override by itself goes to `problems`, and jobs go without it: more may be wrong elsewhere.
    Components are imported only where something depends on them, so that a wrong seed is refused in a moment;
    `before_imports` is called then, if nothing is wrong so far.

    Raises:
        UserError: it is not known which jobs are meant, or there is no need to look further.
    """
    groups = {group: known(group, config_dir) for group in GROUPS}
    keys = [
        *GROUPS,
        *key_names(Experiment),
        *plain_values(),
        *(f"{group}={name}" for group in GROUPS for name in groups[group]),
    ]
    overrides = {override.key: override for override in parse(arguments, sweeps=sweeps, keys=keys, problems=problems)}
    scales = overrides.pop(SCALE, Override(SCALE, (default_scale(),), ""))
    ablations = overrides.pop(ABLATION, Override(ABLATION, (BASELINE,), ""))
    chosen_scales = [chosen_scale(value, list(groups[SCALE]), problems, config_dir) for value in scales.values]
    chosen = [
        in_order(chosen_ablations(value, list(groups[ABLATION]), problems, config_dir)) for value in ablations.values
    ]

    names_stand = not problems
    late = any(key.startswith("model.") or key == "model" for key in overrides)
    checked: dict[str, list[Any]] = {}
    schema: type = Experiment
    for of_model in (False, True):
        if of_model:
            if problems and not late:
                break
            if not problems and before_imports is not None:
                before_imports()
            schema = _load_components(checked.get("components", [[]])[0], problems)
        for key, override in overrides.items():
            if (key.split(".")[0] == "model") is of_model:
                typed, before = override.typed if len(override.values) == 1 else None, len(problems)
                values = [check_value(schema, key, one, problems, typed=typed, keys=keys) for one in override.values]
                if len(problems) == before:
                    checked[key] = values
    if checked.get("device"):
        check_device(checked["device"], problems)
    if not names_stand or (problems and not late):
        raise UserError(problems)
    jobs = [
        SweepPoint(scale, names, dict(zip(checked, values, strict=True)))
        for scale, names, *values in product(chosen_scales, chosen, *checked.values())
    ]
    return jobs, schema


def _load_components(modules: Sequence[str], problems: list[Problem]) -> type:
    """Import components from outside, then make the schema of all that is registered."""
    from experiments.spec.schema import make_schema

    for module in modules:
        try:
            with redirect_stdout(sys.stderr):
                importlib.import_module(module)
        except (Exception, SystemExit) as error:
            allowed = f"modules that can be imported ({type(error).__name__}: {' '.join(str(error).split())})"
            hint = "is its folder on PYTHONPATH, or the working directory?"
            problems.append(wrong_value("components", module, allowed, hint))
    try:
        with uncollected():  # the first look at the registry imports every component
            return make_schema()
    except ValueError as error:
        problems.append(
            Problem(text=str(error), hint="see the configs beside the built-in components", key="components")
        )
        raise UserError(problems) from error
