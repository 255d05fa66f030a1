"""The shipped weights: what their record says they are, and able to do what they are there for."""

import pytest

from experiments.data.world import World
from experiments.pretraining.language import facts_known
from experiments.pretraining.parts import parts_of
from experiments.pretraining.quality import probe
from experiments.pretraining.shipped import read_record
from experiments.resolve import content_hash
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
    """What a small probe finds of each encoder."""
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
