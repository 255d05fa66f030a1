"""Inputs that a resampler tells apart before its first step; others it learns late."""

from statistics import fmean

import pytest
import torch

from flamingo_core import registry
from flamingo_core.init import initialise
from tests.core.build import BRANCHES

SEEDS = range(5)


def fresh(name, seed, **sizes):
    choice = {"name": name, name: {**BRANCHES["resampler"][name], **sizes}}
    resampler = registry.build("resampler", choice, in_width=16, out_width=32)
    initialise(resampler, seed=seed, name="resampler")
    return resampler.eval()


def relative_spread(tokens, dim):
    """How much the tokens differ along `dim`, beside how large they are."""
    return (tokens.std(dim=dim).square().mean() / tokens.square().mean()).sqrt().item()


@pytest.mark.parametrize("name", BRANCHES["resampler"])
@torch.no_grad()
def test_a_clip_played_backwards_looks_different(name):
    """Time embeddings are as large as what they are added to, so motion has a direction from the first step."""
    spreads = []
    for seed in SEEDS:
        features = torch.randn(3, 4, 9, 16, generator=torch.Generator().manual_seed(seed))
        resampler = fresh(name, seed)
        there, back = resampler(features), resampler(features.flip(1))
        if there.shape[1] == 4 * 9:  # a token a feature: in the frames' order
            back = back.unflatten(1, (4, 9)).flip(1).flatten(1, 2)
        spreads.append(relative_spread(torch.stack([there, back]), 0))
    assert fmean(spreads) > 0.1


@pytest.mark.parametrize("seed", SEEDS)
@torch.no_grad()
def test_latents_read_different_things(seed):
    """Latents that start alike ask alike, and a medium becomes one token, repeated."""
    features = torch.randn(3, 1, 9, 16, generator=torch.Generator().manual_seed(seed))
    perceiver = fresh("perceiver", seed, num_latents=5, width=16, head_dim=8)
    assert relative_spread(perceiver(features), 1) > 0.75
