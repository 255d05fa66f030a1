"""An error at each file operation in turn: one message, and the same command ends as if nothing had been."""

import os
from pathlib import Path

import pytest

from experiments.store import reader
from experiments.store.error import URI_VARIABLE
from tests.reliability.failing_disk import FailingDisk
from tests.reliability.stored import Stored, assert_nothing_is_left
from tests.reliability.warm import QUICK, Ended, WarmProcess

COMMAND = (*QUICK, "train.steps=2", "train.checkpoint_every=1")
# Each place in the code that asks for a file operation fails once; with this variable each operation does, about 800.
EVERY = "FLAMINGO_EVERY_OPERATION"
PARTS = 4  # tests that share the places, so that they run side by side


def a_store(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """A file that is not there yet, as the store of this process."""
    folder.mkdir()
    patch.setenv(URI_VARIABLE, f"sqlite:///{folder / 'mlflow.db'}")
    return folder / "mlflow.db"


def assert_told(ended: Ended) -> None:
    """Exit 0 where nothing depends on it, else 2 or 1 with one message; never a traceback."""
    where = ended.listed[-1]
    assert ended.code in (0, 1, 2), (where, ended)
    assert "Traceback" not in ended.err, (where, ended.err)
    if ended.code:
        said = [line.split(": ")[0] for line in ended.err.splitlines() if line.startswith(("error: ", "hint: "))]
        assert said == ["error", "hint"], (where, ended.err)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_an_error_at_a_file_operation_is_told_and_nothing_is_lost(
    part: int, warm: WarmProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operations fail, each once; the command is given again and finds what each failure left.

    A store that is done is followed by a new one, until there is no operation that has not failed.
    """
    every = EVERY in os.environ
    store = a_store(tmp_path / "straight", monkeypatch)
    straight = warm.run(*COMMAND, store=store, disk=FailingDisk(numbered=every))
    assert straight.code == 0, straight.err
    expected = Stored.of(*reader.runs())
    there_are = sorted(set(straight.listed))
    to_fail = set(there_are[part::PARTS])
    passed = set(there_are) - to_fail
    number = 0
    while to_fail - passed:
        number += 1
        store = a_store(tmp_path / f"store-{number}", monkeypatch)
        ended = None
        while ended is None or ended.code:
            disk, before = FailingDisk(passed=frozenset(passed), numbered=every), len(passed)
            ended = warm.run(*COMMAND, store=store, disk=disk)
            passed |= set(ended.listed)
            assert_told(ended)
            assert not ended.code or len(passed) > before, (before, ended)
        Stored.of(*reader.runs()).assert_equal(expected)
        assert reader.runs(status="RUNNING") == []
        assert_nothing_is_left(store, removal_failed=True)
