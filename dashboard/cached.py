"""What the screens read, kept until the store is written to again."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import streamlit as st

from experiments.analysis import results, table
from experiments.analysis.results import StoredRun
from experiments.published import BASELINE, rows
from experiments.store import errors, locate

SERVER_REFRESH_S = 30  # a server does not say when it was written to
# What files that were cut short, edited or lost raise where they are parsed.
UNREADABLE = (ValueError, OSError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class Stored:
    """What a scale has: its table, the runs in it by row and seed, and why a row's files could not be read."""

    table: table.Table
    runs: dict[str, dict[int, StoredRun]]
    broken: dict[str, str]


def last_write() -> datetime | None:
    """When the local store was last written to; for a server, the current half minute; None without a store.

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


@st.cache_data(max_entries=4, show_spinner=False)
def scales(uri: str, written: datetime | None) -> list[str]:
    """Scales that finished runs are stored of."""
    return sorted({run.tags.get("scale", "") for run in results.runs()} - {""})


@st.cache_data(max_entries=8, show_spinner=False)
def stored(uri: str, written: datetime | None, scale: str) -> Stored:
    """A scale's comparable runs as a table: all published rows, then what else is stored."""
    chosen = results.select(scale)
    names = list(dict.fromkeys([*rows(), *(run.row for run in chosen.runs)]))
    seeds = sorted({run.seed for run in chosen.runs}) or [0]

    def build(runs: Sequence[StoredRun], names: list[str]) -> table.Table:
        return table.build(runs, scale=scale, seeds=seeds, rows=names, left_out=chosen.left_out)

    broken: dict[str, str] = {}
    readable = list(chosen.runs)
    try:
        built = build(readable, names)
    except UNREADABLE:  # one row's files must not take the others with them: find out whose they are
        for name in names:
            try:
                build([run for run in readable if run.row in (name, BASELINE)], [name])
            except UNREADABLE as error:
                broken[name] = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        readable = [run for run in readable if run.row not in broken]
        built = build(readable, names)
    by_row: dict[str, dict[int, StoredRun]] = {}
    for run in readable:
        by_row.setdefault(run.row, {})[run.seed] = run
    return Stored(built, by_row, broken)


def nothing_stored(scale: str) -> Stored:
    """The published rows alone."""
    return Stored(table.build([], scale=scale, seeds=[0], rows=list(rows())), {}, {})
