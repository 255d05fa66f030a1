"""Jobs of this process, one after the other."""

from collections.abc import Callable

from experiments.common.interrupt import How
from experiments.jobs.attempt import Outcome, attempt, guarded
from experiments.jobs.executor import Ended, Event
from experiments.jobs.job import Job


class InProcess:
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
