"""The dashboard: `streamlit run dashboard/app.py` from any folder, or `make dashboard`."""

import sys
from pathlib import Path

import streamlit as st

# streamlit puts this file's folder on the path, not the checkout that contains the package `dashboard`
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dashboard.private import refuse_unless_private
from dashboard.views import found

st.set_page_config(page_title="Flamingo ablations", layout="wide")
refuse_unless_private()
pages = [
    st.Page(view.show, title=view.title, url_path=view.url_path, default=place == 0)
    for place, view in enumerate(found())
]
st.navigation(pages, position="top" if len(pages) > 1 else "hidden").run()
