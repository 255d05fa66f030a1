"""The executor `in_process`: jobs run one after the other in the process of the command."""

from experiments.common.interrupt import How
from experiments.jobs.attempt import Outcome, guarded
from experiments.jobs.executor import Ended, Event, Executor, NoSettings, Run, register_executor
from experiments.jobs.job import Job


@register_executor("in_process")
class InProcess(Executor):
    """Jobs run one after the other in the process of the command."""

    apart = False

    def __init__(self, settings: NoSettings, *, slots: int = 1, run: Run):
        assert slots == 1, "a process runs one job at a time"
        self.slots = slots
        self._run = run
        self._job: Job | None = None
        self._stopped = False

    def start(self, job: Job) -> None:
        """Remember the job; it runs in `wait`."""
        self._job = job

    def wait(self, timeout_s: float | None = None) -> list[Event]:
        """Run the started job to its end."""
        if self._job is None:
            return []
        job, self._job = self._job, None
        return [Ended(job, Outcome("stopped") if self._stopped else guarded(self._run, job))]

    def stop(self, how: How) -> None:
        """Do not run a job that was started; a running job has received the Ctrl-C itself."""
        self._stopped = True

    def close(self) -> None:
        """Nothing to release."""
