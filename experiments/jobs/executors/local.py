"""Jobs of this machine: processes of one thread each, which take a job whenever they are free.

Two processes of one thread do 1.8 times the work of one process with two. They are forked from a server that has
imported what a job needs, and stay for the next job, so that a job starts in no time. What they print comes back
through a pipe each.
"""

import io
import os
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import replace
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
LONGEST_NAME = 103  # bytes of a socket's name: 107 on Linux, 103 on macOS
LONGEST_IN_IT = len("/pymp-12345678/listener-12345678")  # as `multiprocessing` names a folder and a socket
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


@register_executor("local")
class Local(Executor):
    """Worker processes of this machine, of one thread each; one that is gone is replaced when it is needed."""

    def __init__(self, settings: NoSettings, *, slots: int, run: Run):
        self.slots = slots
        self._run = run
        self._workers: list[_Worker] = []

    @classmethod
    def warm_up(cls) -> None:
        """Start importing what workers need while this process goes on, where there are cores for it."""
        from multiprocessing import forkserver

        with suppress(OSError):  # no folder for its socket: whoever needs a worker is told
            _context()
            if usable_cores() > 1:
                with held_back():  # the server does nothing when asked to stop: it ends with this process
                    forkserver.ensure_running()

    def start(self, job: Job) -> None:
        """Hand the job to a free worker, or to a new one."""
        free = next((worker for worker in self._workers if worker.job is None), None)
        if free is None:
            assert len(self._workers) < self.slots, "no more than `slots` jobs at once"
            free = _Worker(self._run)
            self._workers.append(free)
        free.start(job)

    def wait(self, timeout_s: float | None = None) -> list[Event]:
        """Lines and ends, as they come."""
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
        """Ask for a checkpoint; told again, the job ends at once."""
        for worker in self._workers:
            if worker.job:
                worker.interrupt(how)

    def close(self) -> None:
        """Let the workers end."""
        for worker in self._workers:
            worker.close()
        self._workers.clear()


class _Worker:
    """One process, the connection to it, what it prints, and the job it is on."""

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
        self._asked = False  # to stop
        self._unfinished = b""  # a line of which the end has not come yet

    def start(self, job: Job) -> None:
        """Hand over a job."""
        self.job, self._asked = job, False
        with suppress(BrokenPipeError):  # it is gone: the next `events` tell
            self.connection.send(job)

    def events(self, *, ended: bool) -> list[Event]:
        """Lines that have come, then the end if it has."""
        assert self.job is not None
        job = self.job
        outcome = self._outcome() if ended else None
        events: list[Event] = [Said(job, line) for line in self._lines(all_of_it=ended)]
        if outcome is not None:
            self.job = None
            events.append(Ended(job, outcome))
        return events

    def interrupt(self, how: How) -> None:
        """Ask it to stop."""
        self._asked = True
        if self.process.pid is not None and self.process.is_alive():
            ask(self.process.pid, how)

    def close(self) -> None:
        """Let the process end."""
        self.connection.close()
        self.process.join()
        os.close(self.printed)

    def _outcome(self) -> Outcome:
        """What came of the job; a process that is gone has lost it, or goes because it alone was told to stop."""
        try:
            outcome = _receive(self.connection)
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
    """A file descriptor that goes to another process."""

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
    """Put the folder of this process's sockets elsewhere where `TMPDIR` is too long for the name of a socket."""
    said = tempfile.gettempdir()
    if len(os.fsencode(said)) + LONGEST_IN_IT <= LONGEST_NAME:
        return
    tempfile.tempdir = next((folder for folder in SHORT_FOLDERS if os.access(folder, os.W_OK | os.X_OK)), said)
    try:
        get_temp_dir()  # made once a process, and removed at its end
    finally:
        tempfile.tempdir = said


def _work(connection: Connection, output: int, environment: dict[str, str], run: Run) -> None:
    """A worker: take jobs until there are none."""
    os.environ.clear()  # the server's is that of the moment when it was started
    os.environ.update(environment)
    # A terminal sends Ctrl-C to the whole group: out of it, so that the parent alone decides, and asks once.
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
                _send(connection, outcome)
            if stop.requested:
                return


def _send(connection: Connection, outcome: Outcome) -> None:
    connection.send(replace(outcome, error=None))
    connection.send(outcome.portable().error)


def _receive(connection: Connection) -> Outcome:
    outcome: Outcome = connection.recv()
    try:
        return replace(outcome, error=connection.recv())
    except (EOFError, ConnectionError):
        raise
    except Exception:  # its class is not known here
        return outcome


def lines_to(descriptor: int) -> io.TextIOWrapper:
    """A text file for lines. Those that nobody reads any more are lost, and stop nothing: a job saves itself first."""
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
    """Stop as with Ctrl-C when the process that gives out jobs is gone."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    ask(os.getpid(), "checkpoint")
