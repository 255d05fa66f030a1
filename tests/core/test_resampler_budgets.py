"""MLP and Transformer resamplers: the Perceiver's budget, and what each lets mix."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flamingo_core import registry

MEDIA, FRAMES, FEATURES, IN_WIDTH, OUT_WIDTH = 3, 4, 5, 6, 10
SMALL = {
    "mlp": {"width": 12, "depth": 2, "max_frames": FRAMES},
    "transformer": {"width": 12, "depth": 2, "num_heads": 2, "head_dim": 4, "max_frames": FRAMES},
}
HEADS = {"num_heads": 16, "head_dim": 128}
PUBLISHED = {
    "perceiver": {"width": 1536, "depth": 6, "max_frames": 8, "num_latents": 64, **HEADS},
    "mlp": {"width": 1536, "depth": 10, "max_frames": 8},
    "transformer": {"width": 1536, "depth": 6, "max_frames": 8, **HEADS},
}


def build(name: str, sizes: dict[str, Any], in_width: int = IN_WIDTH, out_width: int = OUT_WIDTH) -> Any:
    """A resampler whose weights are fixed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return registry.build("resampler", {"name": name, name: sizes}, in_width=in_width, out_width=out_width)


def features(media: int = MEDIA, frames: int = FRAMES) -> Tensor:
    """(B, F, S, V)."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(media, frames, FEATURES, IN_WIDTH, generator=generator, dtype=torch.float64)


def count(module: nn.Module) -> int:
    """Parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(params=SMALL)
def resampler(request: pytest.FixtureRequest) -> Any:
    """Each of the two, small, in float64."""
    return build(request.param, SMALL[request.param]).double()


def test_the_perceivers_budget_is_the_published_one() -> None:
    """193.6M with the input projection, 3.1M for the projection to the LM's width."""
    with torch.device("meta"):
        perceiver = build("perceiver", PUBLISHED["perceiver"], 3072, 2048)
    projection = count(perceiver.out_proj)
    assert round(projection / 1e6, 1) == 3.1
    assert round((count(perceiver) - projection) / 1e6, 1) == 193.6


@pytest.mark.parametrize("name", SMALL)
def test_budget_is_the_perceivers(name: str) -> None:
    """At the published sizes the parameters are within 2% of the Perceiver's, and nothing is allocated to say so."""
    with torch.device("meta"):
        row, perceiver = (build(which, PUBLISHED[which], 3072, 2048) for which in (name, "perceiver"))
        tokens = row(torch.empty(2, 8, 100, 3072))
    assert abs(count(row) / count(perceiver) - 1) < 0.02
    assert tokens.shape == (2, 800, 2048)


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_all_features_leave(resampler: Any, frames: int) -> None:
    """F frames of S features become F * S tokens, as `num_tokens` says."""
    tokens = resampler(features(frames=frames))
    assert tokens.shape == (MEDIA, resampler.num_tokens(frames, FEATURES), OUT_WIDTH)
    assert resampler.num_tokens(frames, FEATURES) == frames * FEATURES


def test_media_do_not_mix(resampler: Any) -> None:
    """Changing one medium leaves every other medium's tokens bit-equal."""
    x = features()
    changed = x.clone()
    changed[1] += 1.0
    before, after = resampler(x), resampler(changed)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.equal(before[1], after[1])


def test_order_of_frames_matters(resampler: Any) -> None:
    """A clip played backwards gives other tokens, not the same ones in another order."""
    forwards, backwards = (resampler(x).unflatten(1, (FRAMES, FEATURES)) for x in (features(), features().flip(1)))
    assert (forwards - backwards.flip(1)).abs().max() > 1e-4


def test_place_in_the_grid_is_the_encoders_to_say(resampler: Any) -> None:
    """Shuffling the features of every frame alike shuffles the tokens alike: no position embedding over the grid."""
    order = torch.tensor([3, 0, 4, 1, 2])
    tokens = resampler(features()).unflatten(1, (FRAMES, FEATURES))
    shuffled = resampler(features()[:, :, order]).unflatten(1, (FRAMES, FEATURES))
    torch.testing.assert_close(shuffled, tokens[:, :, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "mixes"), [("mlp", False), ("transformer", True)])
def test_only_the_transformer_mixes_features(name: str, mixes: bool) -> None:
    """One feature changes its own token under the MLP, and every token of its medium under the Transformer."""
    resampler = build(name, SMALL[name]).double()
    changed = features()
    changed[0, 2, 1] += 1.0
    moved = (resampler(changed) != resampler(features())).any(-1)  # (B, L)
    expected = torch.zeros(MEDIA, FRAMES * FEATURES, dtype=torch.bool)
    expected[0, slice(None) if mixes else 2 * FEATURES + 1] = True
    assert torch.equal(moved, expected)


def test_more_frames_than_embeddings_are_refused(resampler: Any) -> None:
    """The message names both numbers."""
    with pytest.raises(ValueError, match=rf"{FRAMES + 1} frames.*{FRAMES}"):
        resampler(features(frames=FRAMES + 1))


def test_gradients_are_right_and_reach_every_parameter(resampler: Any) -> None:
    """Autograd agrees with differences in float64; no parameter is left out."""
    x = features(media=1, frames=2).requires_grad_()
    assert torch.autograd.gradcheck(resampler, (x,))
    resampler(features()).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in resampler.named_parameters()}
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients.values())
    assert all(gradient.any() for gradient in gradients.values())


def test_every_parameter_is_drawn_by_its_own_module(resampler: Any) -> None:
    """`reset_parameters` of the modules that hold parameters rewrites each of them."""
    for parameter in resampler.parameters():
        nn.init.constant_(parameter, float("nan"))
    for module in resampler.modules():
        if list(module.parameters(recurse=False)):
            module.reset_parameters()
    assert all(torch.isfinite(parameter).all() for parameter in resampler.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_refuses_sizes_that_cannot_be_built(name: str) -> None:
    """Each size at fault is named with its value."""
    for field in SMALL[name]:
        with pytest.raises(ValueError, match=f"`{field}` is 0"):
            build(name, {**SMALL[name], field: 0})
