"""The scheduler's answer to each way in which an attempt ends, against an executor that ends them as it is told."""

import os

import pytest

from experiments.common.checkout import ROOT
from experiments.jobs.attempt import Outcome
from experiments.jobs.display import Lines
from experiments.jobs.executor import Ended, Said
from experiments.jobs.scheduler import RETRIES, run_jobs
from experiments.store.error import StoreError
from tests.experiments.jobs.executor_contract import jobs

DONE, FAILED = Outcome("done"), Outcome("failed", "no good")


class Scripted:
    """Ends each job's attempts as the script says, one a `wait`, the one started first."""

    def __init__(self, script, slots=1):
        self.slots = slots
        self.attempts = []  # seeds, in the order of their starts
        self.stops = []
        self._script = {seed: list(outcomes) for seed, outcomes in script.items()}
        self._under_way = []

    def start(self, job):
        assert len(self._under_way) < self.slots
        self.attempts.append(job.spec.seed)
        self._under_way.append(job)

    def wait(self, timeout_s=None):
        if not self._under_way:
            return []
        job = self._under_way.pop(0)
        outcome = Outcome("stopped") if self.stops else self._script[job.spec.seed].pop(0)
        if isinstance(outcome, BaseException):
            self._under_way.insert(0, job)
            raise outcome
        return [Said(job, f"attempt of {job.spec.seed}"), Ended(job, outcome)]

    def stop(self, how):
        self.stops.append(how)


def schedule(script, *, slots=1, **how):
    executor = Scripted(script, slots)
    return executor, run_jobs(jobs(len(script)), executor, Lines(), **how)


def test_jobs_start_in_their_order(store_file):
    """The first given is the first started: baselines come first."""
    executor, failures = schedule({seed: [DONE] for seed in range(4)}, slots=2)
    assert executor.attempts == [0, 1, 2, 3]
    assert failures == {}


def test_a_failed_job_is_tried_again_after_the_others(store_file, capsys):
    """It is told at once with its last lines, and does not hold up the others."""
    executor, failures = schedule({0: [FAILED, DONE], 1: [DONE]})
    assert executor.attempts == [0, 1, 0]
    assert failures == {}
    told = capsys.readouterr().err
    assert "error: baseline seed 0: no good; it is tried again\n  | attempt of 0" in told


def test_retries_end(store_file):
    """A job that fails every time is given up after its retries, with its reason and its last lines."""
    executor, failures = schedule({0: [FAILED] * (RETRIES + 1), 1: [DONE]})
    assert executor.attempts.count(0) == RETRIES + 1
    (failure,) = failures.values()
    assert failure.job.spec.seed == 0
    assert failure.outcome.reason == "no good"
    assert failure.last_lines == ("attempt of 0",) * (RETRIES + 1)


def test_what_the_seed_decides_is_not_tried_again(store_file):
    """A loss that is not finite comes again at the same step."""
    executor, failures = schedule({0: [Outcome("failed", "the loss is nan", ArithmeticError("the loss is nan"))]})
    assert executor.attempts == [0]
    assert len(failures) == 1


def test_a_lost_job_goes_on_as_long_as_it_comes_further(store_file):
    """Losses are not failures; one that is lost twice at the same step is given up: it would be lost for ever."""
    lost = Outcome("lost", "its process was killed by signal 9")
    (job,) = jobs(1)
    folder = store_file.parent / "work" / f"{job.spec.hash}-0"
    folder.mkdir(parents=True)

    class Progressing(Scripted):
        def start(self, job):
            super().start(job)
            (folder / f"step-{min(len(self.attempts), 5):08d}.safetensors").touch()

    executor = Progressing({0: [lost] * 9})
    (failure,) = run_jobs([job], executor, Lines()).values()
    assert len(executor.attempts) == 6, "five times it came a step further, the sixth time it did not"
    assert failure.outcome == lost


def test_a_job_that_another_command_is_on_is_asked_for_again(store_file, monkeypatch, capsys):
    """Others go first; it is told once that it waits."""
    monkeypatch.setattr("experiments.jobs.scheduler.ASK_AGAIN_S", 0.05)
    taken = Outcome("taken")
    executor, failures = schedule({0: [taken, taken, DONE], 1: [DONE]})
    assert executor.attempts == [0, 1, 0, 0]
    assert failures == {}
    assert capsys.readouterr().err.count("baseline seed 0 waits") == 1


def test_fail_fast_stops_the_others(store_file):
    """Those under way leave a checkpoint, those that wait are not begun."""
    executor, failures = schedule({0: [FAILED] * 3, 1: [DONE], 2: [DONE], 3: [DONE]}, fail_fast=True)
    assert len(failures) == 1
    assert executor.attempts[-1] == 0


@pytest.mark.parametrize("error", [StoreError("the store is full", "make room"), OSError(28, "No space left")])
def test_what_no_other_job_gets_around_ends_all(error, store_file):
    """The others are asked for a checkpoint first."""
    executor = Scripted({0: [Outcome("failed", "full", error)], 1: [DONE], 2: [DONE]}, slots=2)
    with pytest.raises(type(error)):
        run_jobs(jobs(3), executor, Lines())
    assert executor.stops == ["checkpoint"]
    assert executor.attempts == [0, 1]


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "/data/weights.bin"),
        PermissionError(13, "Permission denied", "/data/weights.bin"),
        FileNotFoundError(2, "No such file or directory", str(ROOT / ".cache" / "clip" / "vocab.txt")),
        OSError("no weights at hub.example"),
        ConnectionResetError(104, "Connection reset by peer"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_rows_own_code_is_its_own(error, store_file, capsys):
    """A component's missing file is tried again and given up like any error; the other jobs are done."""
    executor, failures = schedule({0: [Outcome("failed", str(error), error)] * (RETRIES + 1), 1: [DONE], 2: [DONE]})
    assert [failure.job.spec.seed for failure in failures.values()] == [0]
    assert executor.attempts.count(0) == RETRIES + 1
    assert {1, 2} <= set(executor.attempts)


@pytest.mark.parametrize(("number", "place"), [(13, "work/x/step-00000002.safetensors"), (2, "work/x"), (5, "../any")])
def test_a_fault_of_our_own_files_is_no_rows_own(number, place, store_file):
    """Neither what lies in the work folder and cannot be written, nor a disk that fails wherever it is."""
    error = OSError(number, os.strerror(number), str(store_file.parent / place))
    with pytest.raises(OSError, match=os.strerror(number)):
        schedule({0: [Outcome("failed", str(error), error)], 1: [DONE]})


def test_ctrl_c_asks_once_and_the_second_time_ends_at_once(store_file):
    """What runs is waited for; a Ctrl-C while waiting is passed on."""

    class Interrupted(Scripted):
        def stop(self, how):
            super().stop(how)
            if how == "checkpoint":
                self.stops.pop()
                self._script[0] = [KeyboardInterrupt()]
                self.asked = True

    executor = Interrupted({0: [KeyboardInterrupt()], 1: [DONE]})
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs(2), executor, Lines())
    assert executor.asked
    assert executor.stops == ["at once"]
    assert executor.attempts == [0]


def test_a_stopped_job_stops_all(store_file):
    """A job that took the Ctrl-C itself."""
    executor = Scripted({0: [Outcome("stopped")], 1: [DONE]})
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs(2), executor, Lines())
    assert executor.attempts == [0]
