"""The executor of a command: the one it names, with settings from its YAML file, or a built-in default."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, make_dataclass
from pathlib import Path
from typing import Any

from experiments.common.problems import Problem, UserError, did_you_mean, refuse, wrong_value
from experiments.common.yaml_file import read
from experiments.jobs.executor import EXECUTORS, Executor, Run
from experiments.jobs.site import THIS_MACHINE, Site
from experiments.spec.overrides import check_value
from experiments.spec.schema import check_component
from experiments.spec.spec import Spec
from experiments.spec.yaml_files import EXECUTOR, known, leaves


@dataclass(frozen=True)
class Choice:
    """An executor's class and its settings."""

    cls: type[Executor]
    settings: Any

    @property
    def site(self) -> Site:
        """Where its jobs run."""
        return self.cls.site(self.settings)

    def make(self, *, slots: int, run: Run) -> Executor:
        """Make an executor for up to `slots` jobs at once."""
        return self.cls(self.settings, slots=slots, run=run)


def by_default(at_once: int) -> Choice:
    """The default executor: `in_process` for one job at a time, `local` for more."""
    registered = EXECUTORS.get("local" if at_once > 1 else "in_process")
    return Choice(registered.cls, registered.settings())


def default_workers(specs: Sequence[Spec], choice: Choice | None) -> int:
    """Jobs at once without `--workers`: as many as the site has room for, or one in this process."""
    if choice is None:
        return THIS_MACHINE.default_workers(specs)
    return choice.site.default_workers(specs) if choice.cls.apart else 1


def choose(name: str, *, workers: int | None, config_dir: Path | None) -> Choice:
    """The executor of a name, with its settings read from `executor/NAME.yaml`.

    Raises:
        UserError: the name is unknown, the executor takes fewer workers, or its settings are wrong.
    """
    if name not in EXECUTORS.names():
        raise UserError([unknown(name, config_dir)])
    registered = EXECUTORS.get(name)
    problems: list[Problem] = []
    if not registered.cls.apart and workers is not None and workers > 1:
        hint = "leave --workers out, or name an executor with processes of its own: --executor local"
        problems.append(wrong_value("--workers", workers, f"1 with --executor {name}", hint))
    settings = _settings(name, registered.settings, known(EXECUTOR, config_dir).get(name), problems)
    refuse(problems)
    return Choice(registered.cls, settings)


def unknown(name: str, config_dir: Path | None = None) -> Problem:
    """The problem of a name that no executor has."""
    hint = did_you_mean(name, EXECUTORS.names()) or "components=[my.module] adds an executor of your own"
    if name in known(EXECUTOR, config_dir):
        hint = "its settings were found, but not its class: name the module of the class, as components=[my.module]"
    return wrong_value("--executor", name, EXECUTORS.names(), hint)


def _settings(name: str, config: type, file: Path | None, problems: list[Problem]) -> Any:
    """Read the settings of an executor from its YAML file; errors are added to `problems`."""
    try:
        check_component("executor", name, config, set())
    except ValueError as error:
        problems.append(Problem(text=str(error), hint="docs/components.md has an executor with settings", key=name))
        return None
    under = make_dataclass("Executors", [(name, config)], kw_only=True)
    root = make_dataclass("Root", [(EXECUTOR, under)], kw_only=True)
    found: list[Problem] = []
    values = {
        key: check_value(root, f"{EXECUTOR}.{name}.{key}", value, found)
        for key, value in (leaves(read(file)).items() if file is not None else ())
    }
    missing = [
        entry.name
        for entry in fields(config)
        if entry.name not in values and entry.default is MISSING and entry.default_factory is MISSING
    ]
    for key in missing:
        text, place = f"`{EXECUTOR}.{name}.{key}` has no value", f"{EXECUTOR}/{name}.yaml"
        hint = f"write `{key}: ...` in DIR/{place}, and add --config-dir DIR" if file is None else f"write it in {file}"
        found.append(Problem(text=text, hint=hint, key=f"{EXECUTOR}.{name}.{key}"))
    if not found:
        try:
            return config(**values)
        except ValueError as error:
            found.append(Problem(text=" ".join(str(error).split()), key=f"{EXECUTOR}.{name}"))
    for one in found:
        text = one.text if file is None else f"{file}: {one.text}"
        problems.append(Problem(text=text, hint=one.hint, key=one.key, value=one.value, allowed=one.allowed))
    return None
