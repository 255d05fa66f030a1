"""Signals that ask a command to stop, all handled like Ctrl-C.

SIGINT is Ctrl-C, SIGTERM pre-emption, SIGHUP a closed terminal. With SIGUSR1 a command asks the processes it started,
and batch systems warn before the time limit. The first signal is a request: inside a `StopRequest` to stop at the next
safe place, elsewhere to stop at once. The second SIGINT or SIGTERM stops at once everywhere. SIGHUP and SIGUSR1 never
count as a second signal: one closed terminal is reported by both the shell and the kernel, and a signal to all
processes of a command reaches a worker twice, directly and through the process that started it, in either order.
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
    """Stop requests received by this process. Signals are handled on the main thread, so no lock is needed."""

    by: int | None = None  # the first signal
    urgent = 0  # SIGINTs and SIGTERMs received
    requests = 0  # StopRequests entered and not left


def exit_code() -> int:
    """128 plus the number of the first signal received."""
    return 128 + (signal.SIGINT if _Asked.by is None else _Asked.by)


def forget() -> None:
    """Clear the received signals, once their request has been carried out."""
    _Asked.by, _Asked.urgent = None, 0


def ask(pid: int, how: How) -> None:
    """Ask a process under `answered` to stop at the next safe place, or tell it to stop at once."""
    for number in (signal.SIGUSR1,) if how == "checkpoint" else URGENT:
        os.kill(pid, number)


@contextmanager
def answered(*, ignored_too: bool = False) -> Iterator[None]:
    """Handle signals like Ctrl-C; those ignored on entry, as under nohup, stay ignored unless `ignored_too`."""
    with _handled(SIGNALS if ignored_too else _not_ignored()):
        yield


class StopRequest:
    """A context in which the first signal only sets a flag; call `check` where it is safe to stop."""

    def __init__(self) -> None:
        self._handling = ExitStack()

    @property
    def requested(self) -> bool:
        """Whether a signal has been received."""
        return _Asked.by is not None

    def __enter__(self) -> "StopRequest":
        # Ctrl-C is handled here even where a shell that started this in the background had it ignored.
        self._handling.enter_context(_handled({signal.SIGINT, *_not_ignored()}))
        _Asked.requests += 1
        return self

    def __exit__(self, *raised: object) -> None:
        _Asked.requests -= 1
        self._handling.close()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has been received."""
        if self.requested:
            raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[None]:
    """Block signals in the context, and in a process started inside it until that process calls `let_in`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_in() -> None:
    """Unblock signals; those that arrived while they were blocked are delivered now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _not_ignored() -> set[signal.Signals]:
    return {number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN}


@contextmanager
def _handled(numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Install our handler for these signals; the outermost context calls `forget` at its end."""
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
