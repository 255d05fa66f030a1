"""Timing is done with nothing of ours beside it: jobs share the machine with each other, a timing pass with none.

A timing pass that waits keeps new jobs from starting, so that it waits for those under way and no longer. The locks are
the kernel's: they are free when their process is gone, and need no space on a disk. They belong to the machine: jobs of
another store, of another checkout or of another user are heard as well.
"""

import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from experiments.common.locks import NoLocks, flock
from experiments.store.error import StoreError
from experiments.store.places import LOCKS_VARIABLE, machine_locks

PREFIX = "flamingo-ablations-"
WAITS = "timing waits until the jobs of other commands have ended"


@contextmanager
def beside_others() -> Iterator[None]:
    """A job is under way.

    Raises:
        StoreError: there is no place for the machine's locks.
    """
    with _locked("machine.lock", fcntl.LOCK_SH, gate=True):
        yield


@contextmanager
def alone() -> Iterator[None]:
    """A timing pass: after the jobs under way, and before any other.

    Raises:
        StoreError: there is no place for the machine's locks.
    """
    with _locked("gate.lock", fcntl.LOCK_EX), _locked("machine.lock", fcntl.LOCK_EX, announced=WAITS):
        yield


@contextmanager
def _locked(name: str, kind: int, *, gate: bool = False, announced: str = "") -> Iterator[None]:
    """Hold a lock; `gate`: not before a timing pass that waits for it."""
    path = machine_locks() / f"{PREFIX}{name}"
    if gate:
        with _locked("gate.lock", fcntl.LOCK_SH, announced="a job waits until another command's timing has ended"):
            descriptor = _acquire(path, kind, announced)
    else:
        descriptor = _acquire(path, kind, announced)
    try:
        yield
    finally:
        os.close(descriptor)


def _acquire(path: Path, kind: int, announced: str) -> int:
    """An open descriptor that holds the lock of the file that lies there now: /tmp may have been swept meanwhile."""
    try:
        while True:
            descriptor = _open(path)
            try:
                _wait_for(descriptor, kind, path, announced)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False)):
                        return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
    except OSError as error:
        hint = f"set {LOCKS_VARIABLE} to a folder of this machine's own disk that its users can write to"
        reason = error if isinstance(error, NoLocks) else error.strerror or error
        raise StoreError(f"`{path}` cannot be the machine's lock: {reason}", hint) from error


def _open(path: Path) -> int:
    """The lock file, made where there is none. A lock needs no right to write: it may be another user's.

    Raises:
        OSError: it cannot be made, or something else lies there, such as a link to somewhere.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            # in a folder that all can write to, some systems refuse to open another's file in order to make it
            with suppress(FileExistsError):
                made = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
                os.fchmod(made, 0o644)  # whatever this user's umask hides from others
                os.close(made)
            continue
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file")


def _wait_for(descriptor: int, kind: int, path: Path, announced: str) -> None:
    with suppress(BlockingIOError):
        flock(descriptor, kind | fcntl.LOCK_NB, path)
        return
    if announced:
        print(announced, file=sys.stderr)
    flock(descriptor, kind, path)
