"""Which executor runs the jobs of a command: the one that is named, else one by the number of jobs at once."""

import pytest

from experiments.command.cli import main
from experiments.jobs import reconcile
from experiments.jobs.attempt import Outcome
from experiments.jobs.executor import Failure
from experiments.run import run
from experiments.table3 import table3
from tests.experiments.commands import QUICK

ONE_JOB = (run, "compare=false")
TWO_JOBS = (table3, "--rows", "resampler_mlp")


@pytest.fixture
def chosen(store_file, monkeypatch):
    """The executors that commands made, each as its class and how many jobs it takes; no job is run."""
    made = []

    def run_none(jobs, executor, display, **how):
        made.append((type(executor).__name__, executor.slots))
        return {job.key: Failure(job, Outcome("failed", "not run"), ()) for job in jobs}

    monkeypatch.setattr(reconcile, "run_jobs", run_none)
    return made


@pytest.mark.parametrize(
    ("command", "flags", "expected"),
    [
        (ONE_JOB, "", ("InProcess", 1)),
        (ONE_JOB, "--workers=2", ("InProcess", 1)),
        (ONE_JOB, "--executor=local", ("Local", 1)),
        (TWO_JOBS, "--workers=1", ("InProcess", 1)),
        (TWO_JOBS, "--workers=2", ("Local", 2)),
        (TWO_JOBS, "--workers=9", ("Local", 2)),
        (TWO_JOBS, "--executor=local --workers=1", ("Local", 1)),
        (TWO_JOBS, "--executor=in_process", ("InProcess", 1)),
        (TWO_JOBS, "--executor=in_process --workers=1", ("InProcess", 1)),
    ],
)
def test_the_named_executor_is_used_else_one_for_as_many_jobs(command, flags, expected, chosen, monkeypatch):
    """Without a name: here where there is one job or one worker, else in workers."""
    monkeypatch.setattr("experiments.jobs.executors.local.Local.warm_up", lambda: None)
    entry, *words = command
    assert main(entry, [*words, *flags.split(), *QUICK]) == 1
    assert chosen[0] == expected


def test_workers_that_an_executor_cannot_have_are_refused(chosen, capsys):
    """A process runs one job at a time, and nothing that was asked for is silently otherwise."""
    assert main(run, ["--executor=in_process", "--workers=2", *QUICK]) == 2
    said = "error: `--workers` is `2`; allowed: 1 with --executor in_process\nhint: leave --workers out, or "
    assert capsys.readouterr().err.startswith(said)
    assert chosen == []
