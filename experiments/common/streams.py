"""Standard streams: data on stdout and nothing else, everything that is said on stderr.

A stream may be closed, full, a pipe that nobody reads, or not UTF-8. Data that cannot be written is one error. What
cannot be said is lost and stops nothing: a job must not fail because its terminal is gone. What a stream's encoding
does not have becomes `?`.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO


class Unwritten(Exception):
    """Data could not be written to stdout; the cause says why."""


class _Stream:
    """A text stream that writes every text; all else is that of the stream below."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, with `?` for what the encoding does not have."""
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
    """Within the context stdout and stderr are there and take every text, whatever they were left as.

    Writing to stdout raises `Unwritten` where it cannot be done; writing to stderr never raises.
    """
    _occupy()
    before = sys.stdout, sys.stderr
    # With Python's None for a closed stderr, `print(..., file=sys.stderr)` would print on stdout.
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
    """What is printed within goes to stderr: MLflow prints where a run can be seen, a component what it likes."""
    with redirect_stdout(sys.stderr):
        yield


def _occupy() -> None:
    """Descriptors 0 to 2 that are closed lead nowhere: a file opened later would get what is written to stdout."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free: this one
            os.set_inheritable(opened, True)


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _empty(stream: TextIO) -> None:
    """What a stream still holds and cannot write goes nowhere: Python would try once more, and end with 120."""
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
