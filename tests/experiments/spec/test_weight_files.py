"""Files of weights that a command names and that cannot serve: refused by key, before anything is stored."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from experiments.store import reader
from flamingo_core import registry
from tests.core import lm_checkpoints
from tests.experiments.commands import QUICK, left_in_work, run_here, tiny_spec

LM, NFNET, CLIP = "model.lm.path", "model.vision.nfnet_f6.path", "model.vision.clip_vit_l14.path"
LARGE_ENOUGH = {"vocab_size": 256, "max_position_embeddings": 1024}


@pytest.fixture
def whole(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """Weights that a key can name: its value, and the one file that holds them."""

    def write(key: str) -> tuple[Path, Path]:
        folder = tmp_path / "weights"
        folder.mkdir()
        file = folder / "model.safetensors"
        if key == LM:
            lm_checkpoints.write(folder, "llama", **LARGE_ENOUGH)
            return folder, file
        ablation = "baseline" if key == NFNET else "vision_clip_vit_l14"
        encoder = registry.build("vision", tiny_spec(f"ablation={ablation}").model["vision"])
        if key == NFNET:
            save_file(encoder.state_dict(), file)
            return file, file
        encoder.model.save_pretrained(folder)
        return folder, file

    return write


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def no_tensors_at_all(file: Path) -> None:
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")


def one_of_another_shape(file: Path) -> None:
    tensors = load_file(file)
    name = next(name for name, tensor in tensors.items() if tensor.ndim > 1)
    save_file({**tensors, name: torch.zeros(3, 3)}, file, metadata={"format": "pt"})


def other_sizes_beside_it(file: Path) -> None:
    config = json.loads((file.parent / "config.json").read_text())
    (file.parent / "config.json").write_text(json.dumps({**config, "intermediate_size": 32}))


SPOILT = [
    *((key, spoil) for key in (LM, NFNET, CLIP) for spoil in (cut_short, no_tensors_at_all, one_of_another_shape)),
    (LM, other_sizes_beside_it),
]


@pytest.mark.parametrize(("key", "spoil"), SPOILT)
def test_weights_that_do_not_fit_are_refused(
    key: str,
    spoil: Callable[[Path], None],
    whole: Callable[[str], tuple[Path, Path]],
    store_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit 2 with the key, its value and a hint; nothing is stored, and nothing left to go on from."""
    value, file = whole(key)
    spoil(file)
    ablation = "vision_clip_vit_l14" if key == CLIP else "xattn_every_4th"
    assert run_here(f"ablation={ablation}", "compare=false", f"{key}={value}", *QUICK) == 2
    output = capsys.readouterr()
    errors = [line for line in output.err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert output.out == "" and "Traceback" not in output.err
    assert len(errors) == 2 and errors[0].startswith(f"error: `{key}` is `{value}`, "), output.err
    assert f"leave `{key}` out" in errors[1]
    assert reader.runs(status=None) == []
    assert left_in_work(store_file) == []


@pytest.mark.parametrize("key", [LM, NFNET, CLIP])
def test_a_header_is_read_with_the_spec(
    key: str, whole: Callable[[str], tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is cut short is found before any job of the command runs, and no values are read for that."""
    monkeypatch.setattr("flamingo_core.vision.nfnet.load_file", None)
    monkeypatch.setattr("flamingo_core.vision.clip_vit.load_model", None)
    monkeypatch.setattr("flamingo_core.lm.causal_lm.load_model", None)
    value, file = whole(key)
    words = (f"ablation={'vision_clip_vit_l14' if key == CLIP else 'baseline'}", f"{key}={value}")
    assert tiny_spec(*words).hash
    cut_short(file)
    with pytest.raises(Exception, match=f"`{key}` is `{value}`, whose weights cannot be read"):
        tiny_spec(*words)
