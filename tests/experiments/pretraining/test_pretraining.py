"""Frozen parts: training that goes on where it stopped, files that components read back, commands that refuse."""

import os
import signal
import subprocess
import threading
import time

import pytest
import torch
from torch import nn

from experiments.command.cli import main
from experiments.common.checkout import ROOT
from experiments.data.world.world import World
from experiments.pretrain import pretrain
from experiments.pretraining import loop
from experiments.pretraining.language import Texts, prepare, weighted_loss
from experiments.pretraining.loop import PretrainConfig, fit
from experiments.pretraining.parts import FrozenPart, parts_of, scales, train_part
from experiments.pretraining.quality import probe
from experiments.pretraining.shipped import read_record, write_part
from experiments.pretraining.side_by_side import side_by_side
from experiments.pretraining.vision import Pairs, PictureText
from experiments.spec.identity import content_hash
from flamingo_core import registry
from flamingo_core.checkpoint import load_tensors
from flamingo_core.init import initialise
from tests.experiments.data.tiny_world import tiny_config

RECIPE = PretrainConfig(steps=6, batch_size=8, lr=1e-2, warmup_steps=2, decay_fraction=0.5, weight_decay=0.1)
LLAMA = {"vocab_size": 208, "width": 16, "depth": 2, "num_heads": 2, "ff_width": 32, "max_positions": 128}
NFNET = {"image_size": 16, "depths": [1, 1], "channels": [8, 16], "stem_channels": 8, "group_size": 4, "width": 12}
VIT = {"image_size": 16, "patch_size": 8, "width": 16, "depth": 1, "num_heads": 2, "ff_width": 32}


def a_part(slot, name, sizes, path):
    """A part that trains in a second."""
    return FrozenPart(
        scale="none", slot=slot, name=name, sizes=sizes, world=tiny_config(image_size=16), recipe=RECIPE, path=path
    )


def trained(folder, monkeypatch=None, stop_at=None):
    """A small module after training, stopped once on the way where asked."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def loss(step):
        if step == stop_at:
            raise KeyboardInterrupt
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        return (module(x) - x.sum(dim=1, keepdim=True)).square().mean()

    if stop_at is not None:
        monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 1)
        with pytest.raises(KeyboardInterrupt):
            fit("module", module, loss, RECIPE, folder, identity="one")
        stop_at = None
        torch.manual_seed(1)
        module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    fit("module", module, loss, RECIPE, folder, identity="one")
    return module.state_dict()


def test_a_stopped_part_ends_with_the_same_weights(tmp_path, monkeypatch):
    """Weights after a stop and a second call equal those of one call, bit for bit."""
    whole = trained(tmp_path / "whole")
    in_two = trained(tmp_path / "two", monkeypatch, stop_at=3)
    assert all(torch.equal(whole[name], in_two[name]) for name in whole)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_a_checkpoint_of_the_last_step(sent, tmp_path):
    """Exit 128 + n, as after Ctrl-C."""
    module = nn.Linear(4, 1)

    def loss(step):
        os.kill(os.getpid(), sent)
        return module(torch.ones(1, 4)).square().mean()

    assert main(lambda _: fit("module", module, loss, RECIPE, tmp_path, identity="one")) == 128 + sent
    assert load_tensors(tmp_path / loop.CHECKPOINT_FILE)[1]["step"] == "1"


PART = """
import sys, time
from pathlib import Path
from experiments.command.cli import main
from experiments.common.interrupt import StopRequest

def make(words):
    with StopRequest() as stop:
        Path(words[0]).touch()
        while not stop.requested:
            time.sleep(0.01)
        time.sleep(0.2)  # a checkpoint is written meanwhile
        Path(words[0]).write_text("saved")
        stop.check()

