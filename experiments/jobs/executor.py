"""What runs jobs: the contract that every executor keeps, and what it tells of its jobs.

An executor decides where a job runs and how many run at once. Which jobs there are, in what order, and what is done
about one that failed is the scheduler's. What is printed on the way comes back line by line, so that a display can show
a job's progress wherever it runs.
"""

from dataclasses import dataclass
from typing import Protocol

from experiments.common.interrupt import How
from experiments.jobs.attempt import Outcome
from experiments.jobs.job import Job


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


class Executor(Protocol):
    """Runs attempts at jobs, `slots` at once."""

    slots: int

    def start(self, job: Job) -> None:
        """Begin an attempt; at most `slots` may be under way."""

    def wait(self, timeout_s: float | None = None) -> list[Event]:
        """What has happened since the last call; waits for something, but not longer than `timeout_s`.

        A job's lines come in their order and before its end, and each started job ends exactly once.
        """

    def stop(self, how: How) -> None:
        """Ask all jobs under way to leave a checkpoint, or to end at once. Their ends still come from `wait`."""

    def close(self) -> None:
        """Let go of everything; no job is under way."""
