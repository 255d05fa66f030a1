"""What is written to a run is what is stored of it."""

import json
import math
import os
import socket
import sqlite3
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.store import connection, lifecycle, names, reader, writer
from experiments.store.error import URI_VARIABLE, StoreError
from experiments.store.lifecycle import Git, git_state, resume_run, start_run
from experiments.store.writer import flatten
from tests.experiments.stored_runs import FakeSpec, a_tree


def client() -> Any:
    return connection.import_mlflow().MlflowClient(tracking_uri=os.environ[URI_VARIABLE])


def test_what_is_written_is_read_back(store_file: Path, tmp_path: Path) -> None:
    """Tags, params, metrics with their steps, and files come back as they went in."""
    tree = a_tree(components=["my.module"], train={"lr": 1e-4, "path": None, "freeze": True, "mixture": ["m3w", "vtp"]})
    spec = FakeSpec(name="xattn_every_4th", seed=3, hash="a" * 16, tree=tree, overrides=("eval.shots=0", "x=a b"))
    spec = replace(spec, config_dir="/home/me/conf")
    run = start_run(spec, git=Git("c" * 40, "true"))
    for step in range(5):
        run.buffer("loss/m3w", 1 / (step + 1), step)
    (tmp_path / "out" / "predictions").mkdir(parents=True)
    (tmp_path / "out" / "predictions" / "coco.parquet").write_bytes(b"bytes")
    run.log_artifacts(tmp_path / "out")
    run.log_metrics({"overall": 40.1})
    run.finish("FINISHED")

    stored = reader.find_finished("a" * 16, 3)
    assert stored is not None and stored.run_id == run.run_id
    assert set(names.TAGS) <= set(stored.tags)
    assert {name: stored.tags[name] for name in (*names.TAGS, names.COMPONENTS, names.CONFIG_DIR)} == {
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
        "host": socket.gethostname(),
        "components": "my.module",
        "config_dir": "/home/me/conf",
    }
    assert stored.params == flatten(tree)
    assert stored.params["train.lr"] == "0.0001" and stored.params["train.path"] == "null"
    assert stored.params["train.freeze"] == "true" and stored.params["train.mixture"] == '["m3w", "vtp"]'
    history = client().get_metric_history(run.run_id, "loss/m3w")
    assert [(one.step, one.value) for one in history] == [(step, 1 / (step + 1)) for step in range(5)]
    assert stored.metrics["overall"] == 40.1
    file = reader.artifact(stored, "predictions/coco.parquet")
    assert file is not None and file.read_bytes() == b"bytes"
    assert file.is_relative_to(store_file.parent / "artifacts")
    import yaml

    spec_file = reader.artifact(stored, names.SPEC_FILE)
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
    steps = 2 * writer.METRICS_A_BATCH + 7
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
    stored = reader.find_finished("b" * 16, 0)
    assert stored is not None
    file = reader.artifact(stored, names.SPEC_FILE)
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
    lifecycle.open_finished(run.run_id).log_metrics({"step_time_s": 1.0, "step_time_ratio": math.inf})
    after = client().get_run(run.run_id)
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.end_time)
    assert after.data.metrics == {"step_time_s": 1.0}
    assert after.data.tags["nonfinite"].split() == ["overall@0", "step_time_ratio@0"]
    client().delete_run(run.run_id)
    with pytest.raises(StoreError, match="not in the store"):
        lifecycle.open_finished(run.run_id)


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
