"""Leases of jobs: one process at a time runs a job, and a free lease tells how the last attempt ended.

A lease is a kernel lock: it is free the moment its process ends, however it ends, and no clock is read. A note beside
it holds the process, a heartbeat and how the attempt ended. A free lease whose note still says `running` was lost: the
process was killed, or its machine went down. The heartbeat is for other machines, which do not see the lock.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from filelock import Timeout

from experiments.common.locks import NoLocks, file_lock
from experiments.store.locate import locate
from experiments.store.patience import errors

HEARTBEAT_S = 10.0
PROBE_S = 0.5  # longer than `look` holds the lock in another process
LIVE_S = 60.0  # an older heartbeat of another machine means that its process is gone

State = Literal["running", "stopped", "failed", "lost"]


@dataclass(frozen=True)
class Note:
    """The last attempt at a job: process, start, last heartbeat and state. Times are seconds since 1970."""

    host: str
    pid: int
    since: float
    beat: float
    state: State
    reason: str = ""

    @property
    def live(self) -> bool:
        """Whether a process is running the job now."""
        return self.state == "running"

    def described(self) -> str:
        """The note in words."""
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        states = {"running": "is running it", "stopped": "was stopped", "failed": f"failed ({self.reason})"}
        return f"process {self.pid} on {self.host}, started {since}, {states.get(self.state, 'was lost')}"


class Lease:
    """A lease that this process holds."""

    def __init__(self, file: Path, left_by: Note | None):
        self.left_by = left_by  # the note of the previous attempt
        self._file = file
        now = time.time()
        self._note = Note(socket.gethostname(), os.getpid(), now, now, "running")
        self._write()
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def end(self, state: Literal["done", "stopped", "failed"], reason: str = "") -> None:
        """Record how the attempt ended; if it is done, remove the note."""
        self.stop_beating()
        if state == "done":
            self._file.unlink(missing_ok=True)
            return
        self._note = replace(self._note, state=state, reason=reason)
        with suppress(OSError):  # the reason for the failure may be a full disk
            self._write()

    def stop_beating(self) -> None:
        """Stop the heartbeat and leave the note as it is."""
        self._over.set()
        self._heart.join()

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_S):
            self._note = replace(self._note, beat=time.time())
            with suppress(OSError):  # the job itself reports a full disk
                self._write()

    def _write(self) -> None:
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self._note)), encoding="utf-8")
        os.replace(draft, self._file)


@contextmanager
def hold(key: tuple[str, int], folder: Path | None = None) -> Iterator[Lease | None]:
    """Hold the lease of a job (spec hash, seed); None if another process holds it.

    Leases lie in `folder`, by default in the work folder beside the store.

    Raises:
        StoreError: nothing can be written beside the store.
    """
    file = _file(key, folder)
    lock, lease = file_lock(_lock_file(file)), None
    with errors(locate()):
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout):
            lock.acquire(timeout=PROBE_S)
        left_by = _read(file)
        if lock.is_locked and not (left_by is not None and _beats_elsewhere(left_by)):
            lease = Lease(file, left_by)
    try:
        yield lease
    finally:
        if lease is not None:
            lease.stop_beating()
            if not file.exists():
                _lock_file(file).unlink(missing_ok=True)  # a process waiting for it notices, and creates a new one
        lock.release()


def look(key: tuple[str, int], folder: Path | None = None) -> Note | None:
    """The state of the last attempt at a job; None if there was none, or it is done."""
    file = _file(key, folder)
    read = _read(file)
    if read is None or read.state != "running" or _beats_elsewhere(read):
        return read
    lock = file_lock(_lock_file(file))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return read
    except NoLocks:  # nobody can know whether a process is running it
        with errors(locate()):
            raise
    except OSError:  # nothing can be written there, so no process is running it
        return _lost(read)
    lock.release()
    return _lost(read)


def forget(key: tuple[str, int], folder: Path | None = None) -> None:
    """Remove the lease of a process that was killed between storing its job and releasing the lease."""
    file = _file(key, folder)
    if file.exists() or _lock_file(file).exists():  # the note goes first
        with hold(key, folder) as lease:
            if lease is not None:
                lease.end("done")


def _file(key: tuple[str, int], folder: Path | None = None) -> Path:
    spec_hash, seed = key
    return (folder or locate().places.leases) / f"{spec_hash}-{seed}.json"


def _lock_file(file: Path) -> Path:
    return file.with_suffix(".lock")


def _read(file: Path) -> Note | None:
    """Read a note; None if it is missing or damaged."""
    try:
        note = Note(**json.loads(file.read_text(encoding="utf-8")))
        return note if _is_sound(note) else None
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        return None


def _is_sound(note: Note) -> bool:
    """Whether every field of a note has a possible value.

    Raises:
        ValueError, OverflowError: a time is out of range.
    """
    for moment in (note.since, note.beat):
        if not isinstance(moment, int | float):
            return False
        time.localtime(moment)
    return isinstance(note.host, str) and isinstance(note.pid, int) and note.state in get_args(State)


def _beats_elsewhere(note: Note) -> bool:
    """Whether a process on another machine is alive; a heartbeat more than `LIVE_S` in the future does not count."""
    return note.live and note.host != socket.gethostname() and abs(time.time() - note.beat) < LIVE_S


def _lost(note: Note) -> Note:
    return replace(note, state="lost")
