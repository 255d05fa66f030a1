"""The contract of every executor: a test class that each of them passes, and the jobs it is tried with.

The jobs are functions of this module, so that a process that knows nothing of the test can find them.
"""

import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from filelock import Timeout

from experiments.jobs.attempt import Outcome
from experiments.jobs.choice import Choice, default_workers
from experiments.jobs.executor import EXECUTORS, Ended, Event, Executor, Run, Said
from experiments.jobs.job import Job
from experiments.jobs.site import Site
from experiments.store.error import URI_VARIABLE, StoreError
from experiments.store.places import LOCKS_VARIABLE
from tests.experiments.commands import tiny_spec

PATIENCE_S = 60.0
SOON_S = 0.1  # whoever can begin has begun by then
KEY = ("0123456789abcdef", 3)  # of a job that there is not


class CannotTravel(Exception):
    """An error that no process can hand to another."""

    def __init__(self, what: str):
        super().__init__(what)
        self.lock = threading.Lock()


def rest() -> None:
    """In short sleeps: a signal that comes just before one begins does not end it."""
    ended = time.monotonic() + PATIENCE_S
    while time.monotonic() < ended:
        time.sleep(0.05)


def talk(job: Job) -> Outcome:
    for number in range(3):
        print(f"{job.title} says {number}", flush=True)
    return Outcome("done")


def use_a_text_file(job: Job) -> Outcome:
    for file in (sys.stdout, sys.stderr):
        file.write(f"{file.isatty()} ")
        file.writelines(["a ", "line\n"])
        file.flush()
    return Outcome("done")


def fail(job: Job) -> Outcome:
    if job.spec.seed == 0:
        raise ValueError("no good")
    return talk(job)


def fail_oddly(job: Job) -> Outcome:
    raise CannotTravel("no good either")


def fail_in_the_store(job: Job) -> Outcome:
    raise StoreError("the store is gone", "look elsewhere")


