"""The dashboard is for this machine alone, whichever folder it is started from; the server is a real one."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from experiments.common.checkout import ROOT

APP = ROOT / "dashboard" / "app.py"
START_S = 90

Serve = Callable[..., tuple[int, Path]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start the app in a folder that knows nothing of it; its port and what it printed."""
    servers = []

    def start(app: Path, *flags: str) -> tuple[int, Path]:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        log = tmp_path / f"log-{port}"
        command = [sys.executable, "-m", "streamlit", "run", str(app), *flags]
        command += ["--server.headless", "true", "--server.port", str(port), "--server.fileWatcherType", "none"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("STREAMLIT_")}
        environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/none.db", "HOME": str(tmp_path)}
        with log.open("wb") as file:
            servers.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=file, stderr=file))
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert servers[-1].poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=5).close()
                return port, log
            except OSError:
                time.sleep(0.1)
        raise AssertionError(log.read_text())

    yield start
    for server in servers:
        server.terminate()
        server.wait(timeout=30)


def listening(port: int) -> set[str]:
    """The addresses at which anyone listens on a port, as the kernel writes them."""
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {fields[1].partition(":")[0] for fields in lines if fields[1].endswith(f":{port:04X}") and fields[3] == "0A"}


def looked_at(port: int) -> list[ForwardMsg]:
    """All that a page is sent when it is opened."""
    with connect(f"ws://localhost:{port}/_stcore/stream", max_size=None) as page:
        asked = BackMsg()
        asked.rerun_script.query_string = ""
        page.send(asked.SerializeToString())
        sent = []
        while not sent or sent[-1].WhichOneof("type") != "script_finished":
            sent.append(ForwardMsg.FromString(page.recv(timeout=START_S)))  # type: ignore[arg-type]
    return sent


LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="asks the kernel of Linux who listens")
def test_started_from_any_folder_it_listens_to_this_machine_alone(serve: Serve) -> None:
    """On the loopback address, without statistics of its use; and the table is there."""
    port, _ = serve(APP)
    assert listening(port) and listening(port) <= LOOPBACK
    sent = looked_at(port)
    (session,) = [message.new_session for message in sent if message.WhichOneof("type") == "new_session"]
    assert session.config.gather_usage_stats is False
    assert any("xattn_every_4th" in message.delta.new_element.html.body for message in sent)


def test_where_its_settings_are_not_read_it_shows_nothing_and_says_why(serve: Serve, tmp_path: Path) -> None:
    """Through a link streamlit looks for settings elsewhere: the app refuses, with the command to use."""
    link = tmp_path / "app.py"
    link.symlink_to(APP)
    port, log = serve(link, "--server.address", "localhost")  # a test opens nothing to the network
    sent = looked_at(port)
    assert not any(message.delta.new_element.html.body for message in sent)
    (alert,) = [message.delta.new_element.alert for message in sent if message.delta.new_element.alert.body]
    assert "runs without its settings (browser.gatherUsageStats)" in alert.body
    assert f"hint: stop it, and start it as: streamlit run {APP}" in log.read_text()
