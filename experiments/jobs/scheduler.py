"""The scheduler: which job runs when, and what happens after one that does not finish. Executors decide where it runs.

No state of a table is kept: wanted jobs are reconciled with the store at every call. Attempts that do not finish:
failed: the job raised an error. It is tried again from its checkpoint, RETRIES times, unless the error would recur.
lost: its process was killed. It continues from its checkpoint, as long as each attempt gets further than the last.
taken: another command is running it. Other jobs go first, then it is tried again until it is done or free.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from experiments.common.interrupt import How
from experiments.common.problems import UserError
from experiments.jobs.attempt import Outcome
from experiments.jobs.display import Display
from experiments.jobs.executor import Ended, Executor, Failure, Said
from experiments.jobs.job import Job, steps_done
from experiments.store.disk_faults import is_of_the_disk
from experiments.store.error import StoreError

RETRIES = 2
ASK_AGAIN_S = 2.0  # between attempts at a job that another command is running
LAST_LINES = 12


@dataclass
class _Attempts:
    """The attempts at a job in this call."""

    failed: int = 0
    lost_at_step: int = -1
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    ask_again_at: float = 0.0


def run_jobs(
    jobs: Sequence[Job], executor: Executor, display: Display, *, fail_fast: bool = False
) -> dict[tuple[str, int], Failure]:
    """Run jobs in order, as many at once as the executor has slots; returns the failures by job key.

    Raises:
        StoreError, UserError, OSError: the store or the disk cannot be used, or the request is wrong, so that every
            other job would fail as well; running jobs have left a checkpoint.
        KeyboardInterrupt: stopped; running jobs have left a checkpoint.
    """
    return _Scheduler(jobs, executor, display, fail_fast).run()


class _Scheduler:
    def __init__(self, jobs: Sequence[Job], executor: Executor, display: Display, fail_fast: bool):
        self._waiting = deque(jobs)
        self._running: set[tuple[str, int]] = set()
        self._attempts = {job.key: _Attempts() for job in jobs}
        self._failures: dict[tuple[str, int], Failure] = {}
        self._executor, self._display, self._fail_fast = executor, display, fail_fast

    def run(self) -> dict[tuple[str, int], Failure]:
        """Run until no job is waiting or running."""
        try:
            while self._waiting or self._running:
                self._start()
                self._take(self._until_asked_again())
        except BaseException:
            self._stop()
            raise
        return self._failures

    def _start(self) -> None:
        for _ in range(len(self._waiting)):
            if len(self._running) >= self._executor.slots:
                return
            job = self._waiting.popleft()
            if self._attempts[job.key].ask_again_at > time.monotonic():
                self._waiting.append(job)
                continue
            self._running.add(job.key)
            self._display.started(job)
            self._executor.start(job)

    def _until_asked_again(self) -> float | None:
        """Seconds to wait for events; None, for ever, unless there is room for a job that another command may free."""
        if not self._waiting or len(self._running) >= self._executor.slots:
            return None
        soonest = min(self._attempts[job.key].ask_again_at for job in self._waiting)
        return max(0.0, soonest - time.monotonic())

    def _take(self, timeout_s: float | None) -> None:
        """Wait for events and handle them."""
        if not self._running:
            time.sleep(timeout_s or 0)
            return
        events = self._executor.wait(timeout_s)
        self._running -= {event.job.key for event in events if isinstance(event, Ended)}
        for event in events:
            if isinstance(event, Said):
                self._attempts[event.job.key].lines.append(event.line)
                self._display.said(event.job, event.line)
            else:
                self._judge(event)

    def _judge(self, event: Ended) -> None:
        job, outcome, attempts = event.job, event.outcome, self._attempts[event.job.key]
        if outcome.kind == "done":
            self._display.done(job)
        elif outcome.kind == "stopped":
            raise KeyboardInterrupt
        elif outcome.kind == "taken":
            if not attempts.ask_again_at:
                note = job.site.look(job.key)
                reason = note.described() if note else "another process is running it"
                self._display.note(f"{job.title} waits: {reason}")
            attempts.ask_again_at = time.monotonic() + ASK_AGAIN_S
            self._display.waits(job)
            self._waiting.append(job)
        elif outcome.kind == "lost" and (step := steps_done(job)) > attempts.lost_at_step:
            attempts.lost_at_step = step
            self._display.note(f"{job.title}: {outcome.reason}; it goes on from step {step}")
            self._display.waits(job)
            self._waiting.appendleft(job)
        else:
            self._fail(job, outcome, attempts)

    def _fail(self, job: Job, outcome: Outcome, attempts: _Attempts) -> None:
        error = outcome.error
        if error is not None and (isinstance(error, (StoreError, UserError)) or is_of_the_disk(error, job.site.work)):
            raise error
        attempts.failed += 1
        # A loss that is not finite would recur: spec and seed determine it.
        again = attempts.failed <= RETRIES and outcome.kind == "failed" and not isinstance(error, ArithmeticError)
        failure = Failure(job, outcome, tuple(attempts.lines))
        self._display.failed(failure, again=again)
        if again:
            self._waiting.append(job)
            return
        self._failures[job.key] = failure
        if self._fail_fast:
            self._waiting.clear()
            self._stop()

    def _stop(self) -> None:
        """Ask running jobs for a checkpoint and wait for them; after another Ctrl-C, ask them to end at once."""
        how: How = "checkpoint"
        while self._running:
            self._executor.stop(how)
            try:
                while self._running:
                    for event in self._executor.wait():
                        if isinstance(event, Said):
                            self._display.said(event.job, event.line)
                        else:
                            self._running.discard(event.job.key)
            except KeyboardInterrupt:
                how = "at once"
