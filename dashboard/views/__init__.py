"""One file per screen: every file with `VIEW = View(...)` appears in the navigation; there is no list to edit."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from experiments.common.declared import declared


@dataclass(frozen=True)
class View:
    """One screen: its title in the navigation, its URL path, and the function that draws it."""

    title: str
    url_path: str
    show: Callable[[], None]
    place: int = 100  # order in the navigation, ties by title; the first one opens by default


def found() -> list[View]:
    """All screens, in navigation order."""
    views: list[View] = declared(sys.modules[__name__], "VIEW")
    return sorted(views, key=lambda view: (view.place, view.title))
