"""From what is wanted to what is stored: run what is missing, then compare each row with its baseline."""

import socket
import sys
from collections.abc import Callable, Sequence

from experiments.common.cores import usable_cores
from experiments.common.exit_codes import DONE, FAILED
from experiments.common.plain_text import visible
from experiments.jobs import lease
from experiments.jobs.attempt import Outcome, attempt
from experiments.jobs.complete import complete, is_complete
from experiments.jobs.display import make_display
from experiments.jobs.executor import Executor, Failure
from experiments.jobs.executors.in_process import InProcess
from experiments.jobs.executors.local import Local
from experiments.jobs.job import Job, missing_jobs, stored_pair, wanted_jobs
from experiments.jobs.outbox import deliver_all
from experiments.jobs.scheduler import run_jobs
from experiments.spec.spec import Spec
from experiments.store import reader
from experiments.store.lifecycle import mark_killed
from experiments.store.names import HOST
from experiments.store.stored_run import StoredRun

Collect = Callable[[Spec, StoredRun, StoredRun | None], object]


def reconcile(
    specs: Sequence[Spec], collect: Collect, *, workers: int | None, fail_fast: bool = False
) -> list[Failure]:
    """Run what is missing of specs and their baselines, then compare and collect each; what failed.

    A row whose baseline failed is kept, and not collected. Timing comes last, with no job of ours beside it.

    Raises:
        StoreError: the store cannot be used.
        KeyboardInterrupt: stopped; the same command goes on.
    """
    deliver_all()
    mark_lost_runs()
    workers = workers or default_workers(specs)
    failures = _run(missing_jobs(specs), workers, attempt, fail_fast=fail_fast)
    if failures and fail_fast:
        return list(failures.values())
    done = [spec for spec in specs if not any(job.key in failures for job in wanted_jobs([spec]))]
    untimed = _run([Job(spec) for spec in done if not is_complete(spec)], workers, _complete, at_once=1)
    for spec in done:
        collect(spec, *stored_pair(spec))
    return [*failures.values(), *untimed.values()]


def default_workers(specs: Sequence[Spec]) -> int:
    """A one-thread process a core; on a GPU one job at a time, because they would fight over it."""
    from experiments.training.build import pick_device

    on_cpu = all(pick_device(spec.tree["device"]).type == "cpu" for spec in specs)
    return usable_cores() if on_cpu else 1


def report_failures(failures: Sequence[Failure]) -> int:
    """List what failed once more, at the end; the exit code."""
    if len(failures) > 1:
        print(f"{len(failures)} jobs failed:", file=sys.stderr)
        for failure in failures:
            print(visible(f"{failure.job.title}: {failure.outcome.reason}"), file=sys.stderr)
    return FAILED if failures else DONE


def mark_lost_runs() -> None:
    """Mark runs of this machine as KILLED that are RUNNING in the store while nobody is on their job."""
    host = socket.gethostname()
    for run in reader.runs(status="RUNNING"):
        if run.tags.get(HOST, host) != host:
            continue
        note = lease.look(run.job)
        if note is None or not note.live:
            mark_killed(run.run_id)
            said = f"{run.row} seed {run.seed}: run {run.run_id} was left running, it is marked KILLED"
            print(visible(said), file=sys.stderr)


def _complete(job: Job) -> Outcome:
    complete(job.spec)
    return Outcome("done")


def _run(
    jobs: Sequence[Job],
    workers: int,
    run: Callable[[Job], Outcome],
    *,
    at_once: int | None = None,
    fail_fast: bool = False,
) -> dict[tuple[str, int], Failure]:
    """In this process where there is one job or one worker, else in workers, `at_once` of them or all."""
    apart = min(workers, len(jobs)) > 1
    executor: Executor = Local(min(at_once or workers, len(jobs)), run) if apart else InProcess(run)
    try:
        with make_display(jobs, live=apart) as display:
            return run_jobs(jobs, executor, display, fail_fast=fail_fast)
    finally:
        executor.close()
