"""A disk that fails once: lists the file operations that our code asks for, and makes one of them fail."""

import errno
import io
import os
import sqlite3
from collections import Counter
from collections.abc import Collection
from types import FrameType
from typing import Any

from experiments.common.checkout import ROOT

OURS = tuple(str(ROOT / place) for place in ("experiments", "flamingo_core"))
OF_THE_SYSTEM = {
    *("open", "mkdir", "rename", "replace", "unlink", "remove", "rmdir", "fsync", "sendfile", "flock"),
    *("listdir", "scandir", "write", "truncate", "chmod", "fchmod", "utime"),
}
OF_A_FILE = {"write", "writelines", "read", "readinto", "readline", "readlines", "flush"}
OF_A_DATABASE = {"execute", "executemany", "executescript", "commit"}


class FailingDisk:
    """A profile function: one operation raises EIO, as a disk does that is broken there.

    It is the first whose place and kind are not among `passed`; without them none fails. Where `numbered`, the second
    operation at a place is another one than the first.
    """

    def __init__(self, passed: Collection[str] | None = None, *, numbered: bool = False):
        self.listed: list[str] = []
        self._passed, self._numbered = passed, numbered
        self._counts: Counter[str] = Counter()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "c_call":
            return
        kind = _kind(argument)
        if kind is None:
            return
        place = _asked_by(frame)
        if place is None:
            return
        operation = f"{place} {kind}.{argument.__name__}"
        self._counts[operation] += 1
        self.listed.append(f"{operation} {self._counts[operation]}" if self._numbered else operation)
        if self._passed is not None and self.listed[-1] not in self._passed:
            if kind == "database":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def _kind(function: Any) -> str | None:
    """Of which kind an operation is; None for anything else, and for what is said on a terminal."""
    name, on = getattr(function, "__name__", ""), getattr(function, "__self__", None)
    if isinstance(on, sqlite3.Connection | sqlite3.Cursor):
        return "database" if name in OF_A_DATABASE else None
    if isinstance(on, io.IOBase):
        return "file" if name in OF_A_FILE and _is_on_disk(on) else None
    module = getattr(function, "__module__", None)
    return "system" if name in OF_THE_SYSTEM and module in ("io", "_io", "posix", "fcntl") else None


def _is_on_disk(file: Any) -> bool:
    try:
        return file.fileno() > 2
    except (OSError, ValueError):  # it is in memory, or closed
        return False


def _asked_by(frame: FrameType | None) -> str | None:
    """The line of ours that leads to an operation; None where Python imports a module."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib"):
            return None
        if file.startswith(OURS):
            return f"{os.path.relpath(file, ROOT)}:{frame.f_code.co_name}:{frame.f_lineno}"
        frame = frame.f_back
    return None
