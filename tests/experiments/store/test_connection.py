"""The store, whoever else writes to it: one place, and one error with a hint where it cannot be used."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.common.checkout import ROOT
from experiments.jobs.site import THIS_MACHINE
from experiments.store import connection, locate, names, patience, reader
from experiments.store.error import CACHE_VARIABLE, URI_VARIABLE, StoreError
from experiments.store.lifecycle import start_run
from tests.experiments.stored_runs import FakeSpec
from tests.reliability.servers import MlflowServer

URI = URI_VARIABLE


def python(code: str, *, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if name != URI}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_store_does_not_depend_on_the_working_directory(tmp_path: Path) -> None:
    """Anywhere, in a new process, `use_store` names the repository's store, tells MLflow so, and creates nothing."""
    existed = locate.DEFAULT_FILE.exists()
    code = (
        "from experiments.store import use_store; from experiments.jobs.site import THIS_MACHINE; uri = use_store()\n"
        "work = THIS_MACHINE.work_folder(('abc', 2))\n"
        "import os, mlflow; assert mlflow.get_tracking_uri() == uri == os.environ['MLFLOW_TRACKING_URI']\n"
        "assert os.environ['MLFLOW_DISABLE_TELEMETRY'] == 'true'; print(uri); print(work)"
    )
    process = python(code, cwd=tmp_path)
    out, err = process.communicate(timeout=120)
    assert out.splitlines() == [
        f"sqlite:///{ROOT}/mlruns/mlflow.db",
        f"{ROOT}/mlruns/work/abc-2",
    ], err
    assert list(tmp_path.iterdir()) == []
    assert locate.DEFAULT_FILE.exists() == existed


def test_the_work_folder_is_beside_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints lie beside the sqlite file, and under `.cache` for a server; asking makes no folder."""
    monkeypatch.setenv(URI, "sqlite:////nowhere/at all/mlflow.db")
    assert THIS_MACHINE.work_folder(("abc", 1)) == Path("/nowhere/at all/work/abc-1")
    monkeypatch.setenv(URI, "https://team.example:5000/")
    assert THIS_MACHINE.work_folder(("abc", 1)) == ROOT / ".cache" / "work" / "abc-1"
    assert locate.locate().uri == "https://team.example:5000"


def test_a_folder_may_be_called_anything(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces, signs and accents in the store's folder change nothing."""
    file = tmp_path / "a b#c+d é" / "mlflow.db"
    file.parent.mkdir()
    file.write_bytes(empty_database.read_bytes())
    monkeypatch.setenv(URI, f"sqlite:///{file}")
    run = start_run(FakeSpec())
    run.finish("FINISHED")
    stored = reader.find_finished("b" * 16, 0)
    assert stored is not None
    path = reader.artifact(stored, names.SPEC_FILE)
    assert path is not None and path.is_relative_to(file.parent)


