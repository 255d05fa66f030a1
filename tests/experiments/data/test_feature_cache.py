"""The feature cache: what the encoder says, encoded once, never trusted unread, never in timing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.data.feature_cache import FeatureCache
from experiments.data.sources.world import WorldSource
from experiments.spec.spec import make_spec
from experiments.training.build import build_model
from experiments.training.timing import time_rows
from tests.experiments.data.tiny_world import tiny_config

CPU = torch.device("cpu")
PICTURES = ["train/m3w/3", "test/coco/1", "train/m3w/0", "support/vqav2/5"]
CLIPS = ["train/vtp/7", "test/vatex/2"]


@pytest.fixture(scope="module")
def model():
    """A tiny model."""
    return build_model(make_spec("scale=tiny"), CPU)


@pytest.fixture
def cache(model, tmp_path):
    """An empty cache of its own."""
    return FeatureCache(model, WorldSource(tiny_config(image_size=24)), folder=tmp_path)


def again(cache, tmp_path):
    """The same cache as another process opens it."""
    return FeatureCache(cache._model, WorldSource(cache.source.config), folder=tmp_path)


@pytest.mark.parametrize("ids", [PICTURES, CLIPS, PICTURES[:1]])
def test_it_says_what_the_encoder_says(cache, model, ids):
    """In the order asked for, to the precision of float16."""
    encoded = model.encode_media(torch.from_numpy(np.stack(cache.source.media(ids))))
    torch.testing.assert_close(cache.of(ids), encoded, rtol=2e-3, atol=2e-3)


def test_what_is_there_is_not_encoded_again(cache, tmp_path, monkeypatch):
    """A second opening reads the same values without the encoder."""
    first = cache.of(PICTURES)
    monkeypatch.setattr(type(cache._model), "encode_media", None)
    assert torch.equal(again(cache, tmp_path).of(PICTURES), first)


def test_what_is_whole_is_read_without_a_lock(cache, tmp_path, monkeypatch):
    """Nothing is written: no lock is made beside it, and a folder that is only to be read will do."""
    first = cache.of(PICTURES)
    for lock in tmp_path.glob("*/*.lock"):
        lock.unlink()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("filelock.FileLock", None)
    assert torch.equal(again(cache, tmp_path).of(PICTURES), first)
    elsewhere = FeatureCache(
        cache._model, WorldSource(cache.source.config), folder=tmp_path / "empty", more_in=tmp_path
    )
    assert torch.equal(elsewhere.of(PICTURES), first)
    assert sorted(tmp_path.rglob("*")) == before


def test_without_a_folder_to_write_in_it_says_so_once_and_encodes(cache, capsys):
    """The same features, whether they are kept or not."""
    nowhere = FeatureCache(
        cache._model, WorldSource(cache.source.config), folder=Path("/proc/nothing/can/be/made/here")
    )
    assert torch.equal(nowhere.of(PICTURES), cache.of(PICTURES))
    assert capsys.readouterr().err.count("cannot be written to") == 1


@pytest.mark.parametrize("damage", ["cut short", "altered", "replaced"])
def test_damage_is_noticed_and_mended(cache, tmp_path, capsys, damage):
    """A file that is not what was written is told of, and made again with the same content."""
    first = cache.of(PICTURES)
    (file,) = tmp_path.glob("*/train-m3w-*.safetensors")
    content = file.read_bytes()
    if damage == "cut short":
        file.write_bytes(content[:-100])
    elif damage == "altered":
        file.write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])
    else:
        (other,) = tmp_path.glob("*/test-coco-*.safetensors")
        file.write_bytes(other.read_bytes()[:200])
    assert torch.equal(again(cache, tmp_path).of(PICTURES), first)
    assert "encoding again" in capsys.readouterr().err
    assert file.read_bytes() == content


def test_its_key_moves_with_weights_and_pictures(cache, model, tmp_path):
    """Another encoder, other weights, another size of picture or number of frames: another folder."""
    with torch.no_grad():
        moved = build_model(make_spec("scale=tiny"), CPU)
        next(moved.vision.parameters()).view(-1)[0] += 1e-3
    keys = {
        FeatureCache(each, WorldSource(tiny_config(**sizes)), folder=tmp_path)._folder
        for each, sizes in [
            (model, {"image_size": 24}),
            (moved, {"image_size": 24}),
            (build_model(make_spec("scale=tiny", "ablation=vision_nfnet_f0"), CPU), {"image_size": 24}),
            (model, {"image_size": 32}),
            (model, {"image_size": 24, "frames": 2}),
        ]
    }
    assert len(keys) == 5


def test_what_trains_does_not_move_its_key(tmp_path):
    """Rows of other blocks, other seeds and longer training share one encoder's features."""
    world = WorldSource(tiny_config())
    keys = {
        FeatureCache(build_model(make_spec("scale=tiny", *words), CPU), world, folder=tmp_path)._folder
        for words in (["seed=1"], ["ablation=xattn_every_4th"], ["ablation=resampler_mlp"], ["train.steps=3"])
    }
    assert len(keys) == 1


def test_timing_encodes_for_itself(monkeypatch):
    """A whole step has its pixels: the timing pass works where the cache would fail."""
    monkeypatch.setattr(FeatureCache, "of", None)
    own, other = time_rows(make_spec("scale=tiny"), None, CPU)
    assert own.step_time_s > 0
    assert other is None
