"""The executor `local`: worker processes of this machine, with one thread each.

Two processes of one thread do 1.8 times the work of one process with two. Workers are forked from a server that has
already imported what a job needs, and are reused, so that jobs start at once. The output of each comes back through a
pipe.
"""

import io
import os
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.util import get_temp_dir
from typing import TYPE_CHECKING

from experiments.common.cores import usable_cores
from experiments.common.interrupt import How, StopRequest, answered, ask, forget, held_back, let_in
from experiments.jobs.attempt import Outcome, guarded
from experiments.jobs.executor import Ended, Event, Executor, NoSettings, Run, Said, register_executor
from experiments.jobs.job import Job

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PRELOADED = ["experiments.jobs.preload"]
READ_AT_ONCE = 65536
LONGEST_NAME = 103  # bytes in the name of a socket: 107 on Linux, 103 on macOS
LONGEST_IN_IT = len("/pymp-12345678/listener-12345678")  # how `multiprocessing` names a folder and a socket in it
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


@register_executor("local")
class Local(Executor):
    """Jobs run in worker processes of this machine, with one thread each."""

    def __init__(self, settings: NoSettings, *, slots: int, run: Run):
        self.slots = slots
        self._run = run
        self._workers: list[_Worker] = []

    @classmethod
    def warm_up(cls) -> None:
        """Start the server, which imports what workers need while this process goes on, if there is a core for it."""
        from multiprocessing import forkserver

        with suppress(OSError):  # no folder for its socket: starting a worker will say so
            _context()
            if usable_cores() > 1:
                with held_back():  # the server ignores signals: it ends with this process
                    forkserver.ensure_running()

    def start(self, job: Job) -> None:
        """Give the job to a free worker, or to a new one."""
        free = next((worker for worker in self._workers if worker.job is None), None)
        if free is None:
            assert len(self._workers) < self.slots, "no more than `slots` jobs at once"
            free = _Worker(self._run)
            self._workers.append(free)
        free.start(job)

    def wait(self, timeout_s: float | None = None) -> list[Event]:
        """Lines and ends of jobs, as they come; a worker that is gone is removed, and replaced when needed."""
        busy = [worker for worker in self._workers if worker.job]
        sources: list[Connection | int] = [worker.connection for worker in busy]
        ready = set(wait([*sources, *(worker.printed for worker in busy if worker.prints)], timeout_s))
        events: list[Event] = []
        for worker in busy:
            events += worker.events(ended=worker.connection in ready)
            if worker.gone:
                self._workers.remove(worker)
                worker.close()
        return events

    def stop(self, how: How) -> None:
        """Ask all running jobs to stop."""
        for worker in self._workers:
            if worker.job:
                worker.interrupt(how)

    def close(self) -> None:
        """Let all workers end."""
        for worker in self._workers:
            worker.close()
        self._workers.clear()


