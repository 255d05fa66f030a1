"""What the screens read, kept until the store is written to again."""

import os
from datetime import datetime

import streamlit as st

from experiments.analysis import results, table
from experiments.analysis.results import StoredRun
from experiments.published import rows
from experiments.store import locate

SERVER_REFRESH_S = 30


def last_write() -> datetime | None:
    """When the local store was last written to; for a server, the current half minute; None without a store."""
    store = locate()
    if store.file is None:
        now = datetime.now().timestamp()
        return datetime.fromtimestamp(now - now % SERVER_REFRESH_S)
    files = [store.file.with_name(store.file.name + suffix) for suffix in ("", "-wal")]
    times = [os.stat(file).st_mtime for file in files if file.exists()]
    return datetime.fromtimestamp(max(times)) if times else None


@st.cache_data(max_entries=4, show_spinner="Reading the store")
def scales(uri: str, written: datetime | None) -> list[str]:
    """Scales that finished runs are stored of."""
    return sorted({run.tags.get("scale", "") for run in results.runs()} - {""})


@st.cache_data(max_entries=8, show_spinner="Reading the store")
def comparable(uri: str, written: datetime | None, scale: str) -> tuple[table.Table, dict[str, StoredRun]]:
    """The table of a scale, all published rows first, and the newest run of each row."""
    chosen = results.select(scale)
    names = list(dict.fromkeys([*rows(), *(run.row for run in chosen.runs)]))
    seeds = sorted({run.seed for run in chosen.runs}) or [0]
    built = table.build(chosen.runs, scale=scale, seeds=seeds, rows=names, left_out=chosen.left_out)
    newest = {run.row: run for run in sorted(chosen.runs, key=lambda run: run.ended)}
    return built, newest