def test_mlflow_is_imported_for_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither HOME nor an entry of the system's, as in many containers: MLflow's own import would end in an error."""
    import pwd

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setenv("HOME", "")  # so that it is put back
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    connection.import_mlflow()
    assert Path.home() == Path("/")


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("sqlite:///mlruns/mlflow.db", "did you mean sqlite:////"),
        ("sqlite://", "did you mean sqlite:////"),
        ("sqlite:///:memory:", "did you mean sqlite:////"),
        ("sqlite:////tmp/my%20store/mlflow.db", "as it is"),
        ("sqlite:////tmp/really?/mlflow.db", "cannot have `?`"),
        ("sqlite:////tmp/mlflow.db?timeout=5", "cannot have `?`"),
        ("sqlite:////tmp/mlflow.db ", "did you mean sqlite:////tmp/mlflow.db"),
        ("sqlite:////tmp/\udcff/mlflow.db", "not UTF-8"),
        ("mlruns", "did you mean sqlite:////"),
        ("/srv/mlruns", "did you mean sqlite:////srv/mlruns/mlflow.db"),
        ("file:///tmp/mlruns", "did you mean sqlite:////tmp/mlruns/mlflow.db"),
        ("http://", "mlflow server"),
        ("http://host:notaport", "mlflow server"),
        ("postgresql://user@host/db", "mlflow server"),
        ("databricks", "did you mean"),
    ],
)
def test_a_malformed_uri_is_refused(uri: str, hint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message names the variable, its value and what is allowed; nothing is written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(URI, uri)
    for call in (connection.use_store, reader.runs, lambda: start_run(FakeSpec())):
        with pytest.raises(StoreError) as caught:
            call()
        assert URI in caught.value.message and f"`{uri}`" in caught.value.message
        assert "allowed:" in caught.value.message and hint in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def not_a_database(folder: Path) -> Path:
    (folder / "notes.txt").write_text("dear diary, " * 200)
    return folder / "notes.txt"


def someone_elses_database(folder: Path) -> Path:
    with sqlite3.connect(folder / "photos.db") as database:
        database.execute("CREATE TABLE photos (name TEXT)")
    return folder / "photos.db"


def below_a_file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "mlflow.db"


def a_folder(folder: Path) -> Path:
    (folder / "mlflow.db").mkdir()
    return folder / "mlflow.db"


@pytest.mark.parametrize("make", [not_a_database, someone_elses_database, below_a_file, a_folder])
def test_a_store_that_cannot_be_used_is_one_error(
    make: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the store and has a hint; what was there is as it was."""
    file = make(tmp_path)
    before = file.read_bytes() if file.is_file() else None
    monkeypatch.setenv(URI, f"sqlite:///{file}")
    with pytest.raises(StoreError) as caught:
        start_run(FakeSpec())
    assert str(file) in caught.value.message and caught.value.hint
    assert (file.read_bytes() if file.is_file() else None) == before


def test_words_in_a_path_are_not_taken_for_what_went_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes say what it was, the path says nothing: no hint of another fault, and nothing is waited for."""
    folder = tmp_path / "locked, readonly, full, No space left, not a database, database schema"
    folder.mkdir()
    monkeypatch.setenv(URI, f"sqlite:///{a_folder(folder)}")
    monkeypatch.setattr(time, "sleep", None)
    for call in (reader.runs, lambda: patience.patiently(locate.locate(), lambda: connection.exists(locate.locate()))):
        with pytest.raises(StoreError) as caught:
            call()
        assert caught.value.hint.startswith(f"set {URI}=") and not caught.value.busy
    monkeypatch.setenv(URI, f"sqlite:///{not_a_database(folder)}")
    with pytest.raises(StoreError) as caught:
        reader.runs()
    assert "is this the right file?" in caught.value.hint


def test_a_folder_that_cannot_be_written_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file can be made below /proc, by any user."""
    monkeypatch.setenv(URI, "sqlite:////proc/flamingo/mlflow.db")
    with pytest.raises(StoreError, match="/proc/flamingo"):
        start_run(FakeSpec())
    assert reader.runs() == []


def test_a_server_that_does_not_answer_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noticed in seconds, not after MLflow's minutes of trying again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv(URI, f"http://me:secret@127.0.0.1:{port}")
    start = time.monotonic()
    for call in (reader.runs, lambda: start_run(FakeSpec())):
        with pytest.raises(StoreError) as caught:
            call()
        assert "start the server" in caught.value.hint
        assert "secret" not in caught.value.message
    assert time.monotonic() - start < 10


