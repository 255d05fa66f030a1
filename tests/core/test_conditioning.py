"""Which token sees which medium, in whole models of every family and architecture."""

import pytest
import torch

from flamingo_core.conditioning import ConditionedLayer
from flamingo_core.media_mask import MediaCountError, group_media
from tests.core import build
from tests.core.build import BOS, EOC, IMAGE

IDS = torch.tensor([[BOS, 5, IMAGE, 6, 7, IMAGE, 8, 9]])
SEES_FIRST, SEES_SECOND, SEES_NONE = slice(2, 5), slice(5, 8), slice(0, 2)


def logits(model, media, ids=IDS, **more):
    counts = torch.tensor([int((row == IMAGE).sum()) for row in ids])
    with torch.no_grad():
        return model(ids, media=media, media_counts=counts, **more).logits


@pytest.mark.parametrize("family", build.FAMILIES)
@pytest.mark.parametrize("placement", build.PLACEMENTS)
def test_a_new_model_equals_its_language_model_bit_for_bit(family, placement):
    """Zero gates: media change nothing, whatever the family and wherever the blocks stand."""
    model = build.model(lm=family, placement=placement, gates=None)
    assert all(layer.block.starts_as_identity for layer in model.conditioned_layers())
    with_media = logits(model, build.pixels(2))
    blocks = {layer: layer.block for layer in model.conditioned_layers()}
    for layer in blocks:
        layer.block = None
    with torch.no_grad():
        bare = model.lm(input_ids=IDS).logits
    assert torch.equal(with_media, bare)


@pytest.mark.parametrize("changes", [{"xattn": "vanilla"}, {"xattn": "grafting"}, {"tanh_gating": False}], ids=str)
def test_an_architecture_without_gates_does_not_promise_to_start_as_its_language_model(changes):
    """What says it does not start as identity really does not."""
    model = build.model(gates=None, **changes)
    assert not any(layer.block.starts_as_identity for layer in model.conditioned_layers())
    plain = build.model(gates=None)
    assert not torch.allclose(logits(model, build.pixels(2)), logits(plain, build.pixels(2)))


@pytest.mark.parametrize("xattn", build.BLOCKS)
@pytest.mark.parametrize("family", build.FAMILIES)
def test_only_tokens_that_see_a_medium_move_with_it(family, xattn):
    """Touch medium k: what comes before its mark stays bit-equal, its own tokens move; seen one token at a time.

    Self-attention carries a medium to later tokens, so the law is stated on what blocks add, and on logits before it.
    """
    model, media = build.model(lm=family, xattn=xattn), build.pixels(2)
    touched = media.clone()
    touched[1] = 255 - touched[1]
    before, after = logits(model, media), logits(model, touched)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.isclose(before[:, 5:], after[:, 5:]).all(dim=-1).any()


@pytest.mark.parametrize("xattn", build.BLOCKS)
def test_what_a_block_adds_depends_on_the_one_medium_a_token_sees(xattn):
    """A block's output at tokens of medium 1 does not move with medium 2, even after it, and the reverse."""
    layer = next(build.model(xattn=xattn).conditioned_layers())
    from flamingo_core.media_mask import MediaMask, text_time_of

    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(1, 8, build.WIDTH, generator=generator, dtype=torch.float64)
    tokens = torch.randn(1, 2, 5, build.WIDTH, generator=generator, dtype=torch.float64)
    mask = MediaMask.of(text_time_of(IDS, IMAGE), num_media=2, num_tokens=5)

    def read(changed: int | None):
        media = tokens.clone()
        if changed is not None:
            media[:, changed] += 1
        return layer.block(hidden, layer.block.project_media(media), mask)

    plain = read(None)
    for changed, seen in ((0, SEES_FIRST), (1, SEES_SECOND)):
        moved = (read(changed) != plain).any(dim=-1)[0]
        expected = torch.zeros(8, dtype=torch.bool)
        expected[seen] = True
        assert torch.equal(moved, expected)


@pytest.mark.parametrize("xattn", build.BLOCKS)
def test_the_gradient_of_a_medium_comes_from_the_tokens_that_see_it(xattn):
    """Backward: the loss of tokens before a medium gives it exactly no gradient; that of its own tokens does."""
    model = build.model(xattn=xattn)
    features = model.encode_media(build.pixels(2)).requires_grad_()
    output = model(IDS, media_features=features, media_counts=torch.tensor([2]))
    output.logits[:, :5].square().sum().backward(retain_graph=True)
    assert features.grad[0].abs().max() > 0
    assert torch.equal(features.grad[1], torch.zeros_like(features.grad[1]))
    features.grad = None
    output.logits[:, 5:].square().sum().backward()
    assert features.grad[1].abs().max() > 0


