"""The dashboard: `streamlit run dashboard/app.py` from any folder, or `make dashboard`."""

import sys
from pathlib import Path

import streamlit as st

# streamlit puts this file's folder on the path, not the checkout that `dashboard` is a package of
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dashboard.private import refuse_unless_private
from dashboard.views import table

st.set_page_config(page_title="Flamingo ablations", layout="wide")
refuse_unless_private()
st.navigation([st.Page(table.show, title="Table", url_path="table", default=True)], position="hidden").run()