class _Worker:
    """A worker process, the connection to it, its output, and the job it is running."""

    def __init__(self, run: Run) -> None:
        context = _context()
        self.connection, theirs = context.Pipe()
        self.printed, writes_to = os.pipe()
        os.set_blocking(self.printed, False)
        with os.fdopen(writes_to, "wb") as output:
            arguments = (theirs, _File(output.fileno()), dict(os.environ), run)
            self.process = context.Process(target=_work, args=arguments, daemon=True)
            with held_back():
                self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.gone = False
        self.prints = True
        self._asked = False  # whether it was asked to stop
        self._unfinished = b""  # a line whose end has not come yet

    def start(self, job: Job) -> None:
        """Send a job to the process."""
        self.job, self._asked = job, False
        with suppress(BrokenPipeError):  # it is gone, and the next `events` says so
            self.connection.send(job)

    def events(self, *, ended: bool) -> list[Event]:
        """The lines that have arrived, then the end if `ended`."""
        assert self.job is not None
        job = self.job
        outcome = self._outcome() if ended else None
        events: list[Event] = [Said(job, line) for line in self._lines(all_of_it=ended)]
        if outcome is not None:
            self.job = None
            events.append(Ended(job, outcome))
        return events

    def interrupt(self, how: How) -> None:
        """Ask the process to stop."""
        self._asked = True
        if self.process.pid is not None and self.process.is_alive():
            ask(self.process.pid, how)

    def close(self) -> None:
        """Let the process end."""
        self.connection.close()
        self.process.join()
        os.close(self.printed)

    def _outcome(self) -> Outcome:
        """The outcome of the job: lost if the process is gone, or if somebody stopped this process alone."""
        try:
            outcome: Outcome = self.connection.recv()
            if outcome.kind == "stopped" and not self._asked:
                self.gone = True
                return Outcome("lost", "its process was told to stop")
            return outcome
        except (EOFError, ConnectionError):
            self.process.join()
            self.gone = True
            code = self.process.exitcode or 0
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            return Outcome("lost", f"its process {how}" + " (out of memory?)" * (code == -signal.SIGKILL))

    def _lines(self, *, all_of_it: bool) -> list[str]:
        text = self._unfinished
        with suppress(BlockingIOError):
            while self.prints and (more := os.read(self.printed, READ_AT_ONCE)):
                text += more
            self.prints = False
        *lines, self._unfinished = text.split(b"\n")
        if all_of_it and self._unfinished:
            lines, self._unfinished = [*lines, self._unfinished], b""
        return [line.decode("utf-8", errors="replace") for line in lines]


class _File:
    """A file descriptor that can be pickled for a child process."""

    def __init__(self, descriptor: int):
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[object, ...]:
        from multiprocessing.reduction import DupFd

        return _opened, (DupFd(self.descriptor),)


def _opened(duplicate: "object") -> int:
    return duplicate.detach()  # type: ignore[attr-defined]


def _context() -> ForkServerContext:
    _shorten_sockets()
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _shorten_sockets() -> None:
    """Create the folder of this process's sockets elsewhere if `TMPDIR` is too long for the name of a socket."""
    said = tempfile.gettempdir()
    if len(os.fsencode(said)) + LONGEST_IN_IT <= LONGEST_NAME:
        return
    tempfile.tempdir = next((folder for folder in SHORT_FOLDERS if os.access(folder, os.W_OK | os.X_OK)), said)
    try:
        get_temp_dir()  # created once per process, and removed at its end
    finally:
        tempfile.tempdir = said


def _work(connection: Connection, output: int, environment: dict[str, str], run: Run) -> None:
    """Main function of a worker: run jobs until the connection closes."""
    os.environ.clear()  # the server has the environment of the moment it was started
    os.environ.update(environment)
    # A terminal sends Ctrl-C to the whole process group: leave it, so that only the parent asks, and only once.
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = sys.stderr = lines_to(2)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, ConnectionError, KeyboardInterrupt), answered(ignored_too=True):
        let_in()
        while True:
            job = connection.recv()
            outcome = guarded(_with_components, run, job)
            forget()
            with StopRequest() as stop:
                connection.send(outcome.portable())
            if stop.requested:
                return


def lines_to(descriptor: int) -> io.TextIOWrapper:
    """A line-buffered text file. Lines that nobody reads are dropped, so that a job can still save a checkpoint."""
    raw = io.BufferedWriter(_Unheard(descriptor, "w", closefd=False))
    return io.TextIOWrapper(raw, "utf-8", errors="backslashreplace", line_buffering=True)


class _Unheard(io.FileIO):
    def write(self, content: "ReadableBuffer", /) -> int:
        try:
            return super().write(content)
        except BrokenPipeError:
            return memoryview(content).nbytes


def _with_components(run: Run, job: Job) -> Outcome:
    import importlib

    for module in job.spec.tree["components"]:
        importlib.import_module(module)
    return run(job)


def _end_with_parent() -> None:
    """Stop as after Ctrl-C when the parent process is gone."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    ask(os.getpid(), "checkpoint")
