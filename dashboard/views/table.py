"""The Table view: every published row with ours beside it, so that "is it worse, and how certain" needs no click.

The selection is in the URL: `scale`, `show`, and `row`, which opens a block under the table.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import cached
from dashboard.html_details import html_details
from dashboard.html_table import PUBLISHED, SHOWN, html_table
from dashboard.views import View
from experiments.analysis import Table
from experiments.analysis.formats.csv_file import as_csv
from experiments.analysis.table.load import DEFAULT_SCALE
from experiments.common.plain_text import visible
from experiments.store.error import StoreError
from experiments.store.locate import locate

STYLE = Path(__file__).parents[1] / "style.css"
# Page elements appear in no fixed order: poll until the block is there, for at most ten seconds.
TO_DETAILS = """<script>(function look(left) {
  const block = document.getElementById("details");
  if (block) { block.focus(); block.scrollIntoView(); } else if (left) setTimeout(look, 50, left - 1);
})(200)</script>"""


def show() -> None:
    """Draw the screen: the published table immediately, ours once the store has been read."""
    st.html(STYLE)
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    controls.header("Does each component earn its cost?", anchor=False, width="content")
    scale_place, show_place, csv_place = (controls.container(width="content") for _ in range(3))
    messages, place = st.container(gap="xxsmall"), st.empty()
    asked = {name: st.query_params.get(name) for name in ("scale", "show", "row")}
    shown = show_place.radio("Columns of scores", SHOWN, key="show", bind="query-params", horizontal=True)
    if "read" not in st.session_state:  # the first read takes seconds: show the paper's numbers meanwhile
        place.html(html_table(cached.nothing_stored(DEFAULT_SCALE), show=PUBLISHED))
    with csv_place, st.spinner("Reading the store"):
        store = read(scale_place, messages)
    st.session_state["read"] = True
    names = [row["row"] for row in store.stored.table["rows"]]
    known = {"scale": (store.scales, store.scale), "show": (SHOWN, shown), "row": (names, "no row")}
    for name, (allowed, instead) in known.items():
        if asked[name] is not None and asked[name] not in allowed:
            messages.caption(f"`{name}` in the address is none of those there are: showing {plain(instead)}.")
    # a parameter missing from the URL means its first value
    kept = {name: value for name, value in (("scale", store.scale), ("show", shown)) if value != known[name][0][0]}
    row = asked["row"] if asked["row"] in names else ""
    drawn = shown if store.readable else PUBLISHED
    place.html(html_table(store.stored, show=drawn, row=row, state=kept, when=store.when))
    file_name = re.sub(r"[^\w.-]+", "_", f"table3-{store.scale}.csv")
    csv_place.download_button("Table as CSV", as_csv(store.stored), file_name, "text/csv")
    if row and store.readable:
        st.html(html_details(row, store.stored, back=f"?{urlencode(kept)}"))
        st.html(TO_DETAILS, unsafe_allow_javascript=True)


@dataclass(frozen=True)
class Reading:
    """All scales, the default first; the selected one; its stored table; when the store was written."""

    scales: list[str]
    scale: str
    stored: Table
    when: str = ""
    readable: bool = True


def read(scale_place: DeltaGenerator, messages: DeltaGenerator) -> Reading:
    """Read the store. If that fails, show the error and continue as if nothing were stored."""
    scales, scale = [DEFAULT_SCALE], DEFAULT_SCALE
    try:
        store, written = locate(), cached.last_write()
        found = cached.scales(store.shown_uri, written)
        scales = sorted(found, key=lambda name: name != DEFAULT_SCALE) or scales
        scale = scale_place.selectbox("Scale", scales, format_func=visible, key="scale", bind="query-params")
        stored = cached.stored(store.shown_uri, written, scale)
    except StoreError as error:
        messages.warning(f"{plain(error.message)}  \nhint: {plain(error.hint)}")
        return Reading(scales, scale, cached.nothing_stored(scale), readable=False)
    for said in cached.damaged(store.shown_uri, written, scale):
        messages.warning(plain(said).replace("\n", "  \n"))
    if not stored.runs:
        messages.info(
            "No finished baseline is stored, so nothing of ours stands beside the published rows yet. "
            "The first row: `make run`, or `python -m experiments.run ablation=xattn_every_4th`"
        )
    when = f" Store {store.shown_uri} last written {written:%Y-%m-%d %H:%M:%S}." if store.file and written else ""
    return Reading(scales, scale, stored, when)


def plain(text: str) -> str:
    """Escape text for Markdown."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", visible(text))


VIEW = View("Table", "table", show, place=1)
