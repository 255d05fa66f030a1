"""Keep the dashboard private to this machine unless the user chooses otherwise: without its settings it shows nothing.

The settings are beside the app, in `.streamlit/config.toml`, where streamlit reads them from any working directory. It
does not read them if the app is run under another name, through a link or from another script: then streamlit listens
on all networks and sends usage statistics, and by the time the app's code runs it is too late to change that.
"""

import sys
from pathlib import Path
from shlex import quote

import streamlit as st
from streamlit import config, runtime

APP = Path(__file__).resolve().with_name("app.py")
SETTINGS = {"server.address": "localhost", "browser.gatherUsageStats": "false"}


def refuse_unless_private() -> None:
    """If a server runs the app and a setting was not set by anyone, stop and show the command to use."""
    # nothing listens if the file is run as a script or a test replaces the server
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
