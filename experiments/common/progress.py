"""Progress on stderr: a bar in a terminal, a line every few seconds elsewhere."""

import re
import sys
from dataclasses import dataclass
from typing import Any, TextIO

LINES_EVERY_S = 5.0
_LINE = re.compile(
    r"(?P<label>[^:]*): (?P<unit>\w+) (?P<count>\d+)/(?P<total>\d+)(?P<note>.*?)  \S+ gone, (?P<left>\S+) left"
)


@dataclass(frozen=True)
class Reading:
    """A parsed line of progress."""

    label: str
    unit: str
    count: int
    total: int
    note: str
    left: str


def read_line(line: str) -> Reading | None:
    """Parse a line that `Progress` printed; None for any other line."""
    found = _LINE.fullmatch(line.strip())
    if found is None:
        return None
    label, unit, count, total, note, left = found.groups()
    return Reading(label, unit, int(count), int(total), note, left)


class Progress:
    """A counter up to `total` that shows its unit, its count, a note and the time left."""

    def __init__(self, label: str, total: int, unit: str, *, start: int = 0):
        from tqdm import tqdm

        terminal = sys.stderr.isatty()
        self._bar: Any = tqdm(
            total=total,
            initial=start,
            desc=label,
            file=sys.stderr if terminal else _Lines(sys.stderr),
            mininterval=0.2 if terminal else LINES_EVERY_S,
            bar_format="{desc}: " + unit + " {n_fmt}/{total_fmt}{postfix}  {elapsed} gone, {remaining} left",
            dynamic_ncols=terminal,
            leave=True,
        )

    def advance(self, note: str = "", *, by: int = 1) -> None:
        """Add `by` to the count; the note is shown beside it."""
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(by)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


class _Lines:
    """A stream that turns a bar's carriage returns into lines, for logs and pipes."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        text = text.strip("\r\n ")
        return self._stream.write(f"{text}\n") if text else 0

    def flush(self) -> None:
        self._stream.flush()
