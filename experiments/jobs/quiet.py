"""Timing is done with nothing of ours beside it: jobs share the machine with each other, a timing pass with none.

A timing pass that waits keeps new jobs from starting, so that it waits for those under way and no longer.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, ReadWriteLock, Timeout

from experiments.store import errors, locate

ANNOUNCED_S = 1.0  # a wait that is longer is said


@contextmanager
def beside_others() -> Iterator[None]:
    """A job is under way."""
    gate, shared = _locks()
    with gate:
        held = shared.acquire_read()
    with held:
        yield


@contextmanager
def alone() -> Iterator[None]:
    """A timing pass: after the jobs under way, and before any other."""
    gate, shared = _locks()
    with gate:
        try:
            held = shared.acquire_write(timeout=ANNOUNCED_S)
        except Timeout:
            print("timing waits until the jobs of other commands have ended", file=sys.stderr)
            held = shared.acquire_write()
        with held:
            yield


def _locks() -> tuple[FileLock, ReadWriteLock]:
    folder = Path(locate().folder) / "work" / "leases"
    with errors(locate()):
        folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "gate.lock"), ReadWriteLock(folder / "machine.db")
