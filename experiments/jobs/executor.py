"""Executors by name: where jobs run, and how many at once.

An executor is one file in `jobs/executors/`, or a module from outside: a class registered under a name, with the
dataclass of its settings if it has any. Which jobs there are, in what order, and what is done about one that failed is
the scheduler's. What a job prints comes back line by line, so that a display can show its progress wherever it runs.
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
    """A job that could not be done, and why."""

    job: Job
    outcome: Outcome
    last_lines: tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class NoSettings:
    """The settings of an executor that has none."""


class Executor(ABC):
    """Runs attempts at jobs, up to `slots` at once.

    The class itself answers what a command asks before any job starts; by default as one machine does.
    """

    apart: ClassVar[bool] = True  # jobs run in other processes, which `wait` brings the lines of
    slots: int

    @abstractmethod
    def __init__(self, settings: Any, *, slots: int, run: Run) -> None:
        """Make room for `slots` jobs; `run` is what is done with each, a function that can be pickled."""

    @classmethod  # noqa: B027, most executors have nothing to start early
    def warm_up(cls) -> None:
        """Start on what jobs will need, while the command is still being checked."""

    @classmethod
    def site(cls, settings: Any) -> Site:
        """Where its jobs find their work folders, leases and locks."""
        return THIS_MACHINE

    @abstractmethod
    def start(self, job: Job) -> None:
        """Begin an attempt; at most `slots` may be under way."""

    @abstractmethod
    def wait(self, timeout_s: float | None = None) -> list[Event]:
        """What has happened since the last call; waits for something, but not longer than `timeout_s`.

        A job's lines come in their order and before its end, and each started job ends exactly once.
        """

    @abstractmethod
    def stop(self, how: How) -> None:
        """Ask all jobs under way to leave a checkpoint, or to end at once. Their ends still come from `wait`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; no job is under way."""


@dataclass(frozen=True)
class Registered:
    """An executor's class, and the dataclass of its settings."""

    cls: type[Executor]
    settings: type


EXECUTORS: Registry[Registered] = Registry("executor", "experiments.jobs.executors")

E = TypeVar("E", bound=type[Executor])


def register_executor(name: str, *, config: type = NoSettings) -> Callable[[E], E]:
    """Register a class under a name; `config` is the dataclass of its settings.

    Raises:
        ValueError: the name is taken, or is not one word.
        TypeError: the class is no executor, or not all of one.
    """

    def decorate(cls: E) -> E:
        lacking = sorted(getattr(cls, "__abstractmethods__", ()))
        if not issubclass(cls, Executor) or lacking:
            reason = f"lacks {', '.join(lacking)}" if lacking else "is no subclass of Executor"
            raise TypeError(f"executor `{name}`: {cls.__qualname__} {reason}")
        EXECUTORS.add(name, Registered(cls, config), module=cls.__module__)
        return cls

    return decorate
