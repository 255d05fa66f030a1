"""One attempt at a job under its lease, and its outcome."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from experiments.common.problems import UserError
from experiments.jobs import lease
from experiments.jobs.job import Job
from experiments.jobs.run import run_job
from experiments.store import reader
from experiments.store.error import StoreError
from experiments.store.lifecycle import make_store

# done: the run is stored. failed: the job raised an error. stopped: on request, after a checkpoint. lost: its process
# is gone. taken: another process is running the job.
Kind = Literal["done", "failed", "stopped", "lost", "taken"]


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: `reason` unless it is done, and the error if there was one."""

    kind: Kind
    reason: str = ""
    error: Exception | None = None

    def portable(self) -> "Outcome":
        """A copy that another process can read: with its error only if that is one the scheduler acts on.

        Another error may hold a lock, or be of a class that is not known there; its words are in `reason`.
        """
        error = self.error
        ours = type(error).__module__.split(".")[0] in ("builtins", "experiments", "flamingo_core")
        plain = error is not None and all(isinstance(one, str | bytes | int | float | None) for one in error.args)
        acted_on = isinstance(error, StoreError | UserError | OSError | ArithmeticError)
        return self if ours and plain and acted_on else replace(self, error=None)


def attempt(job: Job) -> Outcome:
    """Run a job under its lease, unless another process is running it or has just finished it.

    Raises:
        StoreError: the store cannot be used, or nothing can be written beside it.
    """
    make_store()  # fails before anything is written beside a store that cannot be used
    with job.site.hold(job.key) as held:
        if held is None:
            return Outcome("taken")
        outcome = guarded(_under_lease, job, held.left_by)
        if isinstance(outcome.error, UserError):
            held.end("done")  # nothing was started, so there is nothing to resume
        elif outcome.kind in ("done", "stopped", "failed"):
            held.end(outcome.kind, outcome.reason)
        return outcome


def guarded(run: Callable[..., Outcome], *arguments: object) -> Outcome:
    """Call `run` and turn any exception into an outcome."""
    try:
        return run(*arguments)
    except KeyboardInterrupt:
        return Outcome("stopped")
    except SystemExit as error:  # raised by a component
        return Outcome("failed", f"its code called exit({error.code})")
    except Exception as error:
        return Outcome("failed", " ".join(str(error).split()) or type(error).__name__, error)


def _is_stored(job: Job) -> bool:
    spec = job.spec
    return reader.find_finished(*job.key, ablation=spec.name, baseline_hash=spec.baseline_hash) is not None


def _under_lease(job: Job, left_by: lease.Note | None) -> Outcome:
    if not job.afresh and _is_stored(job):
        return Outcome("done", "another process has finished it")
    if left_by is not None and left_by.state == "running":
        print(f"{job.title}: the process that ran it is gone; the job continues from what it left", file=sys.stderr)
    with job.site.beside_others():
        run_job(job)
    return Outcome("done")
