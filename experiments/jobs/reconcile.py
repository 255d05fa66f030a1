"""Reconcile wanted jobs with the store: run what is missing, then compare each row with its baseline."""

import sys
from collections.abc import Callable, Sequence

from experiments.common.exit_codes import DONE, FAILED
from experiments.common.plain_text import visible
from experiments.jobs.attempt import Outcome, attempt
from experiments.jobs.choice import Choice, by_default, default_workers
from experiments.jobs.complete import complete, is_complete
from experiments.jobs.display import make_display
from experiments.jobs.executor import Failure, Run
from experiments.jobs.job import Job, missing_jobs, stored_pair, wanted_jobs
from experiments.jobs.outbox import deliver_all
from experiments.jobs.scheduler import run_jobs
from experiments.jobs.site import THIS_MACHINE, Site
from experiments.spec.spec import Spec
from experiments.store import reader
from experiments.store.lifecycle import mark_killed
from experiments.store.names import HOST
from experiments.store.stored_run import StoredRun

Collect = Callable[[Spec, StoredRun, StoredRun | None], object]


def reconcile(
    specs: Sequence[Spec],
    collect: Collect,
    *,
    workers: int | None,
    executor: Choice | None = None,
    fail_fast: bool = False,
) -> list[Failure]:
    """Run the missing jobs of specs and their baselines, then compare and collect each spec; returns the failures.

    A row whose baseline failed stays stored but is not collected. Timing comes last, with no job of ours beside it.
    Without an `executor`, a single job or worker uses this process, and more use workers of this machine.

    Raises:
        StoreError: the store cannot be used.
        KeyboardInterrupt: stopped; the same command continues.
    """
    site = THIS_MACHINE if executor is None else executor.site
    deliver_all(site)
    mark_lost_runs(site)
    workers = workers or default_workers(specs, executor)
    failures = _run(missing_jobs(specs, site), workers, attempt, executor, fail_fast=fail_fast)
    if failures and fail_fast:
        return list(failures.values())
    done = [spec for spec in specs if not any(job.key in failures for job in wanted_jobs([spec]))]
    jobs = [Job(spec, site=site) for spec in done if not is_complete(spec)]
    untimed = _run(jobs, workers, _complete, executor, at_once=site.machines)
    for spec in done:
        collect(spec, *stored_pair(spec))
    return [*failures.values(), *untimed.values()]


def report_failures(failures: Sequence[Failure]) -> int:
    """List the failures again, at the end, and return the exit code."""
    if len(failures) > 1:
        print(f"{len(failures)} jobs failed:", file=sys.stderr)
        for failure in failures:
            print(visible(f"{failure.job.title}: {failure.outcome.reason}"), file=sys.stderr)
    return FAILED if failures else DONE


def mark_lost_runs(site: Site = THIS_MACHINE) -> None:
    """Mark RUNNING runs as KILLED if they are of a machine of the site and no process is running their job."""
    for run in reader.runs(status="RUNNING"):
        if HOST in run.tags and not site.watches(run.tags[HOST]):
            continue
        note = site.look(run.job)
        if note is None or not note.live:
            mark_killed(run.run_id)
            said = f"{run.row} seed {run.seed}: run {run.run_id} was left running and is marked KILLED"
            print(visible(said), file=sys.stderr)


def _complete(job: Job) -> Outcome:
    complete(job.spec, job.site)
    return Outcome("done")


def _run(
    jobs: Sequence[Job],
    workers: int,
    run: Run,
    named: Choice | None,
    *,
    at_once: int | None = None,
    fail_fast: bool = False,
) -> dict[tuple[str, int], Failure]:
    """Run jobs on the named or the default executor, at most `workers` and at most `at_once` at a time."""
    choice = named or by_default(min(workers, len(jobs)))
    executor = choice.make(slots=max(1, min(at_once or workers, workers, len(jobs))), run=run)
    try:
        with make_display(jobs, live=choice.cls.apart) as display:
            return run_jobs(jobs, executor, display, fail_fast=fail_fast)
    finally:
        executor.close()
