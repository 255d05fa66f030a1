"""Which job runs when, and what is done about one that does not end well. Where it runs is the executor's.

No state is kept of a table of jobs: what is wanted is reconciled with what is stored, each time anew. Within one call:
failed: an error of the job's own; it is tried again from its checkpoint, RETRIES times, unless the seed decides it.
lost: its process was killed; it goes on from its checkpoint, as often as it comes further than the time before.
taken: another command is on it; others go first, then it is asked for again until it is done or free.
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
ASK_AGAIN_S = 2.0  # for a job that another command is on
LAST_LINES = 12


@dataclass
class _Attempts:
    """What is known of a job in this call."""

    failed: int = 0
    lost_at_step: int = -1
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    ask_again_at: float = 0.0


def run_jobs(
    jobs: Sequence[Job], executor: Executor, display: Display, *, fail_fast: bool = False
) -> dict[tuple[str, int], Failure]:
    """Run jobs in their order, as many at once as the executor takes; those that failed, by their key.

    Raises:
        StoreError, UserError, OSError: a fault of store or disk, or a wrong request: no other job would get around it;
            those under way have left a checkpoint.
        KeyboardInterrupt: stopped; those under way have left a checkpoint.
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
        """Until nothing waits and nothing runs."""
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
        """How long to wait for news: without end, unless a job waits for another command and could run here."""
        if not self._waiting or len(self._running) >= self._executor.slots:
            return None
        soonest = min(self._attempts[job.key].ask_again_at for job in self._waiting)
        return max(0.0, soonest - time.monotonic())

    def _take(self, timeout_s: float | None) -> None:
        """Take in what has happened."""
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
                self._display.note(f"{job.title} waits: {note.described() if note else 'another process is on it'}")
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
        # A loss that is not finite comes again: seed and spec decide it.
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
        """Ask what runs to leave a checkpoint and wait for it; at the next Ctrl-C to end at once."""
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
