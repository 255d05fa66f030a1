"""What every executor keeps: a test class that each of them passes, and the jobs it is tried with.

The jobs are functions of this module, so that a process that knows nothing of the test can find them.
"""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from experiments.jobs.attempt import Outcome
from experiments.jobs.executor import Ended, Event, Executor, Said
from experiments.jobs.job import Job
from tests.experiments.commands import tiny_spec

PATIENCE_S = 60.0


class CannotTravel(Exception):
    """An error that no process can hand to another."""

    def __init__(self, what: str):
        super().__init__(what)
        self.lock = threading.Lock()


def talk(job: Job) -> Outcome:
    for number in range(3):
        print(f"{job.title} says {number}", flush=True)
    return Outcome("done")


def fail(job: Job) -> Outcome:
    if job.spec.seed == 0:
        raise ValueError("no good")
    return talk(job)


def fail_oddly(job: Job) -> Outcome:
    raise CannotTravel("no good either")


def die(job: Job) -> Outcome:
    if job.spec.seed == 0:
        print("last words", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return talk(job)


def wait_for_stop(job: Job) -> Outcome:
    print("ready", flush=True)
    time.sleep(PATIENCE_S)
    return Outcome("done")


def resist_once(job: Job) -> Outcome:
    """The first Ctrl-C is answered late, as by a job that writes its checkpoint; the second at once."""
    try:
        print("ready", flush=True)
        time.sleep(PATIENCE_S)
    except KeyboardInterrupt:
        print("saving", flush=True)
        time.sleep(PATIENCE_S)
    return Outcome("done")


def two_at_once(job: Job) -> Outcome:
    """Each job leaves a mark while it runs; it tells how many marks there were."""
    folder = os.environ["MARKS"]
    mark = os.path.join(folder, str(job.spec.seed))
    open(mark, "w").close()
    time.sleep(0.2)
    print(f"running {len(os.listdir(folder))}", flush=True)
    os.unlink(mark)
    return Outcome("done")


def jobs(count: int) -> list[Job]:
    return [Job(tiny_spec(f"seed={seed}")) for seed in range(count)]


def run_all(executor: Executor, wanted: list[Job]) -> list[Event]:
    """All events, each job started as soon as there is room."""
    waiting, under_way, events = list(wanted), 0, []
    deadline = time.monotonic() + PATIENCE_S
    while waiting or under_way:
        assert time.monotonic() < deadline, events
        while waiting and under_way < executor.slots:
            executor.start(waiting.pop(0))
            under_way += 1
        news = executor.wait(5.0)
        under_way -= sum(isinstance(event, Ended) for event in news)
        events += news
    return events


def kinds(events: list[Event]) -> dict[int, str]:
    return {event.job.spec.seed: event.outcome.kind for event in events if isinstance(event, Ended)}


def wait_until_said(executor: Executor, line: str, times: int = 1) -> None:
    deadline, heard = time.monotonic() + PATIENCE_S, 0
    while heard < times:
        assert time.monotonic() < deadline
        heard += sum(isinstance(event, Said) and event.line == line for event in executor.wait(5.0))


class ExecutorContract:
    """Inherit, and say how the executor is made."""

    def make(self, run: Callable[[Job], Outcome]) -> Executor:
        raise AssertionError("the class that inherits says how")

    @pytest.fixture
    def running(self):
        made = []

        def make(run: Callable[[Job], Outcome]) -> Executor:
            made.append(self.make(run))
            return made[-1]

        yield make
        for executor in made:
            executor.close()

    def test_every_job_ends_once(self, running):
        """As many ends as jobs, whatever the number of slots."""
        events = run_all(running(talk), jobs(5))
        ended = [event.job.spec.seed for event in events if isinstance(event, Ended)]
        assert sorted(ended) == list(range(5))
        assert set(kinds(events).values()) == {"done"}

    def test_an_error_ends_one_job(self, running):
        """It comes back with its reason, and the next job runs."""
        events = run_all(running(fail), jobs(3))
        assert kinds(events) == {0: "failed", 1: "done", 2: "done"}
        (failed,) = (event for event in events if isinstance(event, Ended) and event.outcome.kind == "failed")
        assert "no good" in failed.outcome.reason

    def test_an_error_that_cannot_travel_is_told(self, running):
        """Its words come back without it."""
        (ended,) = run_all(running(fail_oddly), jobs(1))
        assert ended.outcome.kind == "failed"
        assert "no good either" in ended.outcome.reason


class ApartContract(ExecutorContract):
    """The same for executors whose jobs run in processes of their own: what kills one does not reach this one."""

    def test_lines_come_in_their_order_before_the_end(self, running):
        """Each job's own, and no other's."""
        events = run_all(running(talk), jobs(3))
        for seed in range(3):
            told = [event for event in events if event.job.spec.seed == seed]
            assert [event.line for event in told[:-1]] == [f"baseline seed {seed} says {number}" for number in range(3)]
            assert isinstance(told[-1], Ended)

    def test_a_killed_process_has_lost_its_job(self, running):
        """It is told apart from a failure, what it said last is heard, and the others go on."""
        events = run_all(running(die), jobs(3))
        assert kinds(events) == {0: "lost", 1: "done", 2: "done"}
        assert "last words" in [event.line for event in events if isinstance(event, Said)]

    def test_no_more_run_at_once_than_there_are_slots(self, running, tmp_path, monkeypatch):
        """Jobs beside each other, but not more."""
        monkeypatch.setenv("MARKS", str(tmp_path))
        executor = running(two_at_once)
        events = run_all(executor, jobs(6))
        counts = {int(event.line.removeprefix("running ")) for event in events if isinstance(event, Said)}
        assert counts <= set(range(1, executor.slots + 1))
        assert executor.slots in counts

    def test_a_stop_reaches_every_job(self, running):
        """Each ends as stopped, and the executor takes jobs again."""
        executor = running(wait_for_stop)
        wanted = jobs(executor.slots)
        for job in wanted:
            executor.start(job)
        wait_until_said(executor, "ready", times=len(wanted))
        executor.stop("checkpoint")
        assert set(self.ends(executor, len(wanted)).values()) == {"stopped"}

    def test_a_second_stop_ends_at_once(self, running):
        """A job that is busy saving is not waited for."""
        executor = running(resist_once)
        executor.start(jobs(1)[0])
        wait_until_said(executor, "ready")
        executor.stop("checkpoint")
        wait_until_said(executor, "saving")
        executor.stop("at once")
        assert self.ends(executor, 1) == {0: "stopped"}

    def ends(self, executor: Executor, count: int) -> dict[int, str]:
        ended: dict[int, str] = {}
        deadline = time.monotonic() + PATIENCE_S
        while len(ended) < count:
            assert time.monotonic() < deadline
            ended |= kinds(executor.wait(5.0))
        return ended
