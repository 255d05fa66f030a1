"""Work done once, kept once or left out: results are those of the plain way."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy, layer_norm, linear

from benchmarks.measure import saved_bytes
from benchmarks.shape import draw_batch
from benchmarks.training_step import OURS
from benchmarks.training_step import make_sides as sides_of_a_training_step
from flamingo_core import registry
from flamingo_core.cost import BatchShape, count_flops, estimate
from flamingo_core.feed_forward import FeedForward, squared_relu
from flamingo_core.flamingo import token_loss
from flamingo_core.media_mask import MediaMask
from flamingo_core.xattn.attention import MediaCrossAttention
from tests.core import build

NUM_MEDIA, NUM_TOKENS, WIDTH = 4, 3, 12
SEES = {
    "even": [[1, 1, 2, 2, 3, 3, 4, 4], [1, 1, 2, 2, 3, 3, 4, 4]],
    "ragged": [[0, 0, 1, 2, 2, 3, 3, 3], [0, 0, 0, 0, 1, 1, 1, 1]],
    "the next medium": [[1, 2, 2, 2, 3, 3, 4, 0], [1, 1, 2, 2, 3, 3, 0, 0]],
    "any order": [[4, 1, 3, 0, 1, 4, 3, 2], [2, 0, 2, 1, 0, 2, 1, 0]],
    "a row without": [[0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 4, 4, 4, 4, 2]],
}


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("layout", SEES)
def test_reading_medium_by_medium_equals_reading_all_under_a_mask(layout):
    """Results and every gradient; a token that sees nothing gets exactly zero."""
    mask = MediaMask.of(torch.tensor(SEES[layout]), num_media=NUM_MEDIA, num_tokens=NUM_TOKENS)
    assert mask.by_medium is not None
    module = MediaCrossAttention(WIDTH, num_heads=2, head_dim=4).double()
    results, gradients = [], []
    for variant in (mask, replace(mask, by_medium=None)):
        hidden = numbers(2, 8, WIDTH).requires_grad_()
        media = numbers(2, NUM_MEDIA, NUM_TOKENS, WIDTH, seed=1).requires_grad_()
        result = module(hidden, module.project_media(media), variant)
        results.append(result)
        gradients.append(torch.autograd.grad(result.square().sum(), (hidden, media, *module.parameters())))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-12)
    assert not results[0][torch.tensor(SEES[layout]) == 0].any()
    for by_medium, masked in zip(*gradients, strict=True):
        torch.testing.assert_close(by_medium, masked, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "sees", [[[1] * 5 + [2] * 3], [[0] * 8], [[1, 1, 2, 2, 3, 3, 4, 4], [1] * 8], [[]]], ids=lambda sees: str(sees)
)
def test_media_are_read_under_the_mask_where_filling_up_costs_more(sees):
    """More than half of the tokens at one medium, in any row, or none at any: there is nothing to save."""
    time = torch.tensor(sees, dtype=torch.long)
    assert MediaMask.of(time, num_media=NUM_MEDIA, num_tokens=NUM_TOKENS).by_medium is None


def test_flops_are_estimated_for_all_media_and_never_exceeded():
    """The estimate knows no layout, so it is what the mask would cost; with the texts of two media even, it is less."""
    ids = torch.tensor([[build.IMAGE, 7, 8, 9, build.IMAGE, 10, 11, 12]])
    batch = {"input_ids": ids, "media": build.pixels(2).double() / 255, "media_counts": torch.tensor([2])}
    shape = BatchShape(tokens=8, media_counts=(2,), frames=build.FRAMES, image_size=build.IMAGE_SIZE)
    spent, planned = count_flops(build.model(), {**batch, "labels": ids}), estimate(build.config(), [shape])
    assert spent["xattn"] < planned.flops_by_slot["xattn"]
    assert {**spent, "xattn": 0} == {**planned.flops_by_slot, "xattn": 0}


def test_a_squared_relu_and_the_map_after_it_are_what_they_are_apart():
    """Bit for bit, forwards and backwards; the second derivative is that of the first."""
    module = FeedForward(6, 4).double()
    x = numbers(2, 3, 6).requires_grad_()
    normed = layer_norm(x, (6,), module.norm.weight, module.norm.bias, module.norm.eps)
    plain = linear(squared_relu(module.up(normed)), module.down.weight)
    assert torch.equal(module(x), plain)
    inputs = (x, *module.parameters())
    gradients = [torch.autograd.grad(result.square().sum(), inputs) for result in (module(x), plain)]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*gradients, strict=True))
    weight = numbers(6, 24, seed=2).requires_grad_()
    assert torch.autograd.gradgradcheck(
        lambda x, weight: torch.func.functional_call(module, {"down.weight": weight}, (x,)), (x, weight)
    )


def test_a_squared_relu_computes_in_the_precision_of_autocast():
    """Gradients arrive in the weights' own precision."""
    module = FeedForward(6, 4)
    with torch.autocast("cpu", torch.bfloat16):
        result = module(numbers(2, 3, 6).float())
    assert result.dtype == torch.bfloat16
    result.float().square().sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in module.parameters())


