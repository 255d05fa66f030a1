"""Locks between processes: the kernel's, free the moment their process is gone, or none at all.

A file system without them is told of. filelock would fall back to files that stay when their process is killed, and
that no kernel watches over.
"""

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

WITHOUT = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # what a kernel says where there are no locks
HINT = "two commands at once would spoil what the other one writes: use a folder on a file system that has locks"


class NoLocks(OSError):
    """The file system of a file has no locks."""

    def __str__(self) -> str:
        return f"the file system of {self.filename} has no locks ({self.strerror})"


class FileLock(filelock.FileLock):
    """A lock file held by one process at a time; taking it raises `NoLocks` where there can be none."""

    def acquire(self, *arguments: Any, **named: Any) -> Any:
        """Take it, as filelock does."""
        with _told(Path(self.lock_file)):
            return super().acquire(*arguments, **named)


def file_lock(path: Path | str, *, timeout_s: float = -1) -> FileLock:
    """The lock of this name; whoever waits for it longer than `timeout_s` gets `filelock.Timeout`."""
    return FileLock(str(path), timeout=timeout_s, fallback_to_soft=False)


def flock(descriptor: int, kind: int, path: Path) -> None:
    """Lock an open file, `path`, as `fcntl.flock` does.

    Raises:
        NoLocks: its file system has none.
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
