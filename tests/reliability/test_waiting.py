"""Results wait for a store that is lost, and the next command stores them without making them again."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.jobs.outbox import LIST_FILE
from experiments.store import connection, reader
from experiments.store.error import CACHE_VARIABLE, URI_VARIABLE, StoreError
from experiments.store.writer import RunWriter
from tests.experiments.commands import left_in_work, run_here
from tests.reliability.servers import MlflowServer
from tests.reliability.stored import Stored, assert_each_step_is_stored_once, assert_nothing_is_left
from tests.reliability.warm import COMMAND, QUICK, STEPS, WarmProcess

ANOTHER = ("ablation=xattn_every_4th", *QUICK, "train.steps=1")


def before(monkeypatch: pytest.MonkeyPatch, method: str, act: Callable[[], object], *, call: int = 1) -> None:
    """Something happens to the store right before a method of the writer is called for the n-th time."""
    original, calls = getattr(RunWriter, method), []

    def then(self: RunWriter, *arguments: object, **named: object) -> object:
        calls.append(method)
        if len(calls) == call:
            act()
        return original(self, *arguments, **named)

    monkeypatch.setattr(RunWriter, method, then)


def waiting(store_file: Path) -> list[Path]:
    return list(store_file.parent.glob(f"work/*/{LIST_FILE}"))


MOMENTS = {"while training": ("send_once", 2), "after the evaluation": ("send_once", 4), "between files": ("finish", 1)}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_store_deleted_meanwhile_gets_it_all_in_a_new_run(
    moment: str,
    warm: WarmProcess,
    expected: Stored,
    store_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit 2 with where the results wait; another command stores them, says so, and trains only what it asks for."""
    method, call = MOMENTS[moment]
    with monkeypatch.context() as patch:
        before(patch, method, store_file.unlink, call=call)
        assert run_here(*COMMAND) == 2
    err = capsys.readouterr().err
    assert "its results wait in" in err and "Traceback" not in err
    assert ("training goes on" in err) == (moment == "while training")
    assert len(waiting(store_file)) == 1
    again = warm.run(*ANOTHER, store=store_file)
    assert again.code == 0 and "baseline seed 0: its results waited in" in again.err, again.err
    assert "baseline seed 0: step" not in again.err and "evaluating baseline" not in again.err
    store_file.rename(moved := store_file.with_name("new.db"))  # this process still has the deleted file open
    monkeypatch.setenv(URI_VARIABLE, f"sqlite:///{moved}")
    (run,) = reader.runs(ablation="baseline")
    Stored.of(run).assert_equal(expected)
    assert_each_step_is_stored_once(moved, run.run_id, STEPS)
    assert left_in_work(store_file) == []


