"""Timing is done with nothing of ours beside it: jobs share the machine with each other, a timing pass with none.

A timing pass that waits keeps new jobs from starting, so that it waits for those under way and no longer. The locks are
the kernel's: they are free when their process is gone, and need no space on a disk.
"""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from experiments.store import errors, locate


@contextmanager
def beside_others() -> Iterator[None]:
    """A job is under way."""
    with _locked("machine.lock", fcntl.LOCK_SH, gate=True):
        yield


@contextmanager
def alone() -> Iterator[None]:
    """A timing pass: after the jobs under way, and before any other."""
    with _locked("gate.lock", fcntl.LOCK_EX), _locked("machine.lock", fcntl.LOCK_EX, announced=True):
        yield


@contextmanager
def _locked(name: str, kind: int, *, gate: bool = False, announced: bool = False) -> Iterator[None]:
    """Hold a lock; `gate`: not before a timing pass that waits for it."""
    folder = locate().places.leases
    with errors(locate()):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / name).open("a")
    with file:
        if gate:
            with _locked("gate.lock", fcntl.LOCK_SH):
                fcntl.flock(file, kind)
        else:
            _wait_for(file.fileno(), kind, announced)
        yield


def _wait_for(descriptor: int, kind: int, announced: bool) -> None:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return
    if announced:
        print("timing waits until the jobs of other commands have ended", file=sys.stderr)
    fcntl.flock(descriptor, kind)
