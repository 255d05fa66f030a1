"""One screen a file: one that says `VIEW = View(...)` is in the navigation, and no list names it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from experiments.common.declared import declared


@dataclass(frozen=True)
class View:
    """One screen: its title in the navigation, its path in the address, and the function that draws it."""

    title: str
    url_path: str
    show: Callable[[], None]
    place: int = 100  # in the navigation, of equal ones by title; the first is the one that opens


def found() -> list[View]:
    """The screens there are, in their order."""
    views: list[View] = declared(sys.modules[__name__], "VIEW")
    return sorted(views, key=lambda view: (view.place, view.title))
