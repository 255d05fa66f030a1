"""Checkpoints of the trained part: strict, and whole or not at all."""

import pytest
import torch
from safetensors.torch import save_file

from flamingo_core import checkpoint, whole_file
from flamingo_core.flamingo import Flamingo
from tests.core import build


def trained(**choices):
    """A small float32 model whose trained part is not as it was drawn."""
    model = build.model(dtype=torch.float32, **choices)
    with torch.no_grad():
        for number, parameter in enumerate(p for p in model.parameters() if p.requires_grad):
            parameter.add_(0.01 * (number + 1))
    return model


def answers(model):
    batch = build.padded(build.prompts())
    with torch.no_grad():
        logits = model(**batch, media=build.pixels(3)).logits
    written = model.generate(
        batch["input_ids"],
        attention_mask=batch["attention_mask"],
        media=build.pixels(3),
        media_counts=batch["media_counts"],
        max_new_tokens=6,
        do_sample=False,
    )
    return logits, written


@pytest.mark.parametrize("family", build.FAMILIES)
@pytest.mark.parametrize("xattn", build.BLOCKS)
def test_saved_and_loaded_it_answers_the_same(xattn, family, tmp_path):
    """Config, seed and trained part rebuild the model bit for bit, frozen parts included."""
    model = trained(xattn=xattn, lm=family, seed=3)
    model.save_pretrained(tmp_path)
    loaded = Flamingo.from_pretrained(tmp_path / "weights.safetensors")
    for ours, theirs in zip(answers(model), answers(loaded), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("freeze", [True, False])
def test_only_the_trained_part_is_stored(freeze, tmp_path):
    """A frozen language model is not in the file; one that trains is."""
    trained(freeze=freeze).save_pretrained(tmp_path)
    tensors, _ = checkpoint.load_tensors(tmp_path / "weights.safetensors")
    slots = {name.split(".")[0] for name in tensors}
    assert slots == {"resampler", "xattn"} | (set() if freeze else {"lm"})


def test_loading_is_strict_and_lists_everything(tmp_path):
    """Missing, unexpected and misshapen names are told together, and the model is left as it was."""
    model = trained()
    state = {name: tensor.clone() for name, tensor in checkpoint.trained_state(model).items()}
    before = {name: tensor.clone() for name, tensor in state.items()}
    del state["xattn.0.alpha_ff"]
    state["xattn.9.alpha_ff"] = torch.zeros(())
    state["resampler.latents"] = torch.zeros(1, 1)
    with pytest.raises(ValueError) as raised:
        checkpoint.load_trained_state(model, state)
    for part in ("missing `xattn.0.alpha_ff`", "unexpected `xattn.9.alpha_ff`", "`resampler.latents` is (1, 1)"):
        assert part in str(raised.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in checkpoint.trained_state(model).items())


def test_a_file_cut_short_is_refused(tmp_path):
    """At any length the file says that it cannot be read."""
    trained().save_pretrained(tmp_path)
    file = tmp_path / "weights.safetensors"
    content = file.read_bytes()
    for length in (0, 7, 100, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"weights\.safetensors cannot be read"):
            Flamingo.from_pretrained(file)


def test_a_file_of_someone_else_is_refused(tmp_path):
    """Safetensors without our metadata is no Flamingo."""
    save_file({"a": torch.zeros(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="holds no Flamingo"):
        Flamingo.from_pretrained(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    """The new file appears by renaming, so a reader never sees half of one."""
    file = tmp_path / "weights.safetensors"
    whole_file.write_whole(file, b"old")

    def no_rename(*_):
        raise OSError("disk full")

    monkeypatch.setattr(whole_file.os, "replace", no_rename)
    with pytest.raises(OSError, match="disk full"):
        whole_file.write_whole(file, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]
    assert file.read_bytes() == b"old"
