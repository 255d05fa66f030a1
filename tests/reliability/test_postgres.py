"""An MLflow server on PostgreSQL, as a team has one: a run and the README's query work against it."""

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.common.checkout import ROOT
from experiments.store import reader
from experiments.store.error import CACHE_VARIABLE, URI_VARIABLE
from experiments.store.names import WEIGHTS_FILE
from tests.experiments.commands import QUICK, left_in_work, run_here
from tests.reliability.servers import MlflowServer, free_port, wait_for_port

README = (ROOT / "README.md").read_text(encoding="utf-8")


def program(name: str) -> Path | None:
    """A PostgreSQL program: on the path, else where Debian puts it; the newest of several versions."""
    found = shutil.which(name)
    if found:
        return Path(found)
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return places[-1] if places else None


def unprivileged_user() -> str | None:
    """Who the database runs as: it refuses root. None for whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A PostgreSQL of its own on loopback, in a folder that goes with it; its URI."""
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed: make setup")
    initdb, postgres = program("initdb"), program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("there is no PostgreSQL here: apt-get install postgresql")
    user, port, password = unprivileged_user(), free_port(), secrets.token_hex(16)
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # pytest's own folders are closed to other users
    try:
        (folder / "password").write_text(password)
        if user is not None:
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        data, log = folder / "data", folder / "log"
        options = ["--username=flamingo", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
        subprocess.run(
            [initdb, "--pgdata", data, "--encoding=UTF8", "--locale=C", *options],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        with log.open("wb") as output:
            server = subprocess.Popen(
                [postgres, "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"],
                stdout=output,
                stderr=output,
                user=user,
                cwd=folder,
            )
        try:
            wait_for_port(port, server, log)
            yield f"postgresql+psycopg2://flamingo:{password}@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # its fast shutdown
            server.wait(60)
    finally:
        shutil.rmtree(folder)


@pytest.mark.slow
def test_a_run_and_the_readmes_query_work_against_postgresql(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is stored and read back through the server; an identical command finds it; the snippet prints it."""
    server = MlflowServer(tmp_path, database)
    monkeypatch.setenv(URI_VARIABLE, server.uri)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    try:
        server.start()
        for said in ("step 2/2", "is stored, nothing is run"):
            assert run_here("ablation=xattn_every_4th", "compare=false", *QUICK) == 0
            assert said in capsys.readouterr().err
        (run,) = reader.runs()
        losses = reader.losses(run)
        assert len(losses) == 4 and {len(values) for values in losses.values()} == {2}
        assert reader.load_predictions(run, "coco") is not None
        assert reader.artifact(run, WEIGHTS_FILE) is not None
        (snippet,) = (
            block for block in re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S) if "use_store" in block
        )
        done = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, cwd=ROOT, timeout=240)
        assert done.returncode == 0, done.stderr
        assert re.search(r"xattn_every_4th +\d\.\d+ +\d+", done.stdout), done.stdout
        assert left_in_work(tmp_path / "cache" / "any") == []
    finally:
        server.kill()
