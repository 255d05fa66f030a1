"""One attempt at a job under its lease, and what came of it."""

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from experiments.common.problems import UserError
from experiments.jobs import lease
from experiments.jobs.job import Job
from experiments.jobs.run import run_job
from experiments.store import reader
from experiments.store.lifecycle import make_store

# done: it is stored. failed: an error of its own. stopped: asked to, it left a checkpoint. lost: its process is gone.
# taken: another process is on it.
Kind = Literal["done", "failed", "stopped", "lost", "taken"]


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt, why where it is not done, and the error where there is one."""

    kind: Kind
    reason: str = ""
    error: Exception | None = None

    def portable(self) -> "Outcome":
        """The same for another process: without its error where that would not survive the way."""
        try:
            pickle.loads(pickle.dumps(self.error))
        except Exception:  # its class cannot be pickled, or wants to be made otherwise
            return replace(self, error=None)
        return self


def attempt(job: Job) -> Outcome:
    """Run a job under its lease, unless another process is on it or has finished it by now.

    Raises:
        StoreError: the store cannot be used, or nothing can be written beside it.
    """
    make_store()  # a store that cannot be used is refused before anything is written beside it
    with job.site.hold(job.key) as held:
        if held is None:
            return Outcome("taken")
        outcome = guarded(_under_lease, job, held.left_by)
        if isinstance(outcome.error, UserError):
            held.end("done")  # nothing was begun, there is nothing to go on from
        elif outcome.kind in ("done", "stopped", "failed"):
            held.end(outcome.kind, outcome.reason)
        return outcome


def guarded(run: Callable[..., Outcome], *arguments: object) -> Outcome:
    """What `run` returns; what it raises as an outcome."""
    try:
        return run(*arguments)
    except KeyboardInterrupt:
        return Outcome("stopped")
    except SystemExit as error:  # of a component's own code
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
        print(f"{job.title}: the process that was on it is gone, what it left is gone on from", file=sys.stderr)
    with job.site.beside_others():
        run_job(job)
    return Outcome("done")
