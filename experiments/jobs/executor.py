"""What runs jobs: the contract that every executor keeps, and what it tells of its jobs.

An executor decides where a job runs and how many run at once. Which jobs there are, in what order, and what is done
about one that failed is the scheduler's. What is printed on the way comes back line by line, so that a display can show
a job's progress wherever it runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from experiments.common.interrupt import How
from experiments.jobs.attempt import Outcome, attempt, guarded
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


class Here:
    """One job after the other in this process: nothing is forked, and what is printed goes where it always goes."""

    slots = 1

    def __init__(self, run: Callable[[Job], Outcome] = attempt):
        self._run = run
        self._job: Job | None = None
        self._stopped = False

    def start(self, job: Job) -> None:
        """Note the job; it runs in `wait`."""
        self._job = job

    def wait(self, timeout_s: float | None = None) -> list[Event]:
        """Run what was started, to its end."""
        if self._job is None:
            return []
        job, self._job = self._job, None
        return [Ended(job, Outcome("stopped") if self._stopped else guarded(self._run, job))]

    def stop(self, how: How) -> None:
        """What was started does not run any more; a job under way has taken the Ctrl-C itself."""
        self._stopped = True

    def close(self) -> None:
        """Nothing to let go of."""
