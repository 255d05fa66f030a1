"""The shipped weights: what their record says they are, and able to do what they are there for."""

import shutil
from dataclasses import replace

import pytest

from experiments.command.cli import main
from experiments.common.checkout import ROOT
from experiments.data.world.world import World
from experiments.pretraining.language import facts_known
from experiments.pretraining.parts import parts_of
from experiments.pretraining.quality import probe
from experiments.pretraining.shipped import is_made, read_record
from experiments.run import run
from experiments.spec import resolve
from experiments.spec.identity import content_hash
from experiments.spec.resolve import RECORD_FILE
from experiments.table3 import table3
from flamingo_core import registry

PARTS = parts_of("desk")
FEW = {"fit": 1200, "test": 300}


def encoder(name):
    """A shipped encoder, loaded as a model loads it."""
    part = PARTS[name]
    return registry.build("vision", {"name": name, name: {**part.sizes, "path": str(part.path)}})


@pytest.mark.parametrize("name", PARTS)
def test_it_is_the_file_that_its_record_describes(name):
    """Hash, size and recipe are those written down when it was made."""
    part = PARTS[name]
    record = read_record(part.path.parent)[name]
    assert record["sha256"] == content_hash(part.path)
    assert record["identity"] == part.identity
    assert f"`{record['sha256']}`" in (part.path.parent / "README.md").read_text()


def test_together_they_are_small():
    """A clone carries six megabytes of them at most."""
    folder = PARTS["llama"].path.parent
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= 6e6


@pytest.fixture(scope="module")
def probed():
    """The scores of a small probe on each encoder."""
    return {
        name: probe(encoder(name), World(part.world), **FEW) for name, part in PARTS.items() if part.slot == "vision"
    }


def test_encoders_see_what_a_few_pictures_can_show(probed):
    """Colour and background by nearly all; kinds best by the largest, clearly worse by the smallest."""
    for found in probed.values():
        assert found["colour"] > 90
        assert found["background"] > 90
    assert probed["nfnet_f6"]["kind"] > 75
    assert probed["nfnet_f6"]["kind"] > probed["nfnet_f0"]["kind"] + 15


def test_the_language_model_knows_its_facts():
    """Asked in text, it says all of them."""
    part = PARTS["llama"]
    choice = {"name": "llama", "llama": part.sizes}
    model = registry.build("lm", choice, path=str(part.path), load_weights=True).model
    assert facts_known(model.eval()) > 95


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The shipped parts in another folder, which a YAML's paths lead to."""
    shutil.copytree(ROOT / "experiments" / "frozen", tmp_path / "experiments" / "frozen")
    monkeypatch.setattr(resolve, "ROOT", tmp_path)
    return tmp_path / "experiments" / "frozen" / "desk"


def flip(file):
    """One bit of a file is another."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


@pytest.mark.parametrize("name", ["nfnet_f6.safetensors", "llama/model.safetensors", "llama/config.json"])
def test_a_part_that_is_not_as_shipped_is_refused(name, checkout, store_file, capsys):
    """Exit 2 before anything runs: the file, what was expected, what was found, and the way back."""
    flip(checkout / name)
    part = checkout / name.split("/")[0]
    expected = next(one["sha256"] for one in read_record(checkout).values() if one["file"] == part.name)
    before = store_file.read_bytes()
    for command, words in ((run, ["--cfg", "job"]), (run, ["--workers=1"]), (table3, ["--rows", "resampler_mlp"])):
        assert main(command, ["scale=desk", *words]) == 2
        out, err = capsys.readouterr()
        assert out == "" and str(part) in err and expected in err and content_hash(part) in err
        assert err.count("error: ") == 1 and f"git checkout {part}" in err and "experiments.pretrain" in err
    assert store_file.read_bytes() == before and [file.name for file in store_file.parent.iterdir()] == ["mlflow.db"]
    slot = PARTS[name.split("/")[0].split(".")[0]]
    assert is_made(slot) and not is_made(replace(slot, path=part)), "pretrain makes it again"


@pytest.mark.parametrize("content", ["", "[]", '{"llama": {}}'])
def test_a_record_that_cannot_be_read_is_refused(content, checkout, capsys):
    """Nobody could say what was shipped."""
    (checkout / RECORD_FILE).write_text(content)
    assert main(run, ["scale=desk", "--cfg", "job"]) == 2
    err = capsys.readouterr().err
    assert str(checkout / RECORD_FILE) in err and "git checkout" in err


def test_parts_of_ones_own_have_no_record(checkout, capsys):
    """Weights that no record lies beside are another model, by their hash, and nobody's mistake."""
    (checkout / RECORD_FILE).unlink()
    flip(checkout / "nfnet_f6.safetensors")
    assert main(run, ["scale=desk", "--cfg", "job"]) == 0
