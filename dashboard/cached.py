"""Stored runs and tables, cached for all screens until the store is next written."""

from contextlib import suppress
from datetime import datetime

import streamlit as st

from experiments.analysis import Table
from experiments.analysis.table import build
from experiments.published.table3 import rows
from experiments.store import damage, reader
from experiments.store.locate import locate
from experiments.store.patience import errors
from experiments.store.stored_run import StoredRun

SERVER_REFRESH_S = 30  # a server does not report when it was last written


def last_write() -> datetime | None:
    """When the local store was last written; for a server, the current half minute; None without a store.

    Raises:
        StoreError: the store's folder cannot be read.
    """
    store = locate()
    if store.file is None:
        now = datetime.now().timestamp()
        return datetime.fromtimestamp(now - now % SERVER_REFRESH_S)
    times = []
    with errors(store):
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                times.append(store.file.with_name(store.file.name + suffix).stat().st_mtime)
    return datetime.fromtimestamp(max(times)) if times else None


# cache_resource does not copy the objects on each access: no screen modifies them.
@st.cache_resource(max_entries=2, show_spinner=False)
def read(uri: str, written: datetime | None) -> tuple[list[StoredRun], list[str]]:
    """All finished runs, newest first, and damage messages; the store is read once for all scales."""
    with damage.heard() as told:
        return reader.runs(), told


def finished(uri: str, written: datetime | None) -> list[StoredRun]:
    """All finished runs."""
    return read(uri, written)[0]


def scales(uri: str, written: datetime | None) -> list[str]:
    """Scales with finished runs."""
    return sorted({run.tags.get("scale", "") for run in finished(uri, written)} - {""})


@st.cache_resource(max_entries=8, show_spinner=False)
def load(uri: str, written: datetime | None, scale: str) -> tuple[Table, list[str]]:
    """A scale's comparable runs as a table, with all published and other stored rows; and damage messages."""
    with damage.heard() as told:
        return Table.load(scale, finished=finished(uri, written)), told


def stored(uri: str, written: datetime | None, scale: str) -> Table:
    """The table of `load`, without the damage messages."""
    return load(uri, written, scale)[0]


def damaged(uri: str, written: datetime | None, scale: str) -> list[str]:
    """Messages about damaged runs and damaged files of the table."""
    return list(dict.fromkeys([*read(uri, written)[1], *load(uri, written, scale)[1]]))


def nothing_stored(scale: str) -> Table:
    """A table of the published rows only."""
    return Table(build.build([], scale=scale, seeds=[0], rows=list(rows())), {}, {})
