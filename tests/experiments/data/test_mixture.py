"""Batches of a training step."""

from dataclasses import replace

import pytest
import torch

from experiments.data.config import DATASETS, DatasetConfig
from experiments.data.document import layout
from experiments.data.mixture import IGNORED, Mixture
from experiments.data.tokenizer import build_tokenizer, encode, eoc_token_id, image_token_id
from experiments.data.world.documents import document, num_documents
from tests.experiments.data.tiny_world import tiny_data, tiny_sources

TOKENIZER = build_tokenizer()
IMAGE_ID, EOC_ID = image_token_id(TOKENIZER), eoc_token_id(TOKENIZER)
STEPS = range(12)


def mixture(datasets: tuple[str, ...] = DATASETS, seed: int = 0) -> Mixture:
    """A mixture of the tiny world."""
    data = tiny_data(datasets)
    return Mixture(data, tiny_sources(data), seed=seed, tokenizer=TOKENIZER)


@pytest.fixture(scope="module")
def batches():
    """The first batches of every data set."""
    whole = mixture()
    return {dataset: [whole.batch(dataset, step) for step in STEPS] for dataset in DATASETS}


def rows(batch):
    """(ids, labels, times, media) of each example without its padding."""
    for place, count in enumerate(batch.attention_mask.sum(1).tolist()):
        yield batch.input_ids[place, :count], batch.labels[place, :count], batch.text_time[place, :count]


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_batch_does_not_depend_on_the_rest_of_the_mixture(dataset, batches):
    """Alone, in another order or asked for out of order, a data set gives the same batches bit for bit."""
    alone, turned = mixture((dataset,)), mixture(DATASETS[::-1])
    for step in reversed(STEPS):
        wanted = batches[dataset][step].fingerprint()
        assert alone.batch(dataset, step).fingerprint() == wanted
        assert turned.batch(dataset, step).fingerprint() == wanted


