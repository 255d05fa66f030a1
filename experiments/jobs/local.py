"""Jobs of this machine: processes of one thread each, which take a job whenever they are free.

Two processes of one thread do 1.8 times the work of one process with two. They are forked from a server that has
imported what a job needs, so that a job starts in no time; what they print goes line by line to this process's stderr.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from typing import TYPE_CHECKING

from experiments.jobs.job import Job, run_job

if TYPE_CHECKING:
    from experiments.spec import Spec

PRELOADED = ["experiments.jobs.preload"]


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def warm_up() -> None:
    """Start importing what workers need while this process goes on, where there are cores for it."""
    from multiprocessing import forkserver

    _context()
    if usable_cores() > 1:
        forkserver.ensure_running()


def run_jobs(jobs: Sequence[Job], *, workers: int) -> dict[tuple[str, int], Exception]:
    """Run jobs, as many at once as there are workers; what went wrong with those that failed, by their key.

    A single worker, or a single job, is this process.

    Raises:
        StoreError, UserError, OSError: what no other job would get around; those that were running have ended.
        KeyboardInterrupt: stopped; every running job has been asked to leave a checkpoint and has done so.
    """
    errors = _here(jobs) if min(workers, len(jobs)) < 2 else _side_by_side(jobs, workers)
    for error in errors.values():
        if not isinstance(error, (ArithmeticError, ChildProcessError)):
            raise error
    return errors


def _here(jobs: Sequence[Job]) -> dict[tuple[str, int], Exception]:
    errors: dict[tuple[str, int], Exception] = {}
    for job in jobs:
        try:
            run_job(job)
        except ArithmeticError as error:
            errors[job.key] = error
            _report(job, error)
    return errors


def _side_by_side(jobs: Sequence[Job], workers: int) -> dict[tuple[str, int], Exception]:
    waiting, errors = list(jobs)[::-1], {}
    pool = [_Worker() for _ in range(min(workers, len(jobs)))]
    try:
        while pool and (waiting or any(worker.job for worker in pool)):
            for worker in [worker for worker in pool if worker.job is None and waiting]:
                worker.start(waiting.pop())
            ready = wait([worker.connection for worker in pool if worker.job])
            for worker in [worker for worker in pool if worker.connection in ready]:
                job, error = worker.result()
                if error is not None:
                    errors[job.key] = error
                    _report(job, error)
                if not worker.process.is_alive():
                    pool.remove(worker)
                    pool += [_Worker()] if waiting else []
    except KeyboardInterrupt:
        _stop(pool)
        raise
    finally:
        for worker in pool:
            worker.close()
    return errors


def _report(job: Job, error: Exception) -> None:
    print(f"error: {job.spec.name} seed {job.spec.seed}: {error}", file=sys.stderr)


class _Worker:
    """One process, the connection to it, and the job it is on."""

    def __init__(self) -> None:
        context = _context()
        self.connection, theirs = context.Pipe()
        printed, writes_to = os.pipe()
        with os.fdopen(writes_to, "wb") as output:
            arguments = (theirs, _File(output.fileno()), dict(os.environ))
            self.process = context.Process(target=_work, args=arguments, daemon=True)
            self.process.start()
        theirs.close()
        self.job: Job | None = None
        self._printer = threading.Thread(target=_forward, args=(printed,), daemon=True)
        self._printer.start()

    def start(self, job: Job) -> None:
        """Hand over a job."""
        self.job = job
        self.connection.send(job)

    def result(self) -> tuple[Job, Exception | None]:
        """What came of the job; a process that is gone is an error."""
        assert self.job is not None
        job, self.job = self.job, None
        try:
            return job, self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            return job, ChildProcessError(f"its process ended with code {self.process.exitcode}")

    def close(self) -> None:
        """Let the process end, and print what it still has to say."""
        self.connection.close()
        self.process.join()
        self._printer.join()


class _File:
    """A file descriptor that goes to another process."""

    def __init__(self, descriptor: int):
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[object, ...]:
        from multiprocessing.reduction import DupFd

        return _opened, (DupFd(self.descriptor),)


def _opened(duplicate: "object") -> int:
    return duplicate.detach()  # type: ignore[attr-defined]


def _context() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _stop(pool: Sequence[_Worker]) -> None:
    """Ask every running job once to stop, and wait; a second Ctrl-C asks again, which ends it at once."""
    busy = [worker for worker in pool if worker.job]
    while busy:
        for worker in busy:
            if worker.process.pid is not None and worker.process.is_alive():
                os.kill(worker.process.pid, signal.SIGINT)
        try:
            for worker in busy:
                worker.process.join()
            return
        except KeyboardInterrupt:
            continue


def _forward(descriptor: int) -> None:
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            print(line, end="", file=sys.stderr, flush=True)


def _work(connection: Connection, output: int, environment: dict[str, str]) -> None:
    """A worker: take jobs until there are none."""
    os.environ.clear()  # the server's is that of the moment when it was started
    os.environ.update(environment)
    # A terminal sends Ctrl-C to the whole group: out of it, so that the parent alone decides, and asks once.
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            job = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            _import_components(job.spec)
            run_job(job)
        except KeyboardInterrupt:
            return
        except Exception as error:
            connection.send(error)
        else:
            connection.send(None)


def _import_components(spec: "Spec") -> None:
    import importlib

    for module in spec.tree["components"]:
        importlib.import_module(module)


def _end_with_parent() -> None:
    """Stop as with Ctrl-C when the process that gives out jobs is gone."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGINT)
