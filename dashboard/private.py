"""The dashboard is for this machine alone, unless somebody says otherwise: without its settings it shows nothing.

They lie beside the app, in `.streamlit/config.toml`, where streamlit reads them whatever the working directory. It does
not where the app is run under another name, through a link or from another script: then streamlit listens on all
networks and reports its use, and by the time the app is asked it is too late to set that.
"""

import sys
from pathlib import Path
from shlex import quote

import streamlit as st
from streamlit import config, runtime

APP = Path(__file__).resolve().with_name("app.py")
SETTINGS = {"server.address": "localhost", "browser.gatherUsageStats": "false"}


def refuse_unless_private() -> None:
    """Stop with the command to use where a server runs the app and a setting is nobody's choice."""
    # nothing listens where the file is only run, or a test stands in for the server
    if not runtime.exists() or type(runtime.get_instance()) is not runtime.Runtime:
        return
    unset = [name for name in SETTINGS if not config.is_manually_set(name)]
    if not unset:
        return
    command = f"streamlit run {quote(str(APP))}"
    choose = " ".join(f"--{name} {SETTINGS[name]}" for name in unset)
    message = f"the dashboard runs without its settings ({', '.join(unset)}), and shows nothing"
    hint = f"stop it, and start it as: {command}   (or choose them: {choose})"
    print(f"error: {message}\nhint: {hint}", file=sys.stderr)
    st.error(f"error: {message}")
    st.code(hint, language=None)
    st.stop()
