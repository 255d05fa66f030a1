"""What is written is what is stored, whoever else writes; a store that cannot be used is one error with a hint."""

import json
import math
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments import record, store, tracking
from experiments.analysis import results
from experiments.tracking import Git, StoreError, flatten, git_state, resume_run, start_run
from tests.experiments.stored_runs import FakeSpec, a_tree

URI = "MLFLOW_TRACKING_URI"


def client() -> Any:
    return store.import_mlflow().MlflowClient(tracking_uri=os.environ[URI])


def python(code: str, *, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if name != URI}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(store.ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_is_written_is_read_back(store_file: Path, tmp_path: Path) -> None:
    """Tags, params, metrics with their steps, and files come back as they went in."""
    tree = a_tree(components=["my.module"], train={"lr": 1e-4, "path": None, "freeze": True, "mixture": ["m3w", "vtp"]})
    spec = FakeSpec(name="xattn_every_4th", seed=3, hash="a" * 16, tree=tree, overrides=("eval.shots=0", "x=a b"))
    run = start_run(spec, git=Git("c" * 40, "true"))
    for step in range(5):
        run.buffer("loss/m3w", 1 / (step + 1), step)
    (tmp_path / "out" / "predictions").mkdir(parents=True)
    (tmp_path / "out" / "predictions" / "coco.parquet").write_bytes(b"bytes")
    run.log_artifacts(tmp_path / "out")
    run.log_metrics({"overall": 40.1})
    run.finish("FINISHED")

    stored = results.find_finished("a" * 16, 3)
    assert stored is not None and stored.run_id == run.run_id
    assert set(record.TAGS) <= set(stored.tags)
    assert {name: stored.tags[name] for name in (*record.TAGS, "components")} == {
        "ablation": "xattn_every_4th",
        "group": "v",
        "scale": "tiny",
        "seed": "3",
        "overrides": "eval.shots=0 'x=a b'",
        "spec_hash": "a" * 16,
        "train_hash": "t" * 16,
        "baseline_hash": "b" * 16,
        "git_commit": "c" * 40,
        "dirty": "true",
        "components": "my.module",
    }
    assert stored.params == flatten(tree)
    assert stored.params["train.lr"] == "0.0001" and stored.params["train.path"] == "null"
    assert stored.params["train.freeze"] == "true" and stored.params["train.mixture"] == '["m3w", "vtp"]'
    history = client().get_metric_history(run.run_id, "loss/m3w")
    assert [(one.step, one.value) for one in history] == [(step, 1 / (step + 1)) for step in range(5)]
    assert stored.metrics["overall"] == 40.1
    file = results.artifact(stored, "predictions/coco.parquet")
    assert file is not None and file.read_bytes() == b"bytes"
    assert file.is_relative_to(store_file.parent / "artifacts")
    import yaml

    spec_file = results.artifact(stored, record.SPEC_FILE)
    assert spec_file is not None and yaml.safe_load(spec_file.read_text()) == json.loads(json.dumps(tree))


def test_numbers_that_are_not_finite_are_a_tag_and_no_number(store_file: Path) -> None:
    """NaN and infinity never reach the store as numbers; the tag says which metric at which step."""
    run = start_run(FakeSpec())
    run.buffer("loss/m3w", 2.0, 1)
    run.buffer("loss/m3w", math.nan, 2)
    run.log_metrics({"overall": math.inf, "coco_cider": -math.inf, "vqav2_top1": 1.0})
    run.finish("FAILED")
    stored = client().get_run(run.run_id)
    assert stored.data.metrics == {"loss/m3w": 2.0, "vqav2_top1": 1.0}
    assert stored.data.tags["nonfinite"].split() == ["loss/m3w@2", "overall@0", "coco_cider@0"]
    with sqlite3.connect(store_file) as database:
        assert database.execute("SELECT count(*) FROM metrics WHERE is_nan OR abs(value) > 1e300").fetchone() == (0,)


def test_many_numbers_that_are_not_finite_fit_the_tag(store_file: Path) -> None:
    """A run that diverged for thousands of steps says how many more there are; nothing is cut inside a name."""
    run = start_run(FakeSpec())
    for step in range(2000):
        run.buffer("loss/m3w", math.nan, step)
    run.flush()
    *listed, last = client().get_run(run.run_id).data.tags["nonfinite"].split()
    assert listed == [f"loss/m3w@{step}" for step in range(len(listed))]
    assert last == f"and_{2000 - len(listed)}_more"


def test_metrics_wait_for_the_flush_and_are_stored_once(store_file: Path) -> None:
    """Buffering sends nothing; a flush sends everything, more than one request holds too, each step once."""
    run = start_run(FakeSpec())
    steps = 2 * tracking.METRICS_A_BATCH + 7
    for step in range(steps):
        run.buffer("loss/ltip", step / 2, step)
    assert client().get_run(run.run_id).data.metrics == {}
    run.flush()
    run.flush()
    run.finish("FINISHED")
    with sqlite3.connect(store_file) as database:
        stored = database.execute("SELECT step, value FROM metrics ORDER BY step").fetchall()
    assert stored == [(step, step / 2) for step in range(steps)]


def test_params_are_stored_whole_or_as_their_hash(store_file: Path) -> None:
    """More params than one request takes are all there; a value that MLflow would cut says so, and the file has it."""
    tree = {"few": {f"key_{number}": number for number in range(350)}, "long": "x" * 6001, "longest": "y" * 6000}
    run = start_run(FakeSpec(tree=tree))
    params = client().get_run(run.run_id).data.params
    assert len(params) == 352 and params["few.key_349"] == "349" and params["longest"] == "y" * 6000
    assert params["long"].startswith("sha256:") and "6001 characters" in params["long"]
    run.finish("FINISHED")
    stored = results.find_finished("b" * 16, 0)
    assert stored is not None
    file = results.artifact(stored, record.SPEC_FILE)
    assert file is not None and "x" * 6001 in file.read_text()


def test_a_resumed_run_is_the_same_run(store_file: Path) -> None:
    """Resuming reopens the run and notes the step; a run that was deleted, or never was, cannot be resumed."""
    run = start_run(FakeSpec())
    run.buffer("loss/m3w", math.nan, 1)
    run.finish("KILLED")
    again = resume_run(run.run_id, step=7)
    assert again is not None and again.run_id == run.run_id
    assert client().get_run(run.run_id).info.status == "RUNNING"
    again.buffer("loss/m3w", math.nan, 8)
    again.finish("FINISHED")
    stored = client().get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.tags["resumed_at_step"] == "7"
    assert stored.data.tags["nonfinite"] == "loss/m3w@1 loss/m3w@8"
    client().delete_run(run.run_id)
    assert resume_run(run.run_id) is None
    assert resume_run("f" * 32) is None


def test_metrics_may_be_added_to_a_run_that_ended(store_file: Path) -> None:
    """A timing pass comes after the end: the run stays finished, at the time it ended; the newest value counts."""
    run = start_run(FakeSpec())
    run.log_metrics({"step_time_s": 2.0, "overall": math.nan})
    run.finish("FINISHED")
    before = client().get_run(run.run_id).info
    tracking.open_finished(run.run_id).log_metrics({"step_time_s": 1.0, "step_time_ratio": math.inf})
    after = client().get_run(run.run_id)
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.end_time)
    assert after.data.metrics == {"step_time_s": 1.0}
    assert after.data.tags["nonfinite"].split() == ["overall@0", "step_time_ratio@0"]
    client().delete_run(run.run_id)
    with pytest.raises(StoreError, match="not in the store"):
        tracking.open_finished(run.run_id)