@pytest.mark.slow
def test_a_run_deleted_between_stop_and_resume_is_written_anew(
    expected: Stored, store_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Deleted in MLflow after a stop: training goes on from its checkpoint into a new run that has every step."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        before(patch, "send_once", interrupt, call=3)
        assert run_here(*COMMAND) == 130
    (stopped,) = reader.runs(status=None)
    assert stopped.status == "KILLED"
    connection.import_mlflow().MlflowClient(tracking_uri=f"sqlite:///{store_file}").delete_run(stopped.run_id)
    assert run_here(*COMMAND) == 0
    assert "resumed at step 4" in capsys.readouterr().err
    (run,) = reader.runs()
    assert run.run_id != stopped.run_id
    Stored.of(run).assert_equal(expected)
    assert_each_step_is_stored_once(store_file, run.run_id, STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["the list", "a figure in the list", "a file"])
def test_results_damaged_while_they_wait_are_made_again(
    damage: str,
    expected: Stored,
    store_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They are told of, never stored; the job goes on from its last checkpoint to the same end."""
    with monkeypatch.context() as patch:
        before(patch, "finish", lambda: (_ for _ in ()).throw(StoreError("gone", "wait")))
        assert run_here(*COMMAND) == 2
    (listed,) = waiting(store_file)
    if damage == "the list":
        listed.write_bytes(listed.read_bytes()[:-50])
    elif damage == "a figure in the list":
        listed.write_text(listed.read_text().replace('"params_total": 1', '"params_total": 2'))
    else:
        file = listed.parent / "results" / "predictions" / "coco.parquet"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    capsys.readouterr()
    assert run_here(*COMMAND) == 0
    err = capsys.readouterr().err
    assert "are not stored but made again" in err and f"resumed at step {STEPS}" in err
    (run,) = reader.runs()
    Stored.of(run).assert_equal(expected)
    assert_nothing_is_left(store_file)


def test_what_waits_for_one_server_is_not_given_to_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work for all servers lies in one folder; another server's is left alone, unread."""
    from experiments.jobs.outbox import deliver_all

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv(URI_VARIABLE, "http://127.0.0.1:9")
    listed = tmp_path / "work" / "abc-0" / LIST_FILE
    listed.parent.mkdir(parents=True)
    listed.write_text(json.dumps({"server": "team.example:5000"}))
    deliver_all()
    assert listed.exists()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowServer]:
    """A server of its own, whose work and downloads lie in the test's folder."""
    one = MlflowServer(tmp_path)
    monkeypatch.setenv(URI_VARIABLE, one.uri)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    yield one
    one.kill()


@pytest.mark.slow
def test_a_server_killed_while_a_run_trains(
    expected: Stored, server: MlflowServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training and evaluation go on; down, a command is refused at once; up again, what waits is stored, not made."""
    server.start()
    work = tmp_path / "cache" / "work"

    def kill_at_the_first_checkpoint() -> None:
        while not list(work.glob("*/step-*.safetensors")):
            time.sleep(0.01)
        server.kill()

    killer = threading.Thread(target=kill_at_the_first_checkpoint)
    killer.start()
    assert run_here(*COMMAND) == 2
    killer.join()
    err = capsys.readouterr().err
    assert "its results wait in" in err and "start the server" in err and "Traceback" not in err
    assert run_here(*COMMAND) == 2
    assert "still wait for the store" in capsys.readouterr().err
    assert len(list(work.glob(f"*/{LIST_FILE}"))) == 1
    server.start()
    assert run_here(*COMMAND) == 0
    err = capsys.readouterr().err
    assert "its results waited in" in err and "baseline seed 0: step" not in err and "evaluating" not in err
    (run,) = reader.runs(status=None)
    assert run.status == "FINISHED"
    Stored.of(run).assert_equal(expected)
    assert_each_step_is_stored_once(tmp_path / "server.db", run.run_id, STEPS)
    assert left_in_work(tmp_path / "cache" / "any") == []


def test_each_value_is_stored_once_whatever_was_cut_off(store_file: Path) -> None:
    """A batch that the store took, without the sender being told, is not sent a second time."""
    from experiments.store.lifecycle import reopen_run, start_run
    from tests.experiments.stored_runs import FakeSpec

    run = start_run(FakeSpec())
    send = run._client.log_batch

    def taken_but_not_answered(*arguments: object, **named: object) -> None:
        send(*arguments, **named)
        raise OSError("connection reset")

    run._client.log_batch = taken_but_not_answered  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        run.send_once({"loss/m3w": [3.0, 2.0]})
    run._client.log_batch = send  # type: ignore[method-assign]
    run.send_once({"loss/m3w": [3.0, 2.0, 1.0]})
    again = reopen_run(run.run_id)
    assert again is not None
    again.send_once({"loss/m3w": [3.0, 2.0, 1.0, 0.5]})
    with sqlite3.connect(store_file) as database:
        stored = database.execute("select step, value from metrics where key = 'loss/m3w' order by step").fetchall()
    assert stored == [(0, 3.0), (1, 2.0), (2, 1.0), (3, 0.5)]
