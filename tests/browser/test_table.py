"""The Table view in a real headless Chromium, against a store made by real runs at the tiny scale."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from playwright.sync_api import expect, sync_playwright

from experiments.record import ROOT
from experiments.training import timing
from tests.experiments.commands import run_here

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def address(tmp_path_factory, empty_database):
    """Where the dashboard is served, over two rows and their baseline."""
    file = tmp_path_factory.mktemp("browser") / "mlflow.db"
    shutil.copy(empty_database, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
        patch.setattr(timing, "ROUNDS", 3)
        assert run_here("-m", "ablation=xattn_every_4th,resampler_mlp") == 0
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py"]
    command += ["--server.headless", "true", "--server.port", str(port)]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{file}"}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://localhost:{port}/_stcore/health")
                break
            except OSError:
                assert server.poll() is None, server.stderr.read().decode()
                time.sleep(0.5)
        yield f"http://localhost:{port}/"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def browser():
    """The system's Chromium, or playwright's own."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])


def test_the_table_answers_at_first_sight_and_its_rows_link(address, browser):
    """18 rows with published figures; ours where stored, a command where not; a click opens the row by its address."""
    page = browser.new_page(viewport={"width": 1500, "height": 900})
    page.goto(address)
    rows = page.locator("table.rows tbody tr[id]")
    expect(rows).to_have_count(18, timeout=60_000)
    stored = page.locator("tr#xattn_every_4th")
    expect(stored).to_contain_text("68.8")
    expect(stored).to_contain_text("paired")
    expect(page.locator("tr#xattn_vanilla")).to_contain_text("python -m experiments.run ablation=xattn_vanilla")
    expect(page.get_by_role("button", name="Table as CSV")).to_be_visible()
    stored.get_by_role("link", name="Every 4th").click()
    expect(page.get_by_role("heading", name="xattn_every_4th")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("model.xattn.placement")).to_be_visible()
    assert page.url.endswith("?row=xattn_every_4th")


def test_a_narrow_screen_scrolls_the_table_and_nothing_else(address, browser):
    """The page is as wide as the screen."""
    page = browser.new_page(viewport={"width": 420, "height": 900})
    page.goto(address)
    expect(page.locator("table.rows")).to_be_visible(timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