sys.exit(main(make))
"""


def test_a_signal_to_the_command_stops_parts_in_processes_of_their_own(tmp_path, monkeypatch, capfd):
    """SIGTERM to one process, or to all at once: each part has left its checkpoint when the command ends."""
    (tmp_path / "a_part.py").write_text(PART)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    monkeypatch.setattr("experiments.pretraining.side_by_side.usable_cores", lambda: 2)
    for sent_to_all in (False, True):
        files = [tmp_path / f"{sent_to_all}-{number}" for number in range(2)]

        def send(files=files, sent_to_all=sent_to_all):
            while not all(file.exists() for file in files):
                time.sleep(0.01)
            children = subprocess.run(["pgrep", "-f", f"a_part {files[0].parent}"], capture_output=True, text=True)
            for pid in [*(map(int, children.stdout.split()) if sent_to_all else ()), os.getpid()]:
                os.kill(pid, signal.SIGTERM)

        sender = threading.Thread(target=send)
        sender.start()
        assert main(lambda _, files=files: side_by_side([["a_part", str(file)] for file in files])) == 143
        sender.join()
        assert [file.read_text() for file in files] == ["saved", "saved"]
    assert "Traceback" not in capfd.readouterr().err


def test_a_part_whose_process_was_killed_is_a_failure(tmp_path, monkeypatch):
    """Not 0, though its exit code is below it."""
    (tmp_path / "a_part.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert side_by_side([["a_part"]]) == 1


def test_a_checkpoint_of_another_recipe_is_not_used(tmp_path, capsys):
    """Its identity decides: training starts again from step 0."""
    first = trained(tmp_path)
    capsys.readouterr()
    module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    fit("module", module, lambda step: module(torch.ones(2, 4)).square().mean(), RECIPE, tmp_path, identity="other")
    assert "step 0/6" in capsys.readouterr().err
    assert not torch.equal(module.state_dict()["0.weight"], first["0.weight"])


def test_a_prepared_language_model_starts_from_single_words():
    """Before its first step nothing but the last word decides what comes next."""
    model = registry.build("lm", {"name": "llama", "llama": LLAMA}, path=None, load_weights=False).model
    initialise(model, seed=0, name="lm")
    contexts = torch.tensor([[5, 6, 7], [9, 8, 7]])
    before = model(input_ids=contexts).logits[:, -1]
    assert not torch.allclose(before[0], before[1])
    prepare(model)
    after = model(input_ids=contexts).logits[:, -1]
    torch.testing.assert_close(after[0], after[1])
    assert 0.5 < float(after.detach().std()) < 2


def test_answers_weigh_more_and_padding_nothing():
    """The loss is that of a mean in which an answer counts five times, whatever is padded."""
    model = registry.build("lm", {"name": "llama", "llama": LLAMA}, path=None, load_weights=False).model
    initialise(model, seed=0, name="lm")
    ids, mask, weights = Texts(6).batch(0)
    assert set(weights[mask].tolist()) == {1.0, 5.0}
    longer = [nn.functional.pad(tensor, (0, 3)) for tensor in (ids, mask, weights)]
    torch.testing.assert_close(weighted_loss(model, (ids, mask, weights)), weighted_loss(model, tuple(longer)))


def test_an_encoder_learns_from_pairs():
    """On the same pairs over and over, the loss falls well below where it started."""
    encoder = registry.build("vision", {"name": "nfnet_f0", "nfnet_f0": NFNET})
    initialise(encoder, seed=0, name="vision")
    torch.manual_seed(0)
    objective = PictureText(encoder)
    batch = Pairs(World(tiny_config(image_size=16)), 8).batch(0)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = objective(*batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_pairs_are_new_every_step_and_hold_nothing_out_of_the_world():
    """No picture comes twice; the words of content of each caption share its weight."""
    pairs = Pairs(World(tiny_config(image_size=16)), 8)
    first, second = pairs.batch(0), pairs.batch(1)
    assert not torch.equal(first[0], second[0])
    torch.testing.assert_close(first[2].sum(dim=1), torch.ones(8))


@pytest.mark.parametrize(
    ("slot", "name", "sizes", "file"),
    [
        ("vision", "nfnet_f0", NFNET, "encoder.safetensors"),
        ("vision", "clip_vit_l14", VIT, "encoder"),
        ("lm", "llama", LLAMA, "language_model"),
    ],
)
def test_a_part_is_read_back_by_its_component(tmp_path, monkeypatch, slot, name, sizes, file):
    """What was trained is what the component loads, to float16; the record has its hash and says what it can do."""
    monkeypatch.setattr(FrozenPart, "work_folder", property(lambda part: tmp_path / "work" / part.name))
    monkeypatch.setattr(
        "experiments.pretraining.quality.probe",
        lambda encoder, world, fit, test: probe(encoder, world, fit=60, test=40),
    )
    part = a_part(slot, name, sizes, tmp_path / "frozen" / file)
    module, quality = train_part(part)
    weights = {key: value.clone() for key, value in module.state_dict().items()}
    write_part(part, module, quality)
    if slot == "vision":
        loaded = registry.build("vision", {"name": name, name: {**sizes, "path": str(part.path)}})
    else:
        loaded = registry.build("lm", {"name": name, name: sizes}, path=str(part.path), load_weights=True).model
    for key, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, weights[key].half().float(), msg=key)
    record = read_record(part.path.parent)[name]
    assert record["sha256"] == content_hash(part.path)
    assert all(0 <= record[key] <= 100 for key in quality if key.endswith("%"))
    assert name in (part.path.parent / "README.md").read_text()


def test_a_part_that_is_done_is_not_made_again(monkeypatch, capsys):
    """The shipped record has this recipe's identity: nothing is trained."""
    monkeypatch.setattr("experiments.pretraining.parts.train_part", None)
    monkeypatch.setattr("subprocess.run", None)
    assert main(pretrain, ["scale=desk"]) == 0
    assert capsys.readouterr().err.count("is made already") == len(parts_of("desk"))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["scale=tiny"], ["`scale` is `tiny`", "desk"]),
        (["scale=desk", "part=nfnet_f7"], ["`part`", "did you mean `nfnet_f6`"]),
        (["parts=llama"], ["`parts`", "did you mean `part`"]),
        (["--quick"], ["--quick"]),
    ],
)
def test_a_wrong_command_is_refused(words, named, capsys):
    """Exit 2, with the key, what is allowed and a hint."""
    assert main(pretrain, words) == 2
    err = capsys.readouterr().err
    assert all(word in err for word in [*named, "hint:"])


def test_every_scale_with_recipes_has_its_sizes():
    """Each recipe names a component of its scale, and a path of its own."""
    for scale in scales():
        paths = [part.path for part in parts_of(scale).values()]
        assert len(set(paths)) == len(paths)
