"""The machine's locks: one timing pass at a time, whatever store it is for, and nothing of ours beside it."""

import threading
from pathlib import Path

import pytest

from experiments.jobs import machine_lock
from experiments.store.error import StoreError
from experiments.store.places import LOCKS_VARIABLE, machine_locks

SOON_S, LATE_S = 0.3, 30.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine's folder of locks, and no home."""
    monkeypatch.setenv(LOCKS_VARIABLE, str(tmp_path))
    monkeypatch.delenv("HOME", raising=False)
    return tmp_path


def started(context) -> threading.Event:
    """Set when another thread is inside."""
    inside = threading.Event()

    def enter() -> None:
        with context():
            inside.set()

    threading.Thread(target=enter, daemon=True).start()
    return inside


@pytest.mark.parametrize("other", [machine_lock.alone, machine_lock.beside_others])
def test_timing_for_one_store_keeps_out_timing_and_jobs_of_another(folder, tmp_path, monkeypatch, other):
    """The lock is the machine's: with another store in use, one waits for it all the same."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/one/mlflow.db")
    with machine_lock.alone():
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other/mlflow.db")
        inside = started(other)
        assert not inside.wait(SOON_S)
    assert inside.wait(LATE_S)


def test_jobs_share_the_machine_and_timing_waits_for_them(folder):
    """Two jobs at once; a timing pass after both."""
    with machine_lock.beside_others():
        assert started(machine_lock.beside_others).wait(LATE_S)
        inside = started(machine_lock.alone)
        assert not inside.wait(SOON_S)
    assert inside.wait(LATE_S)


def test_a_link_in_its_place_is_refused_and_not_followed(folder):
    """One message with what to set; where the link leads nothing is made."""
    target = folder / "theirs"
    for name in ("gate.lock", "machine.lock"):
        (folder / f"{machine_lock.PREFIX}{name}").symlink_to(target)
    with pytest.raises(StoreError) as raised, machine_lock.alone():
        pass
    assert LOCKS_VARIABLE in raised.value.hint and str(folder) in raised.value.message
    assert not target.exists()


def test_a_folder_that_is_not_there_is_one_message(folder, monkeypatch):
    """As a store that cannot be used."""
    monkeypatch.setenv(LOCKS_VARIABLE, str(folder / "none"))
    with pytest.raises(StoreError), machine_lock.beside_others():
        pass


def test_a_lock_of_another_user_can_be_held_without_writing_to_it(folder):
    """Files that one may only read are locks as well; a new one can be read by all, whatever the umask."""
    with machine_lock.alone():
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}
    for file in folder.iterdir():
        file.chmod(0o444)
    with machine_lock.alone():
        assert not started(machine_lock.beside_others).wait(SOON_S)


def test_a_lock_that_was_swept_away_is_made_anew(folder):
    """Who waited for the old file holds the new one: the next one waits for it."""
    with machine_lock.alone():
        for file in folder.iterdir():
            file.unlink()
        with machine_lock.alone():
            assert not started(machine_lock.alone).wait(SOON_S)


def test_its_place_hangs_on_no_store_and_no_home(monkeypatch):
    """/tmp, which all users of a machine see; not the folder of temporary files of one job."""
    monkeypatch.delenv(LOCKS_VARIABLE)
    monkeypatch.setenv("TMPDIR", "/var/tmp/of one job")
    assert machine_locks() == Path("/tmp")
