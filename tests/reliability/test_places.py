"""All places follow the store in use and one variable: copied, moved, with the original gone, by another name."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.common.checkout import ROOT
from experiments.store import connection, locate, places, reader
from experiments.store.error import CACHE_VARIABLE, URI_VARIABLE
from experiments.store.lifecycle import open_finished, start_run
from experiments.store.names import CERTIFICATE_FILE, SPEC_FILE
from experiments.store.places import Places, cache_folder, in_cache
from tests.experiments.stored_runs import FakeSpec


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_all(run: reader.StoredRun) -> list[Path | None]:
    """Where a run's files are read."""
    return [reader.artifact(run, path) for path in (SPEC_FILE, CERTIFICATE_FILE, "predictions/coco.parquet")]


def use(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This is the store now."""
    monkeypatch.setenv(URI_VARIABLE, f"sqlite:///{file}")


def write_more(run_id: str, folder: Path) -> str:
    """What is added to a finished run when it is compared with its baseline, and a new run; the new one's id."""
    folder.mkdir()
    (folder / CERTIFICATE_FILE).write_text(json.dumps({"against": "compared"}))
    open_finished(run_id).log_file(folder / CERTIFICATE_FILE)
    new = start_run(FakeSpec(seed=7))
    new.log_artifacts(folder)
    new.finish("FINISHED")
    return new.run_id


@pytest.mark.parametrize("how", ["copied", "moved"])
def test_a_store_elsewhere_reads_and_writes_beside_itself(
    how: str, store_row: Callable[..., str], store_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of old and new runs are read and written beside the copy; the original is as it was, and may go."""
    old, untouched = store_row(), store_row(seed=1)
    elsewhere = tmp_path / "else where" / "é"
    (shutil.copytree if how == "copied" else shutil.move)(store_file.parent, elsewhere)
    before = contents(store_file.parent)
    use(elsewhere / store_file.name, monkeypatch)
    for stored in reader.runs():
        assert all(path is not None and path.is_relative_to(elsewhere) for path in read_all(stored))
    new = write_more(old, tmp_path / "more")
    assert contents(store_file.parent) == before
    shutil.rmtree(store_file.parent, ignore_errors=True)
    runs = {run.run_id: run for run in reader.runs()}
    assert all(path is not None and path.is_relative_to(elsewhere) for path in read_all(runs[old]))
    assert reader.certificate(runs[old]) == reader.certificate(runs[new]) == {"against": "compared"}
    client = connection.import_mlflow().MlflowClient(tracking_uri=f"sqlite:///{elsewhere / store_file.name}")
    for run_id in (old, new, untouched):  # MLflow's own clients and screens find them too
        assert {entry.path for entry in client.list_artifacts(run_id)} >= {SPEC_FILE, CERTIFICATE_FILE}
        assert client.get_run(run_id).info.artifact_uri == (elsewhere / "artifacts" / run_id / "artifacts").as_uri()


def test_without_its_files_a_copied_store_reads_the_originals_and_takes_them_before_it_writes(
    store_row: Callable[..., str], store_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the sqlite file was copied: a run is read where it was written, and lies beside the copy once changed."""
    old, untouched = store_row(), store_row(seed=1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(store_file, elsewhere)
    before = contents(store_file.parent)
    use(elsewhere / store_file.name, monkeypatch)
    assert all(path is not None and path.is_relative_to(store_file.parent) for path in read_all(reader.runs()[0]))
    write_more(old, tmp_path / "more")
    assert contents(store_file.parent) == before
    runs = {run.run_id: run for run in reader.runs()}
    assert all(path is not None and path.is_relative_to(elsewhere) for path in read_all(runs[old]))
    assert reader.certificate(runs[old]) == {"against": "compared"}
    assert all(path is not None and path.is_relative_to(store_file.parent) for path in read_all(runs[untouched]))


def test_what_mlflow_keeps_elsewhere_stays_there(store_file: Path, tmp_path: Path) -> None:
    """A team's bucket that the experiment was made with is not taken for a folder of a store that moved."""
    start_run(FakeSpec()).finish("FINISHED")
    with sqlite3.connect(store_file) as database:
        database.execute(
            "UPDATE experiments SET artifact_location = 's3://team/runs' WHERE name = 'flamingo-ablations'"
        )
    connection.open_for_writing(locate.locate())
    with sqlite3.connect(store_file) as database:
        assert database.execute(
            "SELECT artifact_location FROM experiments WHERE name = 'flamingo-ablations'"
        ).fetchone() == ("s3://team/runs",)


@pytest.mark.parametrize("run_id", ["../../outside", "..", "", "a/b"])
def test_a_stored_name_of_a_run_is_no_path(run_id: str, store_file: Path) -> None:
    """A sqlite file from elsewhere leads to no folder but those beside it."""
    with pytest.raises(ValueError, match="not the id of a run"):
        locate.locate().places.artifacts_of(run_id)


def test_links_to_a_store_lead_to_one_set_of_places(store_file: Path, tmp_path: Path) -> None:
    """Two names of one file have one lease, one summary, one folder of artifacts."""
    link = tmp_path / "link.db"
    link.symlink_to(store_file)
    one, other = (Places(file, f"sqlite:///{file}") for file in (store_file, link))
    names = ("artifacts", "work", "leases", "summary", "features", "pictures")
    assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]


def test_one_variable_moves_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Features, pictures and what belongs to a server lie in it; what lies beside a sqlite file stays there."""
    file = Path("/nowhere/mlflow.db")
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    assert cache_folder() == ROOT / ".cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    ours, servers = Places(file, f"sqlite:///{file}"), Places(None, "http://team.example")
    assert [ours.features, ours.pictures] == [tmp_path / "features", tmp_path / "pictures"]
    assert [ours.work, ours.artifacts] == [file.parent / "work", file.parent / "artifacts"]
    assert [servers.work, servers.artifacts] == [tmp_path / "work", tmp_path / "artifacts"]
    assert servers.summary.parent == tmp_path
    assert in_cache(Path(".cache/smollm2")) == tmp_path / "smollm2"
    assert in_cache(Path("experiments/frozen")) == Path("experiments/frozen")


def test_a_cache_that_cannot_be_written_lies_beside_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is whole in the checkout's is read all the same; a folder that the variable names is never left."""
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setattr(places, "ROOT", Path("/proc/checkout"))
    monkeypatch.setattr(places, "may_write", lambda folder: folder.parts[1] != "proc")  # which root may, by its bits
    found = Places(tmp_path / "mlflow.db", "")
    assert found.features == tmp_path / ".cache" / "features"
    assert found.more_features == Path("/proc/checkout/.cache/features")
    monkeypatch.setenv(CACHE_VARIABLE, "/proc/cache")
    named = Places(tmp_path / "mlflow.db", "")
    assert (named.features, named.more_features) == (Path("/proc/cache/features"), None)