def test_processes_that_make_the_store_at_once_all_succeed(tmp_path: Path) -> None:
    """First contact with a store that does not exist, by several processes: one store, one experiment, every run."""
    file = tmp_path / "new" / "mlflow.db"
    code = (
        "from experiments import store, tracking\n"
        "from tests.experiments.stored_runs import FakeSpec\n"
        "import sys; print('ready', flush=True); sys.stdin.readline()\n"
        "tracking.start_run(FakeSpec()).finish('FINISHED')\n"
    )
    uri = f"sqlite:///{file}"
    several = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(store.ROOT), URI: uri},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in several:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    ends = [process.communicate("go\n", timeout=120) for process in several]
    assert [process.returncode for process in several] == [0, 0, 0], ends
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone() == (3,)
        experiments = database.execute(
            "SELECT artifact_location FROM experiments WHERE name = ?", (record.EXPERIMENT,)
        ).fetchall()
    assert experiments == [((file.parent / "artifacts").as_uri(),)]
    assert sorted(entry.name for entry in file.parent.iterdir()) == ["artifacts", "mlflow.db", "mlflow.db.lock"]


def test_the_store_does_not_depend_on_the_working_directory(tmp_path: Path) -> None:
    """Anywhere, in a new process, `use_store` names the repository's store, tells MLflow so, and creates nothing."""
    existed = store.DEFAULT_FILE.exists()
    code = (
        "from experiments.tracking import use_store, work_folder; uri = use_store()\n"
        "import os, mlflow; assert mlflow.get_tracking_uri() == uri == os.environ['MLFLOW_TRACKING_URI']\n"
        "assert os.environ['MLFLOW_DISABLE_TELEMETRY'] == 'true'; print(uri); print(work_folder('abc', 2))"
    )
    process = python(code, cwd=tmp_path)
    out, err = process.communicate(timeout=120)
    assert out.splitlines() == [
        f"sqlite:///{store.ROOT}/mlruns/mlflow.db",
        f"{store.ROOT}/mlruns/work/abc-2",
    ], err
    assert list(tmp_path.iterdir()) == []
    assert store.DEFAULT_FILE.exists() == existed


