"""Kernel locks between processes, which are released the moment their process ends, however it ends.

On a file system without such locks this raises an error. filelock would fall back to plain files, which stay behind
when their process is killed.
"""

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

WITHOUT = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # the kernel's errors on a file system without locks
HINT = "two commands at once would overwrite each other's files: use a folder on a file system that has locks"


class NoLocks(OSError):
    """The file is on a file system without locks."""

    def __str__(self) -> str:
        return f"the file system of {self.filename} has no locks ({self.strerror})"


class FileLock(filelock.FileLock):
    """A lock file that one process at a time can hold; `acquire` raises `NoLocks` on a file system without locks."""

    def acquire(self, *arguments: Any, **named: Any) -> Any:
        """Acquire the lock, with the arguments of filelock."""
        with _told(Path(self.lock_file)):
            return super().acquire(*arguments, **named)


def file_lock(path: Path | str, *, timeout_s: float = -1) -> FileLock:
    """A lock on this path, not yet acquired; waiting longer than `timeout_s` raises `filelock.Timeout`."""
    return FileLock(str(path), timeout=timeout_s, fallback_to_soft=False)


def flock(descriptor: int, kind: int, path: Path) -> None:
    """Lock the open file at `path`, like `fcntl.flock`.

    Raises:
        NoLocks: its file system has no locks.
        BlockingIOError: another process holds it, and `kind` says not to wait.
    """
    with _told(path):
        fcntl.flock(descriptor, kind)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in WITHOUT:
            raise
        raise NoLocks(error.errno, error.strerror, str(path)) from error
