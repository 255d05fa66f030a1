"""Stores that are locked, old, read-only or told the wrong time, and eight processes that meet a new one at once."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from experiments.store import reader
from experiments.store.error import URI_VARIABLE
from experiments.store.lifecycle import start_run
from tests.experiments.commands import QUICK, run_here
from tests.experiments.stored_runs import FakeSpec

HELD_S = 30


@pytest.mark.slow
def test_a_run_waits_for_a_store_that_another_process_holds(store_file: Path) -> None:
    """For half a minute nothing can be read or written; reading, starting and ending a run wait and go on."""
    code = (
        "import sqlite3, sys, time; held = sqlite3.connect(sys.argv[1]); held.execute('BEGIN EXCLUSIVE')\n"
        f"print('held', flush=True); time.sleep({HELD_S}); held.rollback()"
    )
    run = start_run(FakeSpec())
    other = subprocess.Popen([sys.executable, "-c", code, str(store_file)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    found: list[object] = []
    reading = threading.Thread(target=lambda: found.append(reader.runs(status=None)))
    reading.start()
    run.send_once({"loss/m3w": [2.0, 1.0]})
    assert other.wait(60) == 0, "it was held all the time"
    run.finish("FINISHED")
    reading.join(60)
    (finished,) = reader.runs()
    assert finished.metrics == {"loss/m3w": 1.0}
    assert len(found) == 1


def _meet(file: str, all_here: Barrier) -> None:
    os.environ[URI_VARIABLE] = f"sqlite:///{file}"
    all_here.wait(240)
    start_run(FakeSpec(seed=os.getpid())).finish("FINISHED")


@pytest.mark.slow
def test_eight_processes_that_make_one_new_store_at_once_all_succeed(tmp_path: Path) -> None:
    """One store, one experiment, eight finished runs, each of which ended at a time of its own."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["experiments.jobs.preload"])
    all_here, file = context.Barrier(8), tmp_path / "new" / "mlflow.db"
    several = [context.Process(target=_meet, args=(str(file), all_here)) for _ in range(8)]
    for process in several:
        process.start()
    for process in several:
        process.join(240)
    assert [process.exitcode for process in several] == [0] * 8
    with sqlite3.connect(file) as database:
        assert database.execute("select count(*) from runs where status = 'FINISHED'").fetchone() == (8,)
        experiments = database.execute(
            "select artifact_location from experiments where name = 'flamingo-ablations'"
        ).fetchall()
    assert experiments == [((file.parent / "artifacts").as_uri(),)]
    assert sorted(entry.name for entry in file.parent.iterdir()) == ["artifacts", "mlflow.db", "mlflow.db.lock"]


def test_a_store_of_an_older_schema_is_refused_with_the_command_that_upgrades_it(
    store_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, `mlflow db upgrade`, and not one byte written; the command that is named makes it usable."""
    import alembic.command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    config = _get_alembic_config(f"sqlite:///{store_file}")
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_revision("head")
    assert head is not None and isinstance(head.down_revision, str)
    old = store_file.with_name("old.db")
    shutil.copy(store_file, old)
    alembic.command.downgrade(_get_alembic_config(f"sqlite:///{old}"), head.down_revision)
    monkeypatch.setenv(URI_VARIABLE, f"sqlite:///{old}")
    before, beside = old.read_bytes(), sorted(old.parent.iterdir())
    assert run_here("compare=false", *QUICK) == 2
    printed = capsys.readouterr()
    assert f"mlflow db upgrade sqlite:///{old}" in printed.err and "Traceback" not in printed.err
    assert printed.out == ""
    assert old.read_bytes() == before and sorted(old.parent.iterdir()) == beside
    upgrade = [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{old}"]
    subprocess.run(upgrade, check=True, capture_output=True, timeout=120)
    start_run(FakeSpec()).finish("FINISHED")
    assert len(reader.runs()) == 1


def test_a_read_only_store_is_refused_before_anything_is_computed(
    store_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 with a hint; what is stored can still be read."""
    start_run(FakeSpec()).finish("FINISHED")
    if os.geteuid() == 0:  # to whom permissions mean nothing
        subprocess.run(["mount", "--bind", str(store_file.parent), str(store_file.parent)], check=False)
        mounted = subprocess.run(["mount", "-o", "remount,bind,ro", str(store_file.parent)], capture_output=True)
        if mounted.returncode != 0:
            pytest.skip(f"nothing can be made read-only here: {mounted.stderr.decode().strip()}")
    else:
        store_file.chmod(0o400)
        store_file.parent.chmod(0o500)
    try:
        assert run_here("compare=false", *QUICK) == 2
        err = capsys.readouterr().err
        assert "cannot be used" in err and "hint: " in err and "Traceback" not in err
        assert "step" not in err and "encoding" not in err
        assert len(reader.runs()) == 1
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(store_file.parent)], check=True)
        else:
            store_file.parent.chmod(0o700)
            store_file.chmod(0o600)


def test_the_newest_run_is_the_last_one_whatever_the_clock_did(
    store_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run after the clock was moved back a year is newer than one before; one that ends before it began is found."""
    year_s, now = 365 * 86_400, time.time
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: now() + 2 * year_s)
        first = start_run(FakeSpec())
        clock.setattr(time, "time", lambda: now() + year_s)
        first.finish("FINISHED")
    second = start_run(FakeSpec())
    second.finish("FINISHED")
    newest = reader.find_finished("b" * 16, 0)
    assert newest is not None and newest.run_id == second.run_id
    assert {run.run_id for run in reader.runs()} == {first.run_id, second.run_id}