def test_a_feed_forward_keeps_one_wide_activation():
    """Of the tensors kept for the backward pass one, by its storage, is as wide as the hidden layer."""
    module, kept = FeedForward(6, 4), []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        module(torch.randn(2, 3, 6, requires_grad=True))
    parameters = {parameter.data_ptr() for parameter in module.parameters()}
    wide = {x.data_ptr() for x in kept if x.numel() == 2 * 3 * 24} - parameters
    assert len(wide) == 1


def test_the_latents_start_out_as_those_of_one_medium():
    """The first layer maps them once, however many media there are; the next maps each medium's own."""
    module = registry.build("resampler", build.choice("resampler", "perceiver"), in_width=12, out_width=20)
    rows = []
    for layer in module.layers:
        layer.to_q.register_forward_hook(lambda _, arguments, __: rows.append(len(arguments[0])))
    module(torch.randn(5, 1, 4, 12))
    assert rows == [1, 5]


def test_generate_computes_logits_of_the_last_token_only():
    """Of the prompt too, whose other logits nobody reads."""
    model, batch, lengths = build.model(), build.padded(build.prompts()), []
    model.lm.get_output_embeddings().register_forward_hook(
        lambda _, arguments, __: lengths.append(arguments[0].shape[1])
    )
    model.generate(**batch, media=build.pixels(3), max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert lengths == [1, 1, 1]


def test_the_loss_is_the_mean_over_the_next_tokens_that_have_a_label():
    """The last token of a row predicts nothing, least of all the first of the next row."""
    logits, labels = numbers(2, 4, 7).requires_grad_(), torch.tensor([[3, -100, 5, 6], [1, 2, -100, 0]])
    places = [(0, 1, 5), (0, 2, 6), (1, 0, 2), (1, 2, 0)]  # row, token, the label of the next
    plain = torch.stack([cross_entropy(logits[row, token], torch.tensor(label)) for row, token, label in places]).mean()
    loss = token_loss(logits, labels)
    torch.testing.assert_close(loss.double(), plain, rtol=1e-6, atol=0)
    ours, theirs = (torch.autograd.grad(each, logits)[0] for each in (loss, plain))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)
    assert not token_loss(logits, torch.full_like(labels, -100))


@pytest.mark.parametrize("even", [True, False])
def test_a_training_step_keeps_less_than_those_of_public_peers(even):
    """At equal shape and within 2% as many trained parameters: flamingo-pytorch's parts, transformers' Idefics."""
    batch, kept, trained = draw_batch(examples=2, tokens=48, images=3, seed=0, even=even), {}, {}
    for name, side in sides_of_a_training_step().items():
        kept[name] = saved_bytes(side.model, lambda side=side: side.loss(batch))
        trained[name] = sum(parameter.numel() for parameter in side.model.parameters() if parameter.requires_grad)
    assert kept[OURS] == min(kept.values()) and len(kept) == 3
    assert max(trained.values()) < 1.02 * min(trained.values())
