"""Standard streams: data and nothing else on stdout, all messages on stderr.

A stream may be closed, full, a pipe that nobody reads, or not UTF-8. Data that cannot be written is an error. A message
that cannot be written is dropped: a job must not fail because its terminal is gone. A character that the stream's
encoding lacks becomes `?`.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO


class Unwritten(Exception):
    """Data could not be written to stdout, for the reason in `__cause__`."""


class _Stream:
    """A text stream that accepts every text and passes everything else to the stream below."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, with `?` for characters that the encoding lacks."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError as error:
            self._stream.write(text.encode(error.encoding, errors="replace").decode(error.encoding))
        return len(text)

    def flush(self) -> None:
        """Flush the stream below."""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Data(_Stream):
    def write(self, text: str) -> int:
        with _unwritten():
            return super().write(text)

    def flush(self) -> None:
        with _unwritten():
            super().flush()


class _Said(_Stream):
    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):  # ValueError: it was closed
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            super().flush()


@contextmanager
def standing() -> Iterator[None]:
    """Make sure of a stdout and a stderr that accept every text, even if they were closed.

    A failed write to stdout raises `Unwritten`; a write to stderr never raises.
    """
    _occupy()
    before = sys.stdout, sys.stderr
    # Python sets a closed stderr to None, and `print(..., file=None)` would print to stdout.
    sys.stdout = _Data(_nowhere() if sys.stdout is None else sys.stdout)
    sys.stderr = _Said(_nowhere() if sys.stderr is None else sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None and stream in before:
                _empty(stream)


@contextmanager
def aside() -> Iterator[None]:
    """Send to stderr what is printed in the context, such as MLflow's links and a component's own output."""
    with redirect_stdout(sys.stderr):
        yield


def _occupy() -> None:
    """Open closed descriptors 0 to 2 on /dev/null, or a file opened later would receive what is meant for stdout."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free: this one
            os.set_inheritable(opened, True)


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _empty(stream: TextIO) -> None:
    """Discard buffered text that cannot be written: Python would try again at exit, and end with code 120."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def _unwritten() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise Unwritten(" ".join(str(error).split())) from error
