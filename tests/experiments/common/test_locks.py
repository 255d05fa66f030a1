"""File systems without locks: one message that says so, and no lock of another kind in their place."""

import ast
import errno
import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.common.checkout import ROOT
from experiments.common.locks import NoLocks
from experiments.data.feature_cache import FeatureCache
from experiments.data.sources.world import WorldSource
from experiments.jobs import lease, machine_lock, outbox
from experiments.store.error import StoreError
from experiments.store.lifecycle import make_store
from experiments.training.build import build_model
from tests.experiments.commands import QUICK, run_here, tiny_spec
from tests.experiments.data.tiny_world import tiny_config

KEY = ("0123456789abcdef", 3)


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Takes the kernel's locks away, as a network file system without them does."""

    def take_away(number: int = errno.ENOLCK) -> None:
        def flock(descriptor: int, kind: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)

    return take_away


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_command_says_so_and_runs_nothing(
    number: int, no_locks: Callable[[int], None], store_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, one message that names the place, what is missing and where else to go."""
    no_locks(number)
    assert run_here("compare=false", *QUICK) == 2
    printed = capsys.readouterr()
    error, hint = printed.err.splitlines()
    assert f"the file system of {store_file}.lock has no locks ({os.strerror(number)})" in error
    assert hint.startswith("hint: set MLFLOW_TRACKING_URI=")
    assert printed.out == ""
    assert not (store_file.parent / "work").exists()


def hold_a_lease(folder: Path) -> None:
    with lease.hold(KEY):
        pass


def look_at_a_lease(folder: Path) -> None:
    """One that says that its process is running."""
    file = lease._file(KEY)
    file.parent.mkdir(parents=True)
    lease.Lease(file, None).stop_beating()
    lease.look(KEY)


def store_what_waits(folder: Path) -> None:
    (folder / outbox.LIST_FILE).write_text("{}")
    outbox.deliver(folder)


def begin_beside_others(folder: Path) -> None:
    with machine_lock.beside_others():
        pass


def time_alone(folder: Path) -> None:
    with machine_lock.alone():
        pass


def make_a_store(folder: Path) -> None:
    make_store()


@pytest.mark.parametrize(
    "place",
    [hold_a_lease, look_at_a_lease, store_what_waits, begin_beside_others, time_alone, make_a_store],
)
def test_every_place_that_locks_says_so(
    place: Callable[[Path], None], no_locks: Callable[[], None], store_file: Path, tmp_path: Path
) -> None:
    """None goes on without, and none takes a running process for one that is gone."""
    no_locks()
    with pytest.raises((NoLocks, StoreError), match="has no locks"):
        place(tmp_path)


def test_a_cache_without_locks_is_told_of_and_not_kept(
    no_locks: Callable[[], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It can be made again, so a job goes on without: what is encoded stays in memory."""
    no_locks()
    model = build_model(tiny_spec(), torch.device("cpu"))
    FeatureCache(model, WorldSource(tiny_config(image_size=24)), folder=tmp_path).prepare(["train/m3w/0"])
    assert "has no locks (No locks available), nothing encoded is kept" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.safetensors"))


def test_locks_are_made_in_one_place() -> None:
    """Nothing else asks filelock or the kernel for one: it would not know of a file system without."""
    found = set()
    for file in [*(ROOT / "experiments").rglob("*.py"), *(ROOT / "dashboard").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = [one.name for one in node.names] if isinstance(node, ast.ImportFrom | ast.Import) else []
            calls = isinstance(node, ast.Attribute) and node.attr in ("flock", "lockf")
            if calls or "filelock" in named or {"FileLock", "SoftFileLock"} & set(named):
                found.add(file.relative_to(ROOT).as_posix())
    assert found == {"experiments/common/locks.py"}


def test_it_is_told_by_a_worker_too() -> None:
    """The error comes whole through a pipe."""
    error = NoLocks(errno.ENOLCK, "No locks available", "/far/away.lock")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "has no locks" in str(error)
