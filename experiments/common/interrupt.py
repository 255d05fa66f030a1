"""Signals that ask a command to stop, all answered as Ctrl-C is.

SIGINT is Ctrl-C, SIGTERM pre-emption, SIGHUP a closed terminal; SIGUSR1 is how a command asks the processes it has
started, and how batch systems warn before the time is up. The first one asks: within a `StopRequest` for a stop at the
next safe place, anywhere else at once. The second SIGINT or SIGTERM stops at once everywhere. SIGHUP and SIGUSR1 never
count as a second: of one closed terminal both the shell and the kernel tell, and what is sent to all processes of a
command reaches a worker by itself and through the process that started it, in either order.
"""

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Literal

URGENT = (signal.SIGINT, signal.SIGTERM)  # the second of them stops at once
SIGNALS = (*URGENT, signal.SIGHUP, signal.SIGUSR1)
How = Literal["checkpoint", "at once"]


class _Asked:
    """What this process was asked for. A signal is answered on the main thread, so no lock is needed."""

    by: int | None = None  # the first signal
    urgent = 0  # how many were
    requests = 0  # StopRequests that are held


def exit_code() -> int:
    """128 and the number of the signal that asked first."""
    return 128 + (signal.SIGINT if _Asked.by is None else _Asked.by)


def forget() -> None:
    """What was asked for is done; what comes next is asked anew."""
    _Asked.by, _Asked.urgent = None, 0


def ask(pid: int, how: How) -> None:
    """Ask a process that answers signals to stop at the next safe place, or tell it to stop at once."""
    for number in (signal.SIGUSR1,) if how == "checkpoint" else URGENT:
        os.kill(pid, number)


@contextmanager
def answered(*, ignored_too: bool = False) -> Iterator[None]:
    """Answer signals as Ctrl-C within the context; those ignored on entry, as under nohup, stay ignored by default."""
    with _handled(SIGNALS if ignored_too else _not_ignored()):
        yield


class StopRequest:
    """Within the context a first signal only sets a flag; `check` raises KeyboardInterrupt where stopping is safe."""

    def __init__(self) -> None:
        self._handling = ExitStack()

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        return _Asked.by is not None

    def __enter__(self) -> "StopRequest":
        # Ctrl-C is answered here though a shell that started this in the background had it ignored.
        self._handling.enter_context(_handled({signal.SIGINT, *_not_ignored()}))
        _Asked.requests += 1
        return self

    def __exit__(self, *raised: object) -> None:
        _Asked.requests -= 1
        self._handling.close()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a stop was asked for."""
        if self.requested:
            raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[None]:
    """No signal comes within the context, nor to a process started in it until that calls `let_in`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_in() -> None:
    """Signals come from now on, those first that came meanwhile."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _not_ignored() -> set[signal.Signals]:
    return {number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN}


@contextmanager
def _handled(numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Handle signals; the outermost context forgets what was asked for within it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    ours = {number: handler for number, handler in before.items() if handler not in (None, _answer)}
    outermost = _answer not in before.values()
    try:
        for number in ours:
            signal.signal(number, _answer)
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        if outermost:
            forget()


def _answer(number: int, frame: FrameType | None) -> None:
    first = _Asked.by is None
    if first:
        _Asked.by = number
    _Asked.urgent += number in URGENT
    if _Asked.urgent > 1 or (first and not _Asked.requests):
        raise KeyboardInterrupt
