"""A job's lease: one process at a time is on a job, and what a free lease was left by is known.

The lease is a lock of the kernel's: it is free the moment its process is gone, however that went, and no clock is
asked. Beside it lies a note with the process, a heartbeat and how the attempt ended. A free lease whose note still says
`running` was lost: killed, or its machine went down. The heartbeat is for other machines, which do not see the lock.
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
PROBE_S = 0.5  # longer than another process holds the lock only to look
LIVE_S = 60.0  # a heartbeat of another machine that is older tells of a process that is gone

State = Literal["running", "stopped", "failed", "lost"]


@dataclass(frozen=True)
class Note:
    """The last attempt at a job: who, since when, last heard of, and how it stands. Times are seconds since 1970."""

    host: str
    pid: int
    since: float
    beat: float
    state: State
    reason: str = ""

    @property
    def live(self) -> bool:
        """Whether a process is on the job now."""
        return self.state == "running"

    def described(self) -> str:
        """As it is printed."""
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        states = {"running": "is on it", "stopped": "was stopped", "failed": f"failed ({self.reason})"}
        return f"process {self.pid} on {self.host}, begun {since}, {states.get(self.state, 'was lost')}"


class Lease:
    """A lease that this process holds."""

    def __init__(self, file: Path, left_by: Note | None):
        self.left_by = left_by  # how the attempt before this one ended
        self._file = file
        now = time.time()
        self._note = Note(socket.gethostname(), os.getpid(), now, now, "running")
        self._write()
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def end(self, state: Literal["done", "stopped", "failed"], reason: str = "") -> None:
        """Say how the attempt ended; of one that is done nothing is left."""
        self.stop_beating()
        if state == "done":
            self._file.unlink(missing_ok=True)
            return
        self._note = replace(self._note, state=state, reason=reason)
        with suppress(OSError):  # what made the attempt fail may keep this from being written too
            self._write()

    def stop_beating(self) -> None:
        """Leave the note as it is."""
        self._over.set()
        self._heart.join()

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_S):
            self._note = replace(self._note, beat=time.time())
            with suppress(OSError):  # a full disk is for the job itself to tell of
                self._write()

    def _write(self) -> None:
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self._note)), encoding="utf-8")
        os.replace(draft, self._file)


@contextmanager
def hold(key: tuple[str, int], folder: Path | None = None) -> Iterator[Lease | None]:
    """Take the lease of a job (spec hash, seed); None where another process has it.

    Leases lie in `folder`, by default beside the store.

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
                _lock_file(file).unlink(missing_ok=True)  # who waits for it notices, and makes a new one
        lock.release()


def look(key: tuple[str, int], folder: Path | None = None) -> Note | None:
    """How the last attempt at a job stands; None where there was none, or it is done."""
    file = _file(key, folder)
    read = _read(file)
    if read is None or read.state != "running" or _beats_elsewhere(read):
        return read
    lock = file_lock(_lock_file(file))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return read
    except NoLocks:  # whether anybody is on it cannot be known
        with errors(locate()):
            raise
    except OSError:  # nothing can be written there: then nobody is on it either
        return _lost(read)
    lock.release()
    return _lost(read)


def forget(key: tuple[str, int], folder: Path | None = None) -> None:
    """Remove what a process left that was killed between storing a job and giving its lease back."""
    if _file(key, folder).exists():
        with hold(key, folder) as lease:
            if lease is not None:
                lease.end("done")


def _file(key: tuple[str, int], folder: Path | None = None) -> Path:
    spec_hash, seed = key
    return (folder or locate().places.leases) / f"{spec_hash}-{seed}.json"


def _lock_file(file: Path) -> Path:
    return file.with_suffix(".lock")


def _read(file: Path) -> Note | None:
    """The note as it was written; `running` of a process that is gone is lost."""
    try:
        note = Note(**json.loads(file.read_text(encoding="utf-8")))
        return note if _is_sound(note) else None
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        return None


def _is_sound(note: Note) -> bool:
    """Whether it says what a note says.

    Raises:
        ValueError, OverflowError: a time is no time.
    """
    for moment in (note.since, note.beat):
        if not isinstance(moment, int | float):
            return False
        time.localtime(moment)
    return isinstance(note.host, str) and isinstance(note.pid, int) and note.state in get_args(State)


def _beats_elsewhere(note: Note) -> bool:
    """A beat from the future, further ahead than a live one may lie back, is of a clock that tells nothing."""
    return note.live and note.host != socket.gethostname() and abs(time.time() - note.beat) < LIVE_S


def _lost(note: Note) -> Note:
    return replace(note, state="lost")
