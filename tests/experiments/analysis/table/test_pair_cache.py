"""The summary beside the store: a table read with it is the table without it, and it is never trusted."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from experiments.analysis import Table
from experiments.analysis.model import bootstrap
from experiments.analysis.table import pair_cache, pairing
from experiments.store import reader, sqlite_reader
from experiments.store.connection import use_store
from experiments.store.error import StoreError
from experiments.store.lifecycle import open_finished
from experiments.store.locate import locate
from experiments.store.names import DIGESTS, HASHED
from tests.experiments.stored_runs import BAD, a_certificate, answers

ROW = "xattn_every_4th"


@pytest.fixture
def two_runs(store_row):
    """A baseline and a row that is clearly worse."""
    return store_row(), store_row(ROW, BAD)


def a_table():
    return Table.load("tiny").table


def of_row(table, name=ROW):
    return next(row for row in table["rows"] if row["row"] == name)


def file():
    return pair_cache.summary_file(locate())


@pytest.fixture
def counted(monkeypatch):
    """How often certificates are compared and intervals worked out."""
    calls = {"pairs": 0, "intervals": 0}
    compare, intervals = pairing.of_runs, bootstrap.intervals

    def count(name, function):
        def called(*arguments, **keywords):
            calls[name] += 1
            return function(*arguments, **keywords)

        return called

    monkeypatch.setattr(pairing, "of_runs", count("pairs", compare))
    monkeypatch.setattr(bootstrap, "intervals", count("intervals", intervals))
    return calls


def test_the_second_table_works_out_nothing_and_is_the_same(two_runs, counted):
    """To the last bit; a row that is new is all that is worked out."""
    first = a_table()
    assert counted == {"pairs": 1, "intervals": 1} and of_row(first)["overall"]["low"] is not None
    assert a_table() == first and counted == {"pairs": 1, "intervals": 1}


def test_only_what_is_new_is_worked_out(two_runs, store_row, counted):
    """A second row adds its own pair."""
    a_table()
    store_row("resampler_mlp", BAD)
    a_table()
    assert counted == {"pairs": 2, "intervals": 2}


def test_a_run_that_is_deleted_in_mlflow_disappears(two_runs, store_row):
    """From the table at once, and from the file when it is next written; restored, it is back."""
    from mlflow import MlflowClient

    before = a_table()
    MlflowClient(use_store()).delete_run(two_runs[1])
    assert of_row(a_table())["n"] == 0
    store_row("resampler_mlp", BAD)
    a_table()
    assert two_runs[1] not in file().read_text()
    MlflowClient(use_store()).restore_run(two_runs[1])
    assert of_row(a_table()) == of_row(before)


def test_metrics_that_come_after_the_end_are_read(two_runs):
    """The timing pass writes to runs that have ended."""
    a_table()
    open_finished(two_runs[1]).log_metrics({"step_time_ratio": 0.25})
    assert of_row(a_table())["step_time_ratio"] == 0.25


def test_a_file_of_a_run_that_changes_is_read_again(two_runs, store_file):
    """Of a run without hashes, predictions and certificates count as they are now, not as they were."""
    with sqlite3.connect(store_file) as database:
        database.execute("DELETE FROM tags WHERE key IN (?, ?)", (DIGESTS, HASHED))
    a_table()
    for path in store_file.parent.glob(f"artifacts/{two_runs[1]}/**/coco.parquet"):
        answers([0.0] * 4, benchmark="coco").to_parquet(path)
    for path in store_file.parent.glob(f"artifacts/{two_runs[1]}/**/certificate.json"):
        path.write_text(json.dumps({**a_certificate(), "prompts": "others"}))
    known = a_table()
    file().unlink()
    assert known == a_table() and of_row(known)["certificate"] == "differs"


def altered(content: bytes) -> bytes:
    """One digit of a figure is another."""
    place = content.index(b'"low": -') + len(b'"low": -')
    digit = content[place : place + 1]
    return content[:place] + (b"1" if digit != b"1" else b"2") + content[place + 1 :]


def of_other_code(content: bytes) -> bytes:
    """As another version of the program would have written it."""
    header, _, body = content.partition(b"\n")
    return json.dumps({**json.loads(header), "code": "0" * 64}).encode() + b"\n" + body


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: b"\xff\x00 no text",
        lambda content: b"[]\n" + content,
        lambda content: b'{"lines": 1}',
        lambda content: content + content.splitlines(keepends=True)[-1],
        altered,
        of_other_code,
    ],
    ids=["cut", "last byte", "empty", "binary", "no object", "a line", "longer", "altered", "other code"],
)
def test_a_file_that_is_not_as_it_was_written_is_made_again(spoil, two_runs, counted):
    """Cut short, altered, of another version: worked out from the store, and whole again."""
    first = a_table()
    content = file().read_bytes()
    file().write_bytes(spoil(content))
    assert a_table() == first and counted == {"pairs": 2, "intervals": 2}
    assert file().read_bytes() == content


def test_it_is_missing_without_harm(two_runs):
    """Deleted, it is made again, the same."""
    first = a_table()
    content = file().read_bytes()
    file().unlink()
    assert a_table() == first and file().read_bytes() == content


def test_a_folder_that_cannot_be_written_to_costs_only_time(two_runs, monkeypatch):
    """The table comes all the same, and nothing is left behind."""

    def refuse(*_):
        raise PermissionError(13, "read-only")

    monkeypatch.setattr("flamingo_core.whole_file.write_whole", refuse)
    assert of_row(a_table())["certificate"] == "equal"
    assert not file().exists()


def test_many_writers_leave_a_whole_file(two_runs):
    """Whoever comes last wins; at no moment is the file less than one of them wrote."""
    a_table()
    pairs = pair_cache.load(file())
    assert pairs
    seen, done = [], threading.Event()

    def write():
        for _ in range(30):
            pair_cache.save(file(), pairs)

    def read():
        while not done.is_set():
            seen.append(pair_cache.load(file()) == pairs)

    writers, reading = [threading.Thread(target=write) for _ in range(3)], threading.Thread(target=read)
    for thread in (reading, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reading.join()
    assert seen and all(seen)
    assert [path.name for path in file().parent.glob("*summary*")] == [file().name]


def test_an_unreadable_row_is_not_remembered(two_runs, store_file):
    """What failed is tried again: the row is back when its file is."""
    path = next(store_file.parent.glob(f"artifacts/{two_runs[1]}/**/coco.parquet"))
    content = path.read_bytes()
    path.write_bytes(b"cut short")
    assert ROW in Table.load("tiny").broken
    path.write_bytes(content)
    assert Table.load("tiny").broken == {} and of_row(a_table())["n"] == 1


def test_for_a_server_it_lies_in_the_cache(monkeypatch):
    """One file an address, which no name of a server can lead out of the folder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@host:5000/../x")
    found = file()
    assert found.parent.name == ".cache" and found.name.endswith(".summary.jsonl") and "secret" not in found.name