def test_a_server_that_breaks_off_is_asked_again_for_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers the knock and dies within every request: what all waits between them add up to is no minute."""
    waits: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time", SimpleNamespace(sleep=waits.append, time=time.time))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def break_off() -> None:
            with contextlib.suppress(OSError):  # the end of the test
                while True:
                    server.accept()[0].close()

        threading.Thread(target=break_off, daemon=True).start()
        monkeypatch.setenv(URI, f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(StoreError, match="cannot be used"):
            start_run(FakeSpec())
        server.shutdown(socket.SHUT_RDWR)
    assert 10 < sum(waits) < patience.LOCK_WAIT_S


@pytest.fixture
def locked(store_file: Path) -> Iterator[sqlite3.Connection]:
    """Another program in the middle of writing to the store."""
    other = sqlite3.connect(store_file, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    yield other
    other.rollback()
    other.close()


def test_a_locked_store_is_one_error(locked: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """After waiting as long as is allowed."""
    monkeypatch.setattr(patience, "LOCK_WAIT_S", 0.3)
    with pytest.raises(StoreError, match="locked"):
        start_run(FakeSpec())
    with pytest.raises(StoreError, match="locked"):
        reader.runs()


def test_a_locked_store_is_waited_for(locked: sqlite3.Connection) -> None:
    """What is written while another program holds the lock is there once it lets go."""
    threading.Timer(1.0, locked.rollback).start()
    run = start_run(FakeSpec())
    run.finish("FINISHED")
    assert reader.find_finished("b" * 16, 0) is not None


@pytest.mark.parametrize("successor", ["nothing", "another store"])
def test_a_store_deleted_while_a_run_writes_is_noticed(successor: str, store_file: Path, empty_database: Path) -> None:
    """What was buffered is not lost without a word, in a file that no one will read."""
    run = start_run(FakeSpec())
    store_file.unlink()
    if successor == "another store":
        store_file.write_bytes(empty_database.read_bytes())
    run.buffer("loss/m3w", 1.0)
    with pytest.raises(StoreError, match=r"mlflow\.db"):
        run.flush()
    assert store_file.exists() == (successor == "another store")


def test_a_deleted_experiment_is_refused_with_the_way_back(store_file: Path) -> None:
    """Nothing could be written to it, and a second one cannot have its name."""
    start_run(FakeSpec()).finish("FINISHED")
    client = connection.import_mlflow().MlflowClient(tracking_uri=os.environ[URI])
    client.delete_experiment(client.get_experiment_by_name(names.EXPERIMENT).experiment_id)
    with pytest.raises(StoreError) as caught:
        start_run(FakeSpec())
    assert "mlflow experiments restore" in caught.value.hint


def test_a_draft_of_a_killed_process_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed while it made the store left half of one beside it; the next one starts anew."""
    file = tmp_path / "mlflow.db"
    (tmp_path / ".mlflow.db.new").write_bytes(b"half")
    (tmp_path / ".mlflow.db.new-journal").write_bytes(b"half")
    file.touch()
    monkeypatch.setenv(URI, f"sqlite:///{file}")
    start_run(FakeSpec()).finish("FINISHED")
    assert len(reader.runs()) == 1
    assert not list(tmp_path.glob(".mlflow.db.new*"))


@pytest.mark.slow
def test_a_server_holds_runs_as_a_file_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP: everything written is read back, artifacts too, which the server keeps where it likes."""
    server = MlflowServer(tmp_path)
    monkeypatch.setenv(URI, server.uri)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    server.start()
    try:
        assert reader.runs() == []
        run = start_run(FakeSpec(seed=5, tree={"few": {f"key_{number}": number for number in range(250)}}))
        for step in range(1500):
            run.buffer("loss/m3w", float(step), step)
        run.finish("FINISHED")
        stored = reader.find_finished("b" * 16, 5)
        assert stored is not None and stored.metrics == {"loss/m3w": 1499.0} and len(stored.params) == 250
        file = reader.artifact(stored, names.SPEC_FILE)
        assert file is not None and file.is_relative_to(tmp_path / "cache") and "key_249: 249" in file.read_text()
        assert reader.artifact(stored, "predictions/coco.parquet") is None
        monkeypatch.setenv(CACHE_VARIABLE, "/proc/nothing/can/be/made/here")
        again = reader.artifact(stored, names.SPEC_FILE)
        assert again is not None and again.read_text() == file.read_text()
    finally:
        server.kill()
