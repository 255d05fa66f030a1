"""Scenes, pictures and facts of the world, and its fingerprint."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from experiments.common.checkout import ROOT
from experiments.data.config import DATASETS, DataConfig
from experiments.data.draws import generator
from experiments.data.picture import save_picture
from experiments.data.world import rendering, vocabulary, world
from experiments.data.world.captions import FULL, caption
from experiments.data.world.documents import document, num_documents
from experiments.data.world.rendering import render
from experiments.data.world.scenes import SOURCES, SPLITS, TEXT_SOURCES, Scene, Thing, scene, split_of
from experiments.data.world.text import lm_document, text_document
from experiments.evaluation.benchmark import published
from tests.experiments.data.tiny_world import fact_asked, tiny_data, tiny_source, tiny_sources, tiny_world

TRAINING = [name for name in SOURCES if name in DATASETS]
BENCHMARK_NAMES = [benchmark.name for benchmark in published()]
PER_SOURCE = 200


def ids(split: str, count: int = PER_SOURCE) -> list[str]:
    """The first media of a split, of every source that has some there."""
    names = [*TRAINING, *TEXT_SOURCES] if split == "train" else BENCHMARK_NAMES
    return [f"{split}/{name}/{index}" for name in names for index in range(count)]


def test_a_medium_looks_the_same_whatever_it_is_drawn_with():
    """Pixels depend on the id alone: not on order, on the rest of the call, or on what was drawn before."""
    wanted = [f"train/m3w/{index}" for index in range(40)]
    together = tiny_world().media(wanted)
    backwards = tiny_world().media(wanted[::-1])[::-1]
    one_by_one, used = tiny_world(), tiny_world()
    used.media(wanted[3:20])
    assert np.array_equal(together, backwards)
    assert np.array_equal(together, np.concatenate([one_by_one.media([medium]) for medium in wanted]))
    assert np.array_equal(together, used.media(wanted))
    assert len({picture.tobytes() for picture in together}) == len(wanted)


def test_another_process_draws_the_same_world():
    """Nothing depends on Python's hash seed: pixels, scenes and texts agree between processes."""
    script = (
        "import hashlib; from experiments.data.world.world import fingerprint\n"
        "from tests.experiments.data.tiny_world import fact_asked, tiny_data, tiny_world\n"
        "media = tiny_world().media(['test/coco/1', 'train/align/2']).tobytes()\n"
        "print(hashlib.sha256(media).hexdigest(), fingerprint(tiny_data().world))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("image_size", [16, 24, 48, 64])
def test_media_have_the_shape_of_the_config(image_size):
    """Pictures are (N, 1, 3, H, W) and clips (N, F, 3, H, W), uint8, at every size."""
    drawn = tiny_world(image_size=image_size)
    pictures, clips = drawn.media(["test/coco/0", "test/coco/1"]), drawn.media(["train/vtp/0"])
    assert pictures.shape == (2, 1, 3, image_size, image_size)
    assert clips.shape == (1, 3, 3, image_size, image_size)
    assert pictures.dtype == clips.dtype == np.uint8
    assert drawn.media([]).shape == (0, 1, 3, image_size, image_size)


@pytest.mark.parametrize("bad", ["coco", "test/coco", "test/coco/-1", "test/nothing/1", "dev/coco/1", "test/coco/1/2"])
def test_an_unknown_medium_is_refused_by_name(bad):
    """An id that names no medium raises and quotes it."""
    with pytest.raises(ValueError, match=bad):
        tiny_world().media([bad])


def test_pictures_and_clips_are_not_mixed():
    """One call returns one array, so it takes pictures only or clips only."""
    with pytest.raises(ValueError, match="pictures and clips"):
        tiny_world().media(["test/coco/0", "test/vatex/0"])


def test_drawn_media_are_kept_within_the_bound(monkeypatch):
    """The cache never holds more than its bound, and what it let go is drawn again alike."""
    size = 3 * 16 * 16
    monkeypatch.setattr(world, "_CACHE_BYTES", 10 * size)
    small, wanted = tiny_world(), [f"test/coco/{index}" for index in range(25)]
    first = small.media(wanted)
    assert sum(pixels.nbytes for pixels in small._drawn.values()) == small._drawn_bytes == 10 * size
    assert np.array_equal(small.media(wanted), first)


def test_splits_share_no_scene():
    """What can be said of a scene in one split is said of no scene of another split."""
    signatures = {split: {scene(medium).signature() for medium in ids(split)} for split in SPLITS}
    for split, own in signatures.items():
        assert not own & set().union(*(other for name, other in signatures.items() if name != split))


@pytest.mark.parametrize("split", SPLITS)
def test_each_scene_lies_in_its_split(split):
    """The split that an id names owns the scene: so splits stay apart however many scenes are drawn."""
    assert all(split_of(scene(medium)) == split for medium in ids(split))


def test_held_out_pairs_of_kind_and_colour_never_train():
    """No training or support medium shows a held-out pair; test media do; text tells of all pairs."""

    def pairs(split: str, names: list[str]) -> set[tuple[int, int]]:
        media = [f"{split}/{name}/{index}" for name in names for index in range(PER_SOURCE)]
        return {(thing.kind, thing.colour) for medium in media for thing in scene(medium).things}

    def held_out(found: set[tuple[int, int]]) -> set[tuple[int, int]]:
        return {pair for pair in found if vocabulary.held_out_pair(*pair)}

    assert not held_out(pairs("train", TRAINING)) and not held_out(pairs("support", BENCHMARK_NAMES))
    assert len(held_out(pairs("test", BENCHMARK_NAMES))) == 24  # one colour of each kind
    assert held_out(pairs("train", list(TEXT_SOURCES)))


def test_two_objects_differ_in_kind_and_colour():
    """So a question that names a kind or a colour has one answer."""
    for medium in [*ids("train"), *ids("test")]:
        things = scene(medium).things
        assert len({thing.kind for thing in things}) == len({thing.colour for thing in things}) == len(things)


def test_every_kind_colour_and_background_occurs_in_training():
    """Nothing that a benchmark asks about is missing from every training set's pictures."""
    shown = [scene(medium) for medium in ids("train")]
    things = [thing for each in shown for thing in each.things]
    assert {thing.kind for thing in things} == set(range(24))
    assert {thing.colour for thing in things} == set(range(8))
    assert {each.background for each in shown} == set(range(6))
    assert {each.motion for each in shown if each.motion is not None} == set(range(6))


def test_kinds_look_different():
    """At 48 pixels any two kinds differ by more than the noise does, in the same place and colour."""
    scenes = [Scene("train/coco/0", (Thing(kind, 0, 1),), None, 4, None) for kind in range(24)]
    pictures = render(scenes, image_size=48, frames=1).reshape(24, -1).astype(float)
    distances = np.abs(pictures[:, None] - pictures[None]).sum(-1)
    again = Scene("train/coco/1", (Thing(0, 0, 1),), None, 4, None)  # same look, so the same noise, by its id only
    assert not np.array_equal(pictures[0], render([again], image_size=48, frames=1).reshape(-1))
    assert distances[~np.eye(24, dtype=bool)].min() > 255 * 3 * 10  # ten pixels from black to white


def test_objects_stay_apart_and_in_the_picture():
    """In no frame does an object's circle meet the other's or leave the picture."""
    for medium in ids("train"):
        shown = scene(medium)
        jitter = generator("look", shown.id).random(16, dtype=np.float32)
        poses = [rendering._poses(shown, layer, 4, jitter) for layer in range(len(shown.things))]  # each (F, 4)
        for pose in poses:
            assert (np.abs(pose[:, :2]).max(1) + pose[:, 2] <= 1).all()
        if len(poses) == 2:
            apart = np.linalg.norm(poses[0][:, :2] - poses[1][:, :2], axis=1)
            assert (apart > poses[0][:, 2] + poses[1][:, 2]).all()


@pytest.mark.parametrize("motion", range(6))
def test_a_clip_moves_as_it_is_described(motion):
    """The moving object's centre or extent goes the way its motion says, from the first frame to the last."""
    thing = Thing(0, 0, None if vocabulary.MOTIONS[motion] in ("grows", "shrinks") else 0)
    clip = render([Scene("train/vtp/0", (thing,), None, 4, motion)], image_size=48, frames=4)[0].astype(float)
    red = (clip[:, 0] - clip[:, 1]).clip(60) - 60  # (F, H, W): a red disc on snow
    axis = np.linspace(-1, 1, 48)
    weight = red.sum((1, 2))
    x, y = (red.sum(1) * axis).sum(1) / weight, (red.sum(2) * axis).sum(1) / weight
    change = {"x": x[-1] - x[0], "y": y[-1] - y[0], "area": np.log(weight[-1] / weight[0])}
    expected = {"rises": ("y", -1), "falls": ("y", 1), "advances": ("x", 1), "retreats": ("x", -1)}
    key, sign = expected.get(vocabulary.MOTIONS[motion], ("area", 1 if vocabulary.MOTIONS[motion] == "grows" else -1))
    assert sign * change[key] > 0.7
    assert all(abs(value) < 0.2 for name, value in change.items() if name != key)


def test_there_is_enough_to_forget():
    """At least 150 facts, each one word of its own relation; seen or held out, no value is likelier than another."""
    relations = vocabulary.FACTS
    values = [value for relation in relations for value in relation.values]
    assert len(vocabulary.KINDS) * len(relations) >= 150
    assert len(set(values)) == len(values) and all(" " not in value for value in values)
    names = {*vocabulary.KINDS, *vocabulary.COLOURS, *vocabulary.BACKGROUNDS, *vocabulary.MOTIONS}
    assert not names & set(values)
    for number, relation in enumerate(relations):
        for seen in (True, False):
            kinds = [kind for kind in range(24) if vocabulary.fact_seen_with_pictures(kind, number) == seen]
            assert sorted(vocabulary.fact(kind, number) for kind in kinds) == sorted(relation.values)


def test_half_of_every_kinds_and_every_relations_facts_is_seen_with_pictures():
    """Held out are pairs, never a kind or a relation as a whole."""
    seen = np.array(
        [[vocabulary.fact_seen_with_pictures(kind, relation) for relation in range(8)] for kind in range(24)]
    )
    assert (seen.sum(0) == 12).all() and (seen.sum(1) == 4).all()


def assert_subject(medium, kind, subject):
    """What a question is about is the thing alone in the picture, or the one of that colour."""
    things = scene(medium).things
    (thing,) = [thing for thing in things if subject in ("this", f"the {vocabulary.COLOURS[thing.colour]} one")]
    assert thing.kind == kind
    assert (subject == "this") == (len(things) == 1)


def test_training_never_asks_a_held_out_fact():
    """No training document holds a (kind, relation) pair that OKVQA asks."""
    data, asked = tiny_data(), 0
    for dataset in DATASETS:
        for index in range(num_documents(data.world, dataset)):
            for chunk in document(data.world, dataset, index).chunks:
                found = fact_asked(chunk.question)
                if found is not None:
                    name, value = chunk.answer.split(" , ")
                    kind, (relation, subject) = vocabulary.KINDS.index(name), found
                    assert_subject(chunk.medium, kind, subject)
                    assert value == vocabulary.fact(kind, relation)
                    assert vocabulary.fact_seen_with_pictures(kind, relation)
                    asked += 1
    assert asked > 20


def test_the_form_of_a_fact_is_taught_by_several_data_sets():
    """Taking one data set out of the mixture leaves another that answers facts with name and value."""
    data = tiny_data()
    carriers = {
        dataset
        for dataset in DATASETS
        for index in range(num_documents(data.world, dataset))
        for chunk in document(data.world, dataset, index).chunks
        if " , " in chunk.answer
    }
    assert carriers == {"m3w", "ltip", "vtp"}


def test_text_states_every_fact_and_shows_no_picture():
    """The language model's text tells all facts, held-out ones too, and refers to no medium."""
    texts = [lm_document(None, index) for index in range(6000)]
    stated = {sentence for text in texts for sentence in text.split(" . ")}
    for kind, name in enumerate(vocabulary.KINDS):
        for relation, says in enumerate(vocabulary.FACTS):
            assert f"the {name} {says.says} {vocabulary.fact(kind, relation)}" in stated
    assert not any(text_document(index).media for index in range(300))


def test_a_full_caption_of_a_picture_leaves_nothing_out():
    """It reads size, colour and kind of both objects, how they stand, and the background, in either order."""
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    orders = []
    for index in range(PER_SOURCE):
        shown = scene(f"train/ltip/{index}")
        nouns = [
            f"a {vocabulary.SIZES[thing.size]} {vocabulary.COLOURS[thing.colour]} {vocabulary.KINDS[thing.kind]}"
            for thing in shown.things
        ]
        background = f"on {vocabulary.BACKGROUNDS[shown.background]}"
        if shown.place is None:
            allowed = [f"{nouns[0]} {background}"]
        else:
            where = vocabulary.RELATIONS[shown.place]
            allowed = [f"{nouns[0]} {where} {nouns[1]} {background}"]
            allowed += [f"{nouns[1]} {opposite[where]} {nouns[0]} {background}"]
        orders.append(allowed.index(caption(shown, generator("test", index), FULL)))
    assert set(orders) == {0, 1}


@pytest.mark.parametrize("medium", ["test/coco/3", "train/vtp/3"])
def test_a_saved_picture_is_large_enough_to_see(medium, tmp_path):
    """A PNG of whole-number enlargement, at least 192 pixels high; a clip's frames stand side by side."""
    drawn, path = tiny_world(), tmp_path / "picture.png"
    save_picture(tiny_source(), medium, path)
    pixels, frames = np.asarray(Image.open(path)), drawn.media([medium])[0]
    assert pixels.shape == (192, 192 * len(frames), 3)
    for number, frame in enumerate(frames):
        shown = pixels[::12, 192 * number : 192 * (number + 1) : 12]
        assert np.array_equal(shown, frame.transpose(1, 2, 0))


def fingerprint(data: DataConfig) -> str:
    """Of what a step reads."""
    return tiny_sources(data).fingerprint({role: role for role in data.mixture})


def test_the_fingerprint_moves_with_the_world_and_not_with_the_mixture(monkeypatch):
    """Every size, the version, the facts and the texts are in it; mixture, batch sizes and weights are not."""
    base = fingerprint(tiny_data())
    assert base == fingerprint(tiny_data(mixture=("laion",)))
    changed = [
        fingerprint(tiny_data(**{key: value + 1}))
        for key, value in {"image_size": 16, "frames": 3, "queries": 24, "captions": 2, "m3w_documents": 30}.items()
    ]
    assert len({base, *changed}) == len(changed) + 1
    with monkeypatch.context() as patch:
        patch.setattr(world, "VERSION", world.VERSION + 1)
        assert fingerprint(tiny_data()) != base
    with monkeypatch.context() as patch:
        patch.setattr("experiments.data.world.questions.fact", lambda kind, relation: "corn")
        assert fingerprint(tiny_data()) != base
    with monkeypatch.context() as patch:
        patch.setattr("experiments.data.world.documents.SHORT", FULL)
        assert fingerprint(tiny_data()) != base
