"""A real headless Chromium before a real server, over a store that real runs at the tiny scale have written."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from experiments.common.checkout import ROOT
from tests.experiments.commands import run_here

SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
START_S = 60


@pytest.fixture(scope="session")
def store_of_runs(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """The sqlite file of a row and its baseline, without overrides: a table takes them."""
    file = tmp_path_factory.mktemp("browser") / "mlflow.db"
    shutil.copy(empty_database, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
        assert run_here("scale=tiny", "ablation=xattn_every_4th") == 0
    return file


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], str]]:
    """Serve the dashboard over a store; returns its address once it is healthy."""
    servers: list[subprocess.Popen[bytes]] = []

    def start(store: Path) -> str:
        log = tmp_path_factory.mktemp("server") / "log"
        with socket.socket() as free:
            free.bind(("localhost", 0))
            address = f"http://localhost:{free.getsockname()[1]}"
        command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py"]
        command += ["--server.headless", "true", "--server.port", address.rpartition(":")[2]]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store}"}
        with log.open("wb") as file:
            server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
        servers.append(server)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert server.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()
                return address
            except OSError:
                time.sleep(0.2)
        raise AssertionError(f"no answer within {START_S} s: {log.read_text()}")

    yield start
    for server in servers:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="session")
def address(serve: Callable[[Path], str], store_of_runs: Path) -> str:
    """Where the dashboard over the real runs is."""
    return serve(store_of_runs)


# Of one module, not of the session: playwright leaves an event loop running, in which other tests could start none.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, else playwright's own; without either the test is skipped."""
    found = next(filter(None, map(shutil.which, SYSTEM_BROWSERS)), None)
    with sync_playwright() as playwright:
        if found is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip(
                f"no browser: none of {', '.join(SYSTEM_BROWSERS)}, nor playwright's; `make browser` installs one"
            )
        try:
            opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except Error as error:
            raise AssertionError(f"{found or 'playwright'} does not start") from error
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a laptop's size, on which no script fails."""
    failures: list[str] = []
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    opened.set_default_timeout(START_S * 1000)
    opened.on("pageerror", lambda error: failures.append(str(error)))
    yield opened
    opened.close()
    assert not failures
