"""A table that is killed, started twice or starved: afterwards exactly what was missing is made, once."""

import contextlib
import os
import signal
import time
from collections import Counter

import pytest

from experiments.command.cli import main
from experiments.jobs.attempt import Outcome
from experiments.jobs.display import Lines
from experiments.jobs.executor import NoSettings
from experiments.jobs.executors.local import Local
from experiments.jobs.reconcile import mark_lost_runs
from experiments.jobs.scheduler import RETRIES, run_jobs
from experiments.store import reader
from experiments.table3 import table3
from tests.experiments.commands import ONE_PROCESS, QUICK, processes_of, start
from tests.experiments.jobs.executor_contract import jobs

ROWS = ("--rows", "xattn_every_4th")
FEW_STEPS = [word for word in QUICK if not word.startswith("train.steps")]


def assert_each_is_run_once(seeds: int) -> None:
    """One run of the row and of the baseline a seed, all finished."""
    wanted = {(row, seed) for row in ("baseline", "xattn_every_4th") for seed in range(seeds)}
    assert Counter((run.row, run.seed) for run in reader.runs()) == dict.fromkeys(wanted, 1)
    assert len(reader.runs(status=None)) == len(wanted)


@pytest.mark.slow
def test_two_tables_at_once_do_no_job_twice(store_file):
    """Each job is leased: what one is on the other waits for, and both end with the whole table."""
    both = [start("experiments.table3", *ROWS, *QUICK, "--workers=1", store=store_file) for _ in range(2)]
    for command in both:
        out, err = command.communicate(timeout=240)
        assert command.returncode == 0, err
        assert "missing" not in out
    assert_each_is_run_once(seeds=1)


@pytest.mark.slow
def test_when_all_is_killed_the_same_command_makes_what_is_missing(store_file, capsys):
    """SIGKILL of the command and of every worker: finished jobs stay, begun ones go on, none is done twice."""
    words = [*ROWS, "--seeds", "2", *FEW_STEPS, "train.steps=20", "train.checkpoint_every=1"]
    first = start("experiments.table3", *words, store=store_file)
    while len({file.parent for file in store_file.parent.glob("work/*/step-*.safetensors")}) < 2:
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.05)
    for pid in processes_of(first):
        with contextlib.suppress(ProcessLookupError):  # the server of workers ends by itself when the command is gone
            os.kill(pid, signal.SIGKILL)
    first.communicate()
    left = reader.runs(status="RUNNING")
    assert left, "they had no time to say that they end"
    assert main(table3, [*words, ONE_PROCESS]) == 0
    err = capsys.readouterr().err
    assert err.count("is marked KILLED") == len(left)
    assert "resumed at step" in err
    assert_each_is_run_once(seeds=2)  # begun runs are gone on with


def test_runs_of_other_machines_are_left_alone(store_run):
    """Whether they are still running is not known here."""
    from experiments.store.lifecycle import resume_run
    from experiments.store.names import HOST

    ours, theirs = store_run(status=None), store_run("xattn_every_4th", status=None)
    resume_run(theirs).set_tag(HOST, "another")
    mark_lost_runs()
    assert {run.run_id: run.status for run in reader.runs(status=None)} == {ours: "KILLED", theirs: "RUNNING"}


def hungry(job) -> Outcome:
    """Seed 0 asks for more memory than its process may have."""
    import resource

    import torch

    if job.spec.seed == 0:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, hard))
        try:
            torch.zeros(2**34)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return Outcome("done")


def test_out_of_memory_in_a_worker_fails_one_job(store_file, capsys):
    """It is tried again, then given up with the system's words; the others are done."""
    executor = Local(NoSettings(), slots=2, run=hungry)
    try:
        (failure,) = run_jobs(jobs(4), executor, Lines()).values()
    finally:
        executor.close()
    assert failure.job.spec.seed == 0
    assert "memory" in failure.outcome.reason
    assert capsys.readouterr().err.count("it is tried again") == RETRIES


def test_a_worker_that_the_system_kills_each_time_is_given_up(store_file):
    """As by the kernel when memory runs out: it does not come further, so it is not begun for ever."""
    executor = Local(NoSettings(), slots=2, run=killed)
    try:
        (failure,) = run_jobs(jobs(3), executor, Lines()).values()
    finally:
        executor.close()
    assert "killed by signal 9 (out of memory?)" in failure.outcome.reason


def killed(job) -> Outcome:
    if job.spec.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome("done")
