"""The Table view: every published row with our own beside it, so that "is it worse, and how sure" needs no click."""

import streamlit as st

from dashboard import cached
from dashboard.html_table import STYLE, html_table
from dashboard.twin import csv
from experiments import published
from experiments.analysis import pairing
from experiments.analysis.results import StoredRun
from experiments.analysis.table import Table
from experiments.published import BASELINE
from experiments.store import StoreError, locate

DEFAULT_SCALE = "tiny"


def show() -> None:
    """Draw the screen."""
    st.header("Does each component earn its cost?")
    try:
        store, written = locate(), cached.last_write()
        stored = cached.scales(store.shown_uri, written)
        scale = chosen("scale", stored or [DEFAULT_SCALE], DEFAULT_SCALE)
        table, newest = cached.comparable(store.shown_uri, written, scale)
    except StoreError as error:
        st.warning(f"{error.message}\n\nhint: {error.hint}")
        table, newest, written, scale = empty_table(), {}, None, DEFAULT_SCALE
    if not newest:
        st.info("No run of a baseline is stored yet. This makes the first row:")
        st.code("make run\n# or\npython -m experiments.run ablation=xattn_every_4th", language="bash")
    names = [row["row"] for row in table["rows"]]
    row = chosen("row", names, "") if "row" in st.query_params else ""
    when = f"; store last written {written:%Y-%m-%d %H:%M:%S}" if written and newest else ""
    st.html(STYLE + f'<div class="scroll">{html_table(table, row, when)}</div>')
    st.download_button("Table as CSV", csv(table), f"table3-{scale}.csv", "text/csv")
    if row:
        details(row, table, newest)


def chosen(name: str, allowed: list[str], default: str) -> str:
    """What the URL asks for; anything else falls back, with a line that says so."""
    value = st.query_params.get(name, default)
    if value in allowed:
        return value
    fallback = default if default in allowed or not default else allowed[0]
    if name in st.query_params:
        st.caption(f"The `{name}` in the address is none that is stored: showing {fallback or 'the table alone'}.")
    return fallback


def empty_table() -> Table:
    """The published rows alone."""
    from experiments.analysis.table import build

    return build([], scale=DEFAULT_SCALE, seeds=[0], rows=list(published.rows()))


def details(name: str, table: Table, newest: dict[str, StoredRun]) -> None:
    """What a row changes, and whether anything else differs."""
    st.subheader(name)
    entry = next(row for row in table["rows"] if row["row"] == name)
    run, baseline = newest.get(name), newest.get(BASELINE)
    if run is None or baseline is None:
        st.code("\n".join(entry["missing"]), language="bash")
        return
    changed = sorted(pairing.changed_keys(run.params, baseline.params) - {"seed"})
    st.table(
        [{"key": key, "baseline": baseline.params.get(key, "-"), "row": run.params.get(key, "-")} for key in changed]
    )
    pair = None if run is baseline else pairing.of_runs(run, baseline)
    st.text(f"runs: {', '.join(entry['run_ids'])}" + (f"\n{pair.sentence()}" if pair else ""))
