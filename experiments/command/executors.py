"""The flag `--executor`: unknown names are refused early, workers warm up early, the choice is made with the specs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.common.problems import Problem, UserError, refuse

if TYPE_CHECKING:
    from experiments.jobs.choice import Choice
    from experiments.spec.spec import Spec
    from experiments.spec.sweep import Sweep


@dataclass(frozen=True)
class AskedExecutor:
    """The executor and the number of workers that a command line asks for."""

    name: str | None = None  # None: in this process, or in workers of this machine
    workers: int | None = None
    config_dir: Path | None = None

    @classmethod
    def of(
        cls, flags: Mapping[str, str], overrides: Sequence[str], workers: int | None, problems: list[Problem]
    ) -> "AskedExecutor":
        """The flags' executor; an unknown name is a problem unless `components=` may still register it."""
        name = flags.get("--executor")
        config_dir = Path(flags["--config-dir"]) if "--config-dir" in flags else None
        if name is not None and not any(override.partition("=")[0] == "components" for override in overrides):
            from experiments.jobs.choice import unknown
            from experiments.jobs.executor import EXECUTORS

            if name not in EXECUTORS.names():
                problems.append(unknown(name, config_dir))
        return cls(name, workers, config_dir)

    def warm_up(self) -> None:
        """Let an already registered executor start its workers while components are imported in this process."""
        from experiments.jobs.executor import EXECUTORS

        name = self.name or ("in_process" if self.workers == 1 else "local")
        if name in EXECUTORS.names():
            EXECUTORS.get(name).cls.warm_up()

    def resolve(self, sweeps: "Sequence[Sweep]") -> "tuple[list[Spec], Choice | None]":
        """The specs of a command and its executor; None for the default executor.

        Raises:
            UserError: either is invalid; the error lists all problems.
        """
        from experiments.spec.spec import specs_of

        specs: list[Spec] = []
        problems: list[Problem] = []
        try:
            specs = [spec for sweep in sweeps for spec in specs_of(sweep)]
        except UserError as error:
            problems += error.problems
        choice = None
        if self.name is not None and not any(problem.key == "components" for problem in problems):
            from experiments.jobs.choice import choose

            try:
                choice = choose(self.name, workers=self.workers, config_dir=self.config_dir)
            except UserError as error:
                problems += error.problems
        refuse(problems)
        return specs, choice
