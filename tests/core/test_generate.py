"""`generate`: with and without the cache, greedy and beams, and how often media are projected."""

import pytest
import torch

from flamingo_core.conditioning import FlamingoCache
from tests.core import build

NEW = 8


def generate(model, batch, media, **more):
    return model.generate(
        batch["input_ids"],
        attention_mask=batch["attention_mask"],
        media=media,
        media_counts=batch["media_counts"],
        max_new_tokens=NEW,
        do_sample=False,
        **more,
    )


def lively(**choices):
    """A model whose next token depends on much: its head is not the tiny one it was drawn as."""
    model = build.model(**choices)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and not name.startswith("vision"):
                parameter.mul_(3)
    return model


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("xattn", build.BLOCKS)
@pytest.mark.parametrize("family", build.FAMILIES)
def test_cached_decoding_equals_uncached(family, xattn, beams):
    """Token for token, over a ragged batch padded on the left with 2, 1 and 0 media."""
    model, media = lively(lm=family, xattn=xattn), build.pixels(3)
    batch = build.padded(build.prompts())
    cached = generate(model, batch, media, num_beams=beams)
    uncached = generate(model, batch, media, num_beams=beams, use_cache=False)
    assert torch.equal(cached, uncached)
    assert len(cached[:, batch["input_ids"].shape[1] :].unique()) > 2, "a model that repeats one token proves nothing"


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", build.FAMILIES)
def test_cached_logits_equal_uncached(family, side):
    """The prompt with a cache, then token after token, gives the logits of one pass, padded on either side."""
    model, media = lively(lm=family), build.pixels(3)
    batch = build.padded(build.prompts(), side=side)
    ids, mask, counts = batch["input_ids"], batch["attention_mask"], batch["media_counts"]
    more = torch.tensor([[20, 21, 22], [23, 24, 25], [26, 27, 28]])
    whole_ids = torch.cat([ids, more], dim=1)
    whole_mask = torch.cat([mask, torch.ones_like(more)], dim=1)
    positions = (whole_mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        expected = model(whole_ids, whole_mask, media=media, media_counts=counts).logits
        cache = FlamingoCache(model.resample(media, None, counts), counts)
        length = ids.shape[1]
        model(ids, mask, past_key_values=cache, position_ids=positions[:, :length])
        for place in range(more.shape[1]):
            here = slice(length + place, length + place + 1)
            step = model(
                whole_ids[:, here], whole_mask[:, : here.stop], past_key_values=cache, position_ids=positions[:, here]
            )
            torch.testing.assert_close(step.logits, expected[:, here], rtol=0, atol=1e-9)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("xattn", build.BLOCKS)
def test_media_are_encoded_resampled_and_projected_once(xattn, beams):
    """One call of each block's key and value map a `generate`, on the prompts' rows, for any length and beams."""
    model, media, calls = lively(xattn=xattn), build.pixels(3), []
    for name, part in (("vision", model.vision), ("resampler", model.resampler)):
        part.register_forward_hook(lambda *_, name=name: calls.append(name))
    for layer in model.conditioned_layers():
        layer.block.attention.to_kv.register_forward_hook(
            lambda _, arguments, __, index=layer.index: calls.append((index, arguments[0].shape[0]))
        )
    batch = build.padded(build.prompts())
    generate(model, batch, media, num_beams=beams)
    rows = len(build.prompts())
    blocks = [(layer.index, rows) for layer in model.conditioned_layers()]
    assert calls == ["vision", "resampler", *blocks]


def test_while_decoding_only_the_last_medium_of_each_row_is_kept():
    """The cache holds L keys a row, whatever the number of shots."""
    model, media, batch = build.model(), build.pixels(3), build.padded(build.prompts())
    cache = FlamingoCache(model.resample(media, None, batch["media_counts"]), batch["media_counts"])
    with torch.no_grad():
        model(batch["input_ids"], batch["attention_mask"], past_key_values=cache)
    assert cache.media is None
    tokens = build.BRANCHES["resampler"]["perceiver"]["num_latents"]
    assert all(x.shape[:3] == (3, 1, tokens) for projected in cache.projected.values() for x in projected)


def test_a_cache_follows_rows_that_are_selected_and_repeated():
    """Reorder, repeat and select move a row's media with its text."""
    model, media, batch = lively(), build.pixels(3), build.padded(build.prompts())
    ids, mask, counts = batch["input_ids"], batch["attention_mask"], batch["media_counts"]
    rows = torch.tensor([1, 0, 2, 0])
    token = torch.tensor([[30]] * 4)

    def filled():
        cache = FlamingoCache(model.resample(media, None, counts), counts)
        model(ids, mask, past_key_values=cache)
        return cache

    def step(cache, order):
        whole = torch.cat([mask[order], torch.ones(len(order), 1, dtype=torch.long)], dim=1)
        positions = whole.sum(-1, keepdim=True) - 1
        return model(token[: len(order)], whole, past_key_values=cache, position_ids=positions).logits

    with torch.no_grad():
        straight = step(filled(), torch.arange(3))
        reordered = filled()
        reordered.reorder_cache(rows)
        torch.testing.assert_close(step(reordered, rows), straight[rows], rtol=0, atol=1e-10)
        repeated = filled()
        repeated.batch_select_indices(torch.tensor([2, 0]))
        repeated.batch_repeat_interleave(2)
        order = torch.tensor([2, 2, 0, 0])
        torch.testing.assert_close(step(repeated, order), straight[order], rtol=0, atol=1e-10)


def test_an_all_ones_mask_may_be_missing():
    """`generate` drops it: one row without padding is answered the same with a mask and without."""
    model, media = lively(), build.pixels(2)
    batch = build.padded(build.prompts()[:1])
    without = model.generate(
        batch["input_ids"], media=media, media_counts=batch["media_counts"], max_new_tokens=NEW, do_sample=False
    )
    assert torch.equal(without, generate(model, batch, media))


def test_company_changes_no_answer():
    """A batch of one and a batch of many write the same."""
    model, media, batch = lively(), build.pixels(3), build.padded(build.prompts())
    together = generate(model, batch, media)[:, batch["input_ids"].shape[1] :]
    for row, (ids, own) in enumerate(zip(build.prompts(), media.split([2, 1, 0]), strict=True)):
        alone = generate(model, build.padded([ids]), own)[0, len(ids) :]
        assert torch.equal(together[row, : len(alone)], alone)


def test_images_are_never_generated():
    """`<image>` is suppressed: a model that wants nothing else writes something else."""
    model, batch = build.model(), build.padded(build.prompts()[:1])
    head = model.lm.get_output_embeddings()
    with torch.no_grad():
        head.weight.zero_()
        head.weight[build.IMAGE] = 1.0
    written = generate(model, batch, build.pixels(2))
    assert build.IMAGE not in written[0, batch["input_ids"].shape[1] :]