def test_datasets_are_in_the_mixtures_order():
    """A step goes through the data sets as the mixture lists them."""
    assert mixture(("vtp", "m3w")).datasets == ("vtp", "m3w")


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_seed_decides_the_order(dataset, batches):
    """Another seed reads the same examples in another order."""
    other = [mixture(seed=1).batch(dataset, step) for step in STEPS]
    assert [batch.example_ids for batch in other] != [batch.example_ids for batch in batches[dataset]]


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_epoch_reads_every_example_once(dataset):
    """No example comes twice before all have come, and the next epoch has another order."""
    whole, count = mixture(), num_documents(tiny_data().world, dataset)
    places = range(-(-2 * count // 4))
    read = [example for step in places for example in whole.batch(dataset, step).example_ids][: 2 * count]
    every = {f"{dataset}/{index}" for index in range(count)}
    assert set(read[:count]) == set(read[count:]) == every and read[:count] != read[count:]


def test_the_batch_size_is_the_data_sets_own():
    """Another batch size cuts the same stream of examples elsewhere."""
    data = tiny_data()
    larger = Mixture(
        replace(data, m3w=DatasetConfig(batch_size=8, loss_weight=1.0)), tiny_sources(data), seed=0, tokenizer=TOKENIZER
    )
    ids = [mixture().batch("m3w", step).example_ids for step in (2, 3)]
    assert larger.batch("m3w", 1).example_ids == ids[0] + ids[1]


@pytest.mark.parametrize("dataset", DATASETS)
def test_there_are_as_many_media_as_marks(dataset, batches):
    """Every example has as many `<image>` marks as media, and media lie flat in the examples' order."""
    for batch in batches[dataset]:
        marks = (batch.input_ids == IMAGE_ID).sum(1)
        assert torch.equal(marks, batch.media_counts)
        assert int(batch.media_counts.sum()) == len(batch.media) == len(batch.media_ids)
        media = [document(tiny_data().world, dataset, int(name.split("/")[1])).media for name in batch.example_ids]
        assert [medium for example in media for medium in example] == batch.media_ids


@pytest.mark.parametrize("dataset", DATASETS)
def test_learned_are_answers_and_ends_only(dataset, batches):
    """Labels equal the ids at each word of an answer and at `<EOC>`, and nowhere else."""
    for batch in batches[dataset]:
        for name, (ids, labels, _) in zip(batch.example_ids, rows(batch), strict=True):
            learned = labels != IGNORED
            assert torch.equal(labels[learned], ids[learned])
            chunks = document(tiny_data().world, dataset, int(name.split("/")[1])).chunks
            wanted = " ".join(f"{chunk.answer} <EOC>" for chunk in chunks)
            assert TOKENIZER.decode(ids[learned]) == wanted
            assert not learned[ids == IMAGE_ID].any() and learned[ids == EOC_ID].all() and not learned[0]
        assert (batch.labels[~batch.attention_mask] == IGNORED).all()
        assert (batch.input_ids[~batch.attention_mask] == TOKENIZER.pad_token_id).all()
        assert (batch.input_ids[:, 0] == TOKENIZER.bos_token_id).all()


@pytest.mark.parametrize("dataset", [name for name in DATASETS if name != "m3w"])
def test_pairs_see_the_medium_before_them(dataset, batches):
    """In pairs a token sees the running count of marks: the medium from its mark on; padding sees none."""
    for batch in batches[dataset]:
        count = (batch.input_ids == IMAGE_ID).cumsum(1) * batch.attention_mask
        assert torch.equal(batch.text_time, count)


def test_interleaved_text_sees_the_last_or_the_next_picture(batches):
    """About half of the pages see the running count of marks; the others the next mark, and none behind the last."""
    next_image = 0
    for batch in batches["m3w"]:
        for ids, _, times in rows(batch):
            count = (ids == IMAGE_ID).cumsum(0)
            following = torch.where(count < count[-1], count + 1, 0)
            assert torch.equal(times, count) != torch.equal(times, following)
            next_image += torch.equal(times, following)
        assert (batch.text_time[~batch.attention_mask] == 0).all()
    assert 15 <= next_image <= 33  # of 48; outside by chance in less than 1% of worlds


def test_learned_words_always_see_their_own_picture(batches):
    """Every learned word, and the token that predicts it, sees the picture that the word was written about."""
    for batch in batches["m3w"]:
        for name, (_, labels, times) in zip(batch.example_ids, rows(batch), strict=True):
            chunks = document(tiny_data().world, "m3w", int(name.split("/")[1])).chunks
            lengths = [len(encode(TOKENIZER, f"{chunk.answer} <EOC>")[0]) - 1 for chunk in chunks]
            owners = [number + 1 for number, length in enumerate(lengths) for _ in range(length)]
            positions = (labels != IGNORED).nonzero()[:, 0]
            assert times[positions].tolist() == owners
            assert times[positions - 1].tolist() == owners


def test_the_augmentation_changes_with_the_step_and_the_seed():
    """The same page comes with its text before and behind its pictures in different epochs."""
    whole, seen = mixture(), {}
    for step in range(40):
        batch = whole.batch("m3w", step)
        for name, (ids, _, _) in zip(batch.example_ids, rows(batch), strict=True):
            seen.setdefault(name, set()).add(bool(ids[1] == IMAGE_ID))
    assert sum(len(forms) == 2 for forms in seen.values()) > 10


def test_text_first_holds_the_same_words():
    """Both layouts of a page have the same questions and answers, marks in other places only."""
    page = document(tiny_data().world, "m3w", 3)
    before, after = (layout(page.chunks, text_first=text_first)[0].split() for text_first in (True, False))
    assert before != after
    assert [word for word in before if word != "<image>"] == [word for word in after if word != "<image>"]
    assert after[0] == "<image>" and before[-1] == "<image>"


def test_pages_hold_several_different_pictures():
    """A page has 2 to `max_media` pictures, none twice."""
    data, counts = tiny_data(), set()
    for index in range(num_documents(data.world, "m3w")):
        media = document(data.world, "m3w", index).media
        assert len(set(media)) == len(media)
        counts.add(len(media))
    assert counts == {2, 3}


@pytest.mark.parametrize("dataset", [name for name in DATASETS if name != "m3w"])
def test_each_medium_of_a_pair_comes_with_several_captions(dataset):
    """An epoch reads every medium once per caption, and the captions are drawn anew."""
    data = tiny_data()
    count = num_documents(data.world, dataset) // data.world.captions
    examples = [document(data.world, dataset, index) for index in range(num_documents(data.world, dataset))]
    assert [example.media for example in examples[:count]] == [example.media for example in examples[count:]]
    texts = [example.chunks[0].answer for example in examples]
    assert texts[:count] != texts[count:]
