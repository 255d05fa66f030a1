"""Locks of the machine, so that nothing of ours runs beside a timing pass: jobs share the machine, a pass has it alone.

A waiting timing pass keeps new jobs from starting, so that it waits only for those already running. They are kernel
locks: free when their process is gone, and without need of disk space. They belong to the machine, so that jobs of
another store, another checkout or another user count as well.
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
    """Hold off timing passes while a job runs.

    Raises:
        StoreError: the machine's locks cannot be used.
    """
    with _locked("machine.lock", fcntl.LOCK_SH, gate=True):
        yield


@contextmanager
def alone() -> Iterator[None]:
    """Have the machine for a timing pass: wait for running jobs and passes, and hold off new ones.

    Raises:
        StoreError: the machine's locks cannot be used.
    """
    with _locked("gate.lock", fcntl.LOCK_EX), _locked("machine.lock", fcntl.LOCK_EX, announced=WAITS):
        yield


@contextmanager
def _locked(name: str, kind: int, *, gate: bool = False, announced: str = "") -> Iterator[None]:
    """Hold a lock; with `gate`, let a waiting timing pass go first."""
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
    """Open and lock the file that is at the path now: /tmp may be swept while this waits."""
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
        raise StoreError(f"`{path}` cannot be used as the machine's lock: {reason}", hint) from error


def _open(path: Path) -> int:
    """Open the lock file, created if missing. It may belong to another user: locking needs no right to write.

    Raises:
        OSError: it cannot be created, or the path is something else, such as a link.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            # in a folder that all can write to, some systems refuse O_CREAT on another user's file
            with suppress(FileExistsError):
                made = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
                os.fchmod(made, 0o644)  # independent of this user's umask
                os.close(made)
            continue
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")


def _wait_for(descriptor: int, kind: int, path: Path, announced: str) -> None:
    with suppress(BlockingIOError):
        flock(descriptor, kind | fcntl.LOCK_NB, path)
        return
    if announced:
        print(announced, file=sys.stderr)
    flock(descriptor, kind, path)
