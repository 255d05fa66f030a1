"""A stored table as text. A format of `report` is a file here that says `FORMAT = Format(...)`: no list names it.

The other files are no formats: `figures`, `wording` and `strip` hold what several formats and screens share; `terminal`
and `terminal_examples` print the row of `run` and the table of `table3`.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.common.declared import declared

if TYPE_CHECKING:
    from experiments.analysis import Table


@dataclass(frozen=True)
class Format:
    """One format: what `--format` calls it, a line of `report --help` on it, and the function that writes it."""

    name: str
    about: str
    as_text: "Callable[[Table], str]"
    place: int = 100  # in lists, of equal ones by name; the first is what `report` prints where none is asked for


def found() -> dict[str, Format]:
    """The formats there are, by name, in their order.

    Raises:
        ValueError: two files name theirs alike.
    """
    formats = sorted(declared(sys.modules[__name__], "FORMAT"), key=lambda one: (one.place, one.name))
    by_name: dict[str, Format] = {}
    for one in formats:
        if one.name in by_name:
            both = " and ".join(each.as_text.__module__ for each in (by_name[one.name], one))
            raise ValueError(f"format {one.name} is declared twice: in {both}")
        by_name[one.name] = one
    return by_name


def help_on(formats: Iterable[Format]) -> str:
    """A line on each, as `report --help` prints them."""
    return "\n".join(["Formats, the first by default:", *(f"  {one.name:<6} {one.about}" for one in formats)])


def as_text(stored: "Table", format_: str) -> str:
    """The table in one of the formats `found`.

    Raises:
        ValueError: there is no such format.
    """
    formats = found()
    if format_ not in formats:
        raise ValueError(f"no format {format_}")
    return formats[format_].as_text(stored)
