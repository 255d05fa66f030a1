"""A full disk, for real: whatever could not be written is told in one message, and is there after the same command."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from experiments.data.feature_cache import FeatureCache
from experiments.data.sources.world import WorldSource
from experiments.store import reader
from experiments.store.error import URI_VARIABLE
from experiments.training.build import build_model
from tests.experiments.commands import run_here, tiny_spec
from tests.experiments.data.tiny_world import tiny_config
from tests.reliability.stored import Stored, assert_each_step_is_stored_once
from tests.reliability.warm import COMMAND, STEPS, WarmProcess

SIZE = 8 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def nearly_full(folder: Path, left: int) -> Iterator[None]:
    """So many bytes are left on the disk."""
    filling = folder / "filling"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    filling.write_bytes(bytes(max(0, free - left)))
    yield
    filling.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("left", [40_000, 600_000, 1_600_000])
def test_a_disk_that_fills_up_stops_a_run_and_the_same_command_goes_on(
    left: int,
    warm: WarmProcess,
    expected: Stored,
    small_disk: Path,
    empty_database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Full at the store's first row, at a checkpoint, at the results: exit 2, one message, no half of a file."""
    file = small_disk / "mlflow.db"
    shutil.copy(empty_database, file)
    with nearly_full(small_disk, left):
        stopped = warm.run(*COMMAND, store=file)
    assert stopped.code == 2, stopped.err
    assert "hint: " in stopped.err and "Traceback" not in stopped.err
    assert not [path for path in small_disk.rglob(".*") if path.is_file()]
    again = warm.run(*COMMAND, store=file)
    assert again.code == 0, again.err
    monkeypatch.setenv(URI_VARIABLE, f"sqlite:///{file}")
    (run,) = reader.runs()
    Stored.of(run).assert_equal(expected)
    assert_each_step_is_stored_once(file, run.run_id, STEPS)


def test_a_feature_cache_that_does_not_fit_leaves_no_half(small_disk: Path) -> None:
    """The error is the disk's own; with space it is made."""
    model = build_model(tiny_spec(), torch.device("cpu"))
    cache = FeatureCache(model, WorldSource(tiny_config(image_size=24)), folder=small_disk)
    with nearly_full(small_disk, 3_000), pytest.raises(OSError, match="No space"):
        cache.of(["train/m3w/0"])
    assert not [path for path in small_disk.rglob("*safetensors*") if path.suffix != ".lock"]
    assert cache.of(["train/m3w/0"]).shape[0] == 1


def test_without_a_disk_to_fill_a_limit_on_files_does_it(store_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit on the size of files is a disk fault too: exit 2 and a hint, where anyone may try it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (store_file.stat().st_size - 4096, before[1]))
    try:
        assert run_here(*COMMAND) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    err = capsys.readouterr().err
    assert "hint: " in err and "Traceback" not in err
