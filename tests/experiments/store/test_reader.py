"""Which stored runs count, and where their files are; reading writes nothing and needs no torch."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.analysis.table.select import Selection, select
from experiments.common.checkout import ROOT
from experiments.store import locate, reader
from experiments.store.names import PREDICTION_COLUMNS
from tests.experiments.stored_runs import BASELINE_HASH, answers

StoreRun = Callable[..., str]


def test_the_newest_finished_run_of_a_job_counts_once(store_run: StoreRun) -> None:
    """A repeated run replaces the one before; runs that failed, were killed or still run never count."""
    store_run(metrics={"overall": 1.0})
    time.sleep(0.01)
    newest = store_run(metrics={"overall": 2.0})
    time.sleep(0.01)
    for status in ("FAILED", "KILLED", None):
        store_run(status=status, metrics={"overall": 3.0})
    found = reader.find_finished(BASELINE_HASH, 0)
    assert found is not None and found.run_id == newest and found.metrics["overall"] == 2.0
    assert reader.find_finished(BASELINE_HASH, 1) is None
    assert reader.find_finished("0" * 16, 0) is None
    assert [run.run_id for run in select("tiny").runs] == [newest]
    assert len(reader.runs()) == 2 and len(reader.runs(status=None)) == 5


def test_a_run_that_ended_last_is_the_newest_whichever_began_first(store_run: StoreRun) -> None:
    """A stopped run that was resumed after a second one finished is newer than that."""
    from experiments.store.lifecycle import resume_run

    resumed = store_run(status="KILLED")
    store_run()
    time.sleep(0.01)
    again = resume_run(resumed)
    assert again is not None
    again.finish("FINISHED")
    found = reader.find_finished(BASELINE_HASH, 0)
    assert found is not None and found.run_id == resumed


def test_a_table_takes_comparable_runs_and_counts_the_others(store_run: StoreRun) -> None:
    """No overrides, the newest finished baseline's hash, this scale; every other finished job is counted."""
    store_run(hash="old", baseline_hash="old")
    store_run("xattn_every_4th", hash="old-row", baseline_hash="old")
    time.sleep(0.01)
    taken = {store_run(seed=seed) for seed in (0, 1)}
    taken.add(store_run("xattn_every_4th"))
    store_run("xattn_every_2nd", overrides=("eval.shots=0",))
    time.sleep(0.01)
    store_run(hash="with", baseline_hash="with", overrides=("eval.shots=0",))
    store_run("xattn_vanilla", status="FAILED")
    store_run("xattn_vanilla", scale="desk")
    selection = select("tiny")
    assert selection.baseline_hash == BASELINE_HASH
    assert {run.run_id for run in selection.runs} == taken
    assert selection.left_out == 4
    assert select("desk") == Selection("desk", None, (), 1)


def test_all_pages_are_read(store_run: StoreRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few runs a page of a server holds, all come, each once."""
    written = {store_run(seed=seed) for seed in range(7)}
    monkeypatch.setattr(reader, "PAGE", 3)
    monkeypatch.setattr(reader, "_from_tables", lambda *_: None)
    assert sorted(run.run_id for run in reader.runs()) == sorted(written)


def test_a_tag_with_a_quote_finds_nothing(store_run: StoreRun) -> None:
    """A name from outside is a value to look for, never a part of the query."""
    store_run()
    for read in (reader.runs, lambda **tags: reader._from_mlflow(locate.locate(), None, tags)):
        assert read(scale="tiny' or tags.scale != '") == []


def test_reading_a_store_that_does_not_exist_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, no folder, and an empty file stays empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/mlflow.db")
    assert reader.runs() == [] and select("tiny").runs == ()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mlflow.db").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert reader.runs() == []
    assert [(entry.name, entry.stat().st_size) for entry in tmp_path.iterdir()] == [("mlflow.db", 0)]


def test_reading_changes_no_byte_of_the_store(store_run: StoreRun, store_file: Path) -> None:
    """The file is the same before and after."""
    store_run(predictions={"coco": answers([1.0], benchmark="coco")})
    before = store_file.read_bytes()
    run = reader.runs()[0]
    reader.load_predictions(run, "coco")
    select("tiny")
    assert store_file.read_bytes() == before


def test_predictions_come_back_as_they_were_stored(store_run: StoreRun) -> None:
    """Every column; None where nothing is stored; a file that lacks columns is refused by their names."""
    frame = answers([0.0, 100.0, 30.0])
    store_run(predictions={"vqav2": frame, "okvqa": frame.drop(columns=["medium", "score"]).assign(score=1.0)})
    run = reader.runs()[0]
    loaded = reader.load_predictions(run, "vqav2")
    assert loaded is not None and tuple(loaded.columns) == PREDICTION_COLUMNS
    assert loaded["score"].tolist() == [0.0, 100.0, 30.0]
    assert [list(some) for some in loaded["references"]] == [["blue", "blue", "navy"]] * 3
    assert reader.load_predictions(run, "coco") is None
    assert reader.certificate(run) is None
    with pytest.raises(ValueError, match=f"{run.run_id} on okvqa lack medium"):
        reader.load_predictions(run, "okvqa")


def test_files_are_found_after_the_store_was_moved(
    store_run: StoreRun, store_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's folder may be renamed: MLflow keeps absolute paths, the files are still beside the database."""
    store_run(predictions={"coco": answers([1.0], benchmark="coco")}, certificate={"seed": 0})
    store_file.parent.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere/mlflow.db")
    run = reader.runs()[0]
    assert reader.load_predictions(run, "coco") is not None
    assert reader.certificate(run) == {"seed": 0}


def test_ceilings_are_those_of_the_run(store_run: StoreRun) -> None:
    """Read from the stored params, by metric."""
    store_run()
    assert reader.ceilings(reader.runs()[0])["okvqa_top1"] == 80.0


def test_reading_and_printing_start_without_torch() -> None:
    """A new process that imports everything that reads and prints has not imported torch, nor MLflow or pandas."""
    code = (
        "import sys\n"
        "from experiments.store import lifecycle, reader\n"
        "from experiments.analysis.formats import terminal, terminal_examples\n"
        "from experiments.analysis.model import bootstrap\n"
        "from experiments.analysis.table import build, pairing\n"
        "print([name for name in ('torch', 'transformers', 'mlflow', 'pandas') if name in sys.modules])\n"
        "reader.runs()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "MLFLOW_TRACKING_URI": "sqlite:////nowhere/mlflow.db"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == ["[]", "False"], done.stderr