def test_the_work_folder_is_beside_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints lie beside the sqlite file, and under `.cache` for a server; asking makes no folder."""
    monkeypatch.setenv(URI, "sqlite:////nowhere/at all/mlflow.db")
    assert tracking.work_folder("abc", 1) == Path("/nowhere/at all/work/abc-1")
    monkeypatch.setenv(URI, "https://team.example:5000/")
    assert tracking.work_folder("abc", 1) == store.ROOT / ".cache" / "work" / "abc-1"
    assert store.locate().uri == "https://team.example:5000"


def test_a_folder_may_be_called_anything(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces, signs and accents in the store's folder change nothing."""
    file = tmp_path / "a b#c+d é" / "mlflow.db"
    file.parent.mkdir()
    file.write_bytes(empty_database.read_bytes())
    monkeypatch.setenv(URI, f"sqlite:///{file}")
    run = start_run(FakeSpec())
    run.finish("FINISHED")
    stored = results.find_finished("b" * 16, 0)
    assert stored is not None
    path = results.artifact(stored, record.SPEC_FILE)
    assert path is not None and path.is_relative_to(file.parent)


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("sqlite:///mlruns/mlflow.db", "did you mean sqlite:////"),
        ("sqlite://", "did you mean sqlite:////"),
        ("sqlite:///:memory:", "did you mean sqlite:////"),
        ("sqlite:////tmp/my%20store/mlflow.db", "as it is"),
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
    for call in (tracking.use_store, results.runs, lambda: start_run(FakeSpec())):
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


def test_a_folder_that_cannot_be_written_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file can be made below /proc, by any user."""
    monkeypatch.setenv(URI, "sqlite:////proc/flamingo/mlflow.db")
    with pytest.raises(StoreError, match="/proc/flamingo"):
        start_run(FakeSpec())
    assert results.runs() == []


def test_a_server_that_does_not_answer_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noticed in seconds, not after MLflow's minutes of trying again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv(URI, f"http://me:secret@127.0.0.1:{port}")
    start = time.monotonic()
    for call in (results.runs, lambda: start_run(FakeSpec())):
        with pytest.raises(StoreError) as caught:
            call()
        assert "start the server" in caught.value.hint
        assert "secret" not in caught.value.message
    assert time.monotonic() - start < 10


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
    monkeypatch.setattr(store, "LOCK_WAIT_S", 0.3)
    with pytest.raises(StoreError, match="locked"):
        start_run(FakeSpec())
    with pytest.raises(StoreError, match="locked"):
        results.runs()


def test_a_locked_store_is_waited_for(locked: sqlite3.Connection) -> None:
    """What is written while another program holds the lock is there once it lets go."""
    threading.Timer(1.0, locked.rollback).start()
    run = start_run(FakeSpec())
    run.finish("FINISHED")
    assert results.find_finished("b" * 16, 0) is not None


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
    experiment = client().get_experiment_by_name(record.EXPERIMENT)
    client().delete_experiment(experiment.experiment_id)
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
    assert len(results.runs()) == 1
    assert not list(tmp_path.glob(".mlflow.db.new*"))


def test_git_state_says_commit_and_changes(tmp_path: Path) -> None:
    """Clean, changed, without git, and inside a repository that this code is no part of."""
    root = tmp_path / "checkout"
    (root / "inner").mkdir(parents=True)
    assert git_state(root) == Git("unknown", "unknown")

    def git(*words: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", "-C", str(root), *identity, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    (root / "file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "first")
    assert git_state(root) == Git(git("rev-parse", "HEAD"), "false")
    (root / "file").write_text("2")
    assert git_state(root) == Git(git("rev-parse", "HEAD"), "true")
    assert git_state(root / "inner") == Git("unknown", "unknown")


@pytest.mark.slow
def test_a_server_holds_runs_as_a_file_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP: everything written is read back, artifacts too, which the server keeps where it likes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    places = ["--backend-store-uri", f"sqlite:///{tmp_path}/s.db", "--artifacts-destination", f"{tmp_path}/kept"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([*command, *places], cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    try:
        monkeypatch.setenv(URI, f"http://127.0.0.1:{port}")
        monkeypatch.setattr(results, "SERVER_FOLDER", tmp_path / "cache")
        deadline = time.monotonic() + 120
        while True:
            try:
                assert results.runs() == []
                break
            except StoreError:
                assert server.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.5)
        run = start_run(FakeSpec(seed=5, tree={"few": {f"key_{number}": number for number in range(250)}}))
        for step in range(1500):
            run.buffer("loss/m3w", float(step), step)
        run.finish("FINISHED")
        stored = results.find_finished("b" * 16, 5)
        assert stored is not None and stored.metrics == {"loss/m3w": 1499.0} and len(stored.params) == 250
        file = results.artifact(stored, record.SPEC_FILE)
        assert file is not None and file.is_relative_to(tmp_path / "cache") and "key_249: 249" in file.read_text()
        assert results.artifact(stored, "predictions/coco.parquet") is None
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=60)
