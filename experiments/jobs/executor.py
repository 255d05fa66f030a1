"""Executors: where jobs run, and how many at once.

An executor is a class registered under a name, with a dataclass of its settings if it has any; it is a file in
`jobs/executors/` or a module from outside. The scheduler decides which jobs run, in what order, and what happens after
a failure. The output of a job comes back line by line, so that a display can show its progress wherever it runs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from experiments.common.interrupt import How
from experiments.common.registry import Registry
from experiments.jobs.attempt import Outcome
from experiments.jobs.job import Job
from experiments.jobs.site import THIS_MACHINE, Site

Run = Callable[[Job], Outcome]


@dataclass(frozen=True)
class Said:
    """A job printed a line."""

    job: Job
    line: str


@dataclass(frozen=True)
class Ended:
    """An attempt at a job is over."""

    job: Job
    outcome: Outcome


Event = Said | Ended


@dataclass(frozen=True)
class Failure:
    """A job that failed for good, and its last lines of output."""

    job: Job
    outcome: Outcome
    last_lines: tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class NoSettings:
    """The settings class of an executor without settings."""


class Executor(ABC):
    """Runs attempts at jobs, up to `slots` at once.

    Its class methods answer what a command asks before any job starts; their defaults are right for one machine.
    """

    apart: ClassVar[bool] = True  # jobs run in other processes, and `wait` returns the lines they print
    slots: int

    @abstractmethod
    def __init__(self, settings: Any, *, slots: int, run: Run) -> None:
        """Prepare for up to `slots` jobs at once; each is passed to `run`, a function that can be pickled."""

    @classmethod  # noqa: B027, most executors have nothing to prepare
    def warm_up(cls) -> None:
        """Prepare what jobs will need, while the command is still being checked."""

    @classmethod
    def site(cls, settings: Any) -> Site:
        """The site where its jobs find their work folders, leases and locks."""
        return THIS_MACHINE

    @abstractmethod
    def start(self, job: Job) -> None:
        """Start an attempt at a job; never called with `slots` attempts running."""

    @abstractmethod
    def wait(self, timeout_s: float | None = None) -> list[Event]:
        """Events since the last call; waits for at least one, but at most `timeout_s` seconds.

        The lines of a job come in order and before its end, and each started job ends exactly once.
        """

    @abstractmethod
    def stop(self, how: How) -> None:
        """Ask all running jobs to stop after a checkpoint, or at once. `wait` still returns their ends."""

    @abstractmethod
    def close(self) -> None:
        """Release all resources; called when no job is running."""


@dataclass(frozen=True)
class Registered:
    """An executor class and the dataclass of its settings."""

    cls: type[Executor]
    settings: type


EXECUTORS: Registry[Registered] = Registry("executor", "experiments.jobs.executors")

E = TypeVar("E", bound=type[Executor])


def register_executor(name: str, *, config: type = NoSettings) -> Callable[[E], E]:
    """Register an executor class under a name; `config` is the dataclass of its settings.

    Raises:
        ValueError: the name is taken, or is not one word.
        TypeError: the class is not a subclass of `Executor`, or lacks some of its methods.
    """

    def decorate(cls: E) -> E:
        lacking = sorted(getattr(cls, "__abstractmethods__", ()))
        if not issubclass(cls, Executor) or lacking:
            reason = f"lacks {', '.join(lacking)}" if lacking else "is not a subclass of Executor"
            raise TypeError(f"executor `{name}`: {cls.__qualname__} {reason}")
        EXECUTORS.add(name, Registered(cls, config), module=cls.__module__)
        return cls

    return decorate