def test_the_tables_say_what_mlflow_says(two_runs, store_run):
    """Read by SQL and by `search_runs`, all runs are the same: of every status, with params, tags and metrics."""
    store_run("resampler_mlp", status="FAILED", metrics={"overall": 1.5})
    store_run("xattn_vanilla", status=None, scale="o'brien")
    for status in (None, "FINISHED", "FAILED"):
        for tags in ({}, {"scale": "tiny"}, {"scale": "tiny", "ablation": ROW}):
            ours, theirs = (
                sorted(read(locate(), status, tags), key=lambda run: run.run_id)
                for read in (reader._from_tables, reader._from_mlflow)
            )
            assert ours == theirs
            for mine, other in zip(ours, theirs, strict=True):
                assert (mine.tags, dict(mine.params), mine.metrics) == (other.tags, other.params, other.metrics)
    assert [run.row for run in reader.runs(status=None, scale="o'brien")] == ["xattn_vanilla"]


def test_another_schema_is_left_to_mlflow(two_runs, store_file, monkeypatch):
    """Where a column is not called what we know it as, MLflow itself reads; the table is the same."""
    expected = a_table()
    monkeypatch.setitem(sqlite_reader.COLUMNS, "runs", {"run_uuid", "a_column_of_the_future"})
    assert reader._from_tables(locate(), None, {}) is None and reader.run_ids() is None
    assert a_table() == expected


def test_reading_imports_no_mlflow_and_changes_no_byte(two_runs, store_file):
    """A table of a sqlite store comes without MLflow's two seconds."""
    before = hashlib.sha256(store_file.read_bytes()).hexdigest()
    code = (
        "import sys\nfrom experiments import analysis\n"
        "print([one for one in ('numpy', 'pandas') if one in sys.modules])\n"
        "assert analysis.Table.load('tiny').runs; print([one for one in ('mlflow', 'torch') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.stdout.splitlines() == ["[]", "[]"], done.stdout + done.stderr
    assert hashlib.sha256(store_file.read_bytes()).hexdigest() == before


def test_a_store_that_is_no_database_is_one_error(tmp_path, monkeypatch):
    """As everywhere: what is wrong and what to do."""
    broken = tmp_path / "mlflow.db"
    broken.write_text("no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{broken}")
    with pytest.raises(StoreError, match="not a database"):
        a_table()
    assert list(tmp_path.iterdir()) == [broken]


def test_params_come_with_the_first_question(two_runs, monkeypatch):
    """No params are read for a list of runs, and those of many runs at once when one is asked for."""
    opened = []
    connect = sqlite_reader.connect
    monkeypatch.setattr(sqlite_reader, "connect", lambda path: opened.append(path) or connect(path))
    first, second = reader.runs()
    assert len(opened) == 1
    assert first.params["seed"] == "0" and second.params.get("nothing") is None and len(second.params) > 3
    assert len(opened) == 2
