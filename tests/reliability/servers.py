"""Real servers on loopback: an MLflow server that can be killed and started again, and free ports."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

START_S = 120.0


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


class MlflowServer:
    """`mlflow server` with its own folder: started, killed and started again at one address."""

    def __init__(self, folder: Path, store: str | None = None):
        self._folder, self._port = folder, free_port()
        self._store = store or f"sqlite:///{folder}/server.db"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)),
                    *("--workers", "1", "--backend-store-uri", self._store),
                    *("--artifacts-destination", f"{self._folder}/kept"),
                ],
                cwd=self._folder,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # eight processes, unused
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_for_port(self._port, self._process, log)

    def kill(self) -> None:
        """SIGKILL to it and all of its own processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None
