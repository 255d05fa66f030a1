"""Costs that are stored with a run: of its design, so that seeds do not differ in them."""

import torch

from experiments.data.feature_cache import Features
from experiments.data.tokenizer import tokenizer_of
from experiments.training.build import build_mixture, build_model, model_config, shape_of
from experiments.training.costs import COUNTED_SEED, COUNTED_STEPS, planned_costs
from flamingo_core.cost import estimate
from tests.experiments.commands import tiny_spec


def test_flops_are_the_mean_over_several_steps_which_all_seeds_share(tmp_path):
    """Not those of a seed's first batch: the mean of what each of the first steps takes, the same for every seed."""
    spec = tiny_spec("seed=1")
    model, mixture = build_model(spec, torch.device("cpu")), build_mixture(spec, seed=COUNTED_SEED)
    features = Features(model, mixture.sources, folder=tmp_path)
    config = model_config(spec, tokenizer_of(None))
    each = [
        estimate(
            config,
            [shape_of(mixture.batch(name, step), spec.data.world.image_size) for name in mixture.datasets],
        ).flops_per_step
        for step in range(COUNTED_STEPS)
    ]
    assert len(set(each)) > 1, "steps that are all alike prove nothing"
    found = planned_costs(spec, model.config, features)
    assert found["flops_per_step"] == sum(each) / COUNTED_STEPS
    assert planned_costs(tiny_spec("seed=0"), model.config, features) == found
