"""Initial weights come from (seed, qualified name)."""

import pytest
import torch
from torch import nn

from flamingo_core.init import initialise
from tests.core import build


def weights(**choices):
    return dict(build.model(gates=None, dtype=torch.float32, **choices).named_parts())


def differing(one, other):
    return {name for name in one.keys() & other.keys() if not torch.equal(one[name], other[name])}


@pytest.mark.parametrize(
    "changes",
    [
        {"placement": "every_4th"},
        {"placement": "every_2nd"},
        {"placement": "single_middle"},
        {"xattn": "vanilla"},
        {"xattn": "grafting"},
        {"tanh_gating": False},
        {"freeze": False},
    ],
    ids=str,
)
def test_what_an_ablation_does_not_touch_starts_equal(changes):
    """Every module that both models have has the same weights bit for bit, blocks at the same layer too."""
    baseline, row = weights(), weights(**changes)
    assert not differing(baseline, row)
    untouched = {name for name in baseline if not name.startswith("xattn.")}
    assert untouched <= row.keys()


@pytest.mark.parametrize("resampler", build.RESAMPLERS)
def test_another_resampler_changes_the_resampler_alone(resampler):
    """Blocks and language model do not notice."""
    assert all(name.startswith("resampler.") for name in differing(weights(), weights(resampler=resampler)))


def test_another_seed_changes_every_trained_matrix_and_nothing_frozen():
    """Frozen stand-ins are the same on every seed, as pretrained weights would be."""
    one, other = weights(seed=0), weights(seed=1)
    drawn = {name for name, parameter in one.items() if parameter.requires_grad and parameter.ndim >= 2}
    assert differing(one, other) == drawn


def test_a_random_language_model_is_drawn_from_the_seed_of_the_run():
    """`weights: random` is another draw on every seed; it is not the frozen stand-in."""
    random = [weights(seed=seed, weights="random", freeze=False) for seed in (0, 1)]
    embedding = "lm.model.embed_tokens.weight"
    assert not torch.equal(random[0][embedding], random[1][embedding])
    assert not torch.equal(random[0][embedding], weights()[embedding])


def test_torchs_global_generator_is_left_alone():
    """Building a model neither reads nor moves it."""
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    build.model()
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(8)
    again = dict(build.model(gates=None, dtype=torch.float32).named_parts())
    assert not differing(weights(), again)


def test_a_module_that_cannot_draw_its_weights_is_named():
    """No parameter is left as the constructor happened to leave it."""

    class Stranger(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    with pytest.raises(TypeError, match=r"resampler\.0 \(Stranger\)"):
        initialise(nn.Sequential(Stranger()), seed=0, name="resampler")
