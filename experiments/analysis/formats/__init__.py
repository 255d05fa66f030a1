"""A stored table as text. A format of `report` is a file here with `FORMAT = Format(...)`; there is no list to edit.

The other files are not formats: `figures`, `wording` and `strip` are shared by several formats and screens; `terminal`
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
    """One format: its name for `--format`, its line in `report --help`, and the function that writes it."""

    name: str
    about: str
    as_text: "Callable[[Table], str]"
    place: int = 100  # order in lists, ties by name; the first one is the default of `report`


def found() -> dict[str, Format]:
    """All formats by name, in their order.

    Raises:
        ValueError: two files declare the same name.
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
    """One line per format, as printed by `report --help`."""
    return "\n".join(["Formats, the first by default:", *(f"  {one.name:<6} {one.about}" for one in formats)])


def as_text(stored: "Table", format_: str) -> str:
    """The table in one of the formats that `found` returns.

    Raises:
        ValueError: there is no such format.
    """
    formats = found()
    if format_ not in formats:
        raise ValueError(f"no format {format_}")
    return formats[format_].as_text(stored)