@pytest.mark.parametrize("xattn", build.BLOCKS)
def test_before_any_image_attention_adds_exactly_zero(xattn):
    """Tokens that see nothing, whole rows of them too, are as without media; nothing becomes NaN, also backward."""
    model = build.model(xattn=xattn)
    ids = torch.tensor([[BOS, 5, 6, 7], [BOS, 5, IMAGE, 7], [BOS, IMAGE, IMAGE, 8]])
    features = model.encode_media(build.pixels(3)).requires_grad_()
    output = model(ids, media_features=features, media_counts=torch.tensor([0, 1, 2]), labels=ids)
    alone = model(ids[:1], labels=ids[:1])
    torch.testing.assert_close(output.logits[0], alone.logits[0], rtol=0, atol=1e-12)
    output.logits[0].sum().backward(retain_graph=True)
    assert torch.equal(features.grad, torch.zeros_like(features.grad))
    output.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_text_can_be_told_which_medium_it_sees():
    """`text_time` for the next image: the first tokens see medium 1, the last see none."""
    model, media = build.model(), build.pixels(2)
    time = torch.tensor([[1, 1, 1, 2, 2, 2, 0, 0]])
    touched = media.clone()
    touched[0] = 255 - touched[0]
    before, after = logits(model, media, text_time=time), logits(model, touched, text_time=time)
    assert not torch.isclose(before[:, 0], after[:, 0]).all()
    default = logits(model, media)
    assert not torch.isclose(before[:, 3:5], default[:, 3:5]).all()


@pytest.mark.parametrize("family", build.FAMILIES)
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_agrees_with_its_examples_one_by_one(family, side):
    """Rows of 2, 1 and 0 media and different lengths: padding and company change no logit."""
    model, media = build.model(lm=family), build.pixels(3)
    batch = build.padded(build.prompts(), side=side)
    together = logits_of(model, batch, media)
    for row, (ids, own) in enumerate(zip(build.prompts(), media.split([2, 1, 0]), strict=True)):
        alone = logits_of(model, build.padded([ids]), own)
        kept = batch["attention_mask"][row].bool()
        torch.testing.assert_close(together[row, kept], alone[0], rtol=0, atol=1e-10)


def logits_of(model, batch, media):
    with torch.no_grad():
        return model(**batch, media=media).logits


@pytest.mark.parametrize("marks, count", [(2, 1), (1, 2), (0, 1)])
def test_a_wrong_number_of_marks_names_the_example(marks, count):
    """More or fewer `<image>` marks than media is an error, never a guess."""
    ids = torch.tensor([[BOS, IMAGE, 6, 7], [BOS] + [IMAGE] * marks + [8] * (3 - marks)])
    with pytest.raises(MediaCountError, match=rf"example m3w/7 has {marks} `<image>` marks and {count} media"):
        build.model()(
            ids,
            media=build.pixels(1 + count),
            media_counts=torch.tensor([1, count]),
            example_ids=["m3w/6", "m3w/7"],
        )


def test_counts_must_add_up_to_the_media():
    """A medium too many or too few over the whole batch is an error as well."""
    with pytest.raises(MediaCountError, match="sums to 2, but 3 media"):
        group_media(torch.zeros(3, 5, 4), torch.tensor([1, 1]))


def test_a_failed_call_leaves_nothing_behind():
    """No state on layers: after an error the next call answers as before."""
    model, media = build.model(), build.pixels(2)
    before = logits(model, media)
    with pytest.raises(MediaCountError):
        model(IDS, media=build.pixels(1), media_counts=torch.tensor([1]))
    assert torch.equal(logits(model, media), before)
    held = [value for layer in model.modules() if isinstance(layer, ConditionedLayer) for value in vars(layer).values()]
    assert not any(isinstance(value, torch.Tensor) for value in held)


def test_end_of_chunk_is_an_ordinary_token():
    """Only `<image>` moves the count: text after <EOC> still sees the image before it."""
    model, media = build.model(), build.pixels(1)
    ids = torch.tensor([[BOS, IMAGE, 6, EOC, 7]])
    touched = 255 - media
    assert not torch.isclose(logits(model, media, ids)[:, 4], logits(model, touched, ids)[:, 4]).all()