def die(job: Job) -> Outcome:
    if job.spec.seed == 0:
        print("last words", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return talk(job)


def wait_for_stop(job: Job) -> Outcome:
    print("ready", flush=True)
    rest()
    return Outcome("done")


def resist_once(job: Job) -> Outcome:
    """The first Ctrl-C is answered late, as by a job that writes its checkpoint; the second at once."""
    try:
        print("ready", flush=True)
        rest()
    except KeyboardInterrupt:
        print("saving", flush=True)
        rest()
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


def has_a_lease(site: Site) -> bool:
    with site.hold(KEY) as held:
        return held is not None


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
    """Inherit, and say under which name the executor is registered, and its settings if it has any.

    The store and the machine's locks of these tests are in a temporary folder.
    """

    name: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    apart: ClassVar[bool] = False

    @pytest.fixture(autouse=True)
    def own_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv(URI_VARIABLE, f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}")
        monkeypatch.setenv(LOCKS_VARIABLE, str(tmp_path))

    @pytest.fixture
    def choice(self) -> Choice:
        registered = EXECUTORS.get(self.name)
        return Choice(registered.cls, registered.settings(**self.settings))

    @pytest.fixture
    def running(self, choice):
        made = []

        def make(run: Run) -> Executor:
            made.append(choice.make(slots=2 if self.apart else 1, run=run))
            return made[-1]

        yield make
        for executor in made:
            executor.close()

    def test_it_says_whether_its_jobs_run_apart(self, choice):
        """A display shows a board of jobs that run apart, and nothing beside one that prints here."""
        assert choice.cls.apart == self.apart

    def test_it_has_room_for_as_many_jobs_as_it_was_asked_for(self, choice):
        """Making one starts no job, and closing it at once is no error."""
        for slots in (1, 2) if self.apart else (1,):
            executor = choice.make(slots=slots, run=talk)
            assert executor.slots == slots
            executor.close()

    def test_warming_up_twice_is_as_once(self, choice):
        """A command may be called again in a process that is warm."""
        choice.cls.warm_up()
        choice.cls.warm_up()

    def test_its_site_has_room_for_jobs(self, choice):
        """Workers by default and timing passes at once: one or more."""
        assert default_workers([tiny_spec()], choice) >= 1
        assert choice.site.machines >= 1

    def test_its_site_travels_with_a_job(self, choice):
        """Wherever a job is unpickled, it finds the same folders."""
        job = pickle.loads(pickle.dumps(Job(tiny_spec(), site=choice.site)))
        assert job.site.work_folder(job.key) == choice.site.work_folder(job.key)

    def test_jobs_have_work_folders_of_their_own(self, choice):
        """One a seed and spec, all under the site's; asking makes none."""
        keys = [("a" * 16, 0), ("a" * 16, 1), ("b" * 16, 0)]
        folders = [choice.site.work_folder(key) for key in keys]
        assert len(set(folders)) == 3
        assert {folder.parent for folder in folders} == {choice.site.work}
        assert not any(folder.exists() for folder in folders)

    def test_one_attempt_at_a_time_has_a_lease(self, choice):
        """A second one gets none while the first lives, and what it was left as can be told until the job is done."""
        site = choice.site
        assert site.look(KEY) is None
        with site.hold(KEY) as held:
            assert held is not None and held.left_by is None
            assert site.look(KEY).live and site.watches(site.look(KEY).host)
            with site.hold((KEY[0], KEY[1] + 1)) as other:
                assert other is not None
            with ThreadPoolExecutor(1) as elsewhere:
                assert elsewhere.submit(has_a_lease, site).result(PATIENCE_S) is False
            held.end("stopped")
        assert site.look(KEY).state == "stopped"
        with site.hold(KEY) as held:
            assert held.left_by.state == "stopped"
            held.end("done")
        assert site.look(KEY) is None

    def test_a_lease_that_was_left_is_forgotten(self, choice):
        """That of a job which is stored all the same."""
        with choice.site.hold(KEY) as held:
            held.end("failed")
        choice.site.forget(KEY)
        assert choice.site.look(KEY) is None

    def test_a_lock_is_held_once(self, choice, tmp_path):
        """By whoever stores what waits in a folder."""
        with choice.site.lock(tmp_path / "a.lock"), pytest.raises(Timeout):
            choice.site.lock(tmp_path / "a.lock").acquire(timeout=0)

    def test_a_timing_pass_has_its_machine(self, choice):
        """It begins after the jobs there have ended, and jobs begin after it."""
        entered = threading.Event()

        def enter(how):
            with how():
                entered.set()

        for first, then in ((choice.site.beside_others, choice.site.alone), (choice.site.alone, choice.site.alone)):
            entered.clear()
            with first():
                waiting = threading.Thread(target=enter, args=(then,))
                waiting.start()
                assert not entered.wait(SOON_S)
            waiting.join(PATIENCE_S)
            assert entered.is_set()

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

    def test_an_error_of_the_store_comes_back_whole(self, running):
        """The scheduler ends the command with it: no other job would get around it."""
        (ended,) = run_all(running(fail_in_the_store), jobs(1))
        assert isinstance(ended.outcome.error, StoreError)
        assert (ended.outcome.error.message, ended.outcome.error.hint) == ("the store is gone", "look elsewhere")


class ApartContract(ExecutorContract):
    """The same for executors whose jobs run in processes of their own: what kills one does not reach this one."""

    apart = True

    def test_lines_come_in_their_order_before_the_end(self, running):
        """Each job's own, and no other's."""
        events = run_all(running(talk), jobs(3))
        for seed in range(3):
            told = [event for event in events if event.job.spec.seed == seed]
            assert [event.line for event in told[:-1]] == [f"baseline seed {seed} says {number}" for number in range(3)]
            assert isinstance(told[-1], Ended)

    def test_what_a_job_prints_to_is_a_text_file(self, running):
        """As progress bars and libraries ask of it; it is no terminal."""
        events = run_all(running(use_a_text_file), jobs(1))
        assert [event.line for event in events if isinstance(event, Said)] == ["False a line"] * 2

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
        assert set(kinds(events).values()) == {"done"}, "they find the mark's folder in the command's environment"
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
