"""Checkpoints are whole or not there: damage is noticed, the one before is used, and no clock is asked."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.data.sources.world import WorldSource
from experiments.training import checkpoint
from experiments.training.build import build_model
from experiments.training.checkpoint import Progressed
from experiments.training.optimizer import make_optimizer
from flamingo_core.checkpoint import load_tensors, save_tensors, trained_state
from flamingo_core.flamingo import Flamingo
from flamingo_core.whole_file import write_whole
from tests.experiments.commands import tiny_spec

SPEC = tiny_spec()


def build() -> tuple[Flamingo, torch.optim.Optimizer]:
    model = build_model(SPEC, torch.device("cpu"))
    return model, make_optimizer(model, SPEC.train)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints of steps 1, 2 and 3, whose weights are those numbers."""
    model, optimizer = build()
    for step in (1, 2, 3):
        with torch.no_grad():
            for parameter in trained_state(model).values():
                parameter.fill_(step)
        checkpoint.save(tmp_path, model, optimizer, Progressed(step=step), "a spec")
    return tmp_path


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def flip(path: Path, place: int = -100) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def without_hash(path: Path) -> None:
    """As a program that knows nothing of the hash writes it."""
    from safetensors.torch import save_file

    tensors, metadata = load_tensors(path)
    save_file(tensors, path, metadata)


@pytest.mark.parametrize("damage", [flip, cut, empty, without_hash])
def test_a_damaged_checkpoint_is_told_of_and_the_one_before_is_used(
    damage: Callable[[Path], None], folder: Path
) -> None:
    """Nothing of the damaged one gets into the model."""
    assert [file.name for file in files(folder)] == ["step-00000002.safetensors", "step-00000003.safetensors"]
    damage(files(folder)[-1])
    model, optimizer = build()
    progressed, problems = checkpoint.load_newest(folder, model, optimizer, "a spec")
    assert progressed is not None and progressed.step == 2
    assert len(problems) == 1 and problems[0].startswith("step-00000003.safetensors is not used: ")
    assert all(bool((parameter == 2).all()) for parameter in trained_state(model).values())


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """In the header, in names, in metadata, in values: there is no byte that may change."""
    file = tmp_path / "some.safetensors"
    save_tensors(file, {"a": torch.arange(3.0), "b": torch.tensor(1), "none": torch.zeros(0, 2)}, {"step": "7"})
    for place in range(file.stat().st_size):
        flip(file, place)
        with pytest.raises(ValueError, match="some"):
            load_tensors(file, hashed=True)
        flip(file, place)
    assert load_tensors(file, hashed=True)[1] == {"step": "7"}


def test_what_killed_writers_left_is_removed(folder: Path) -> None:
    """Half-written files go at the next start; checkpoints stay."""
    left = folder / ".step-00000004.safetensors.abcd1234"
    left.write_bytes(b"half")
    checkpoint.load_newest(folder, *build(), "a spec")
    assert not left.exists() and len(files(folder)) == 2


def test_their_order_is_that_of_steps_not_of_clocks(folder: Path) -> None:
    """A clock that was moved back, or files from the future, change neither which is newest nor which are kept."""
    older, newer = files(folder)
    os.utime(older, (time.time() + 10**8,) * 2)
    os.utime(newer, (0, 0))
    model, optimizer = build()
    progressed, problems = checkpoint.load_newest(folder, model, optimizer, "a spec")
    assert progressed is not None and (progressed.step, problems) == (3, [])
    checkpoint.save(folder, model, optimizer, Progressed(step=4), "a spec")
    assert [file.name for file in files(folder)] == ["step-00000003.safetensors", "step-00000004.safetensors"]


def test_features_of_another_source_are_not_taken_for_these(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole file in the place of another of the same size is told of, and made again."""
    from experiments.data.feature_cache import FeatureCache
    from tests.experiments.data.tiny_world import tiny_config

    model, _ = build()
    ids = ["test/coco/1", "test/vqav2/1"]
    first = FeatureCache(model, WorldSource(tiny_config(image_size=24)), folder=tmp_path).of(ids)
    (coco,), (vqa,) = tmp_path.glob("*/test-coco-*.safetensors"), tmp_path.glob("*/test-vqav2-*.safetensors")
    coco.write_bytes(vqa.read_bytes())
    assert torch.equal(FeatureCache(model, WorldSource(tiny_config(image_size=24)), folder=tmp_path).of(ids), first)
    assert "holds other features; encoding again" in capsys.readouterr().err


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    """What is no file, such as `/dev/null`, is not replaced by one: root could."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    write_whole(pipe, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert pipe.is_fifo()
