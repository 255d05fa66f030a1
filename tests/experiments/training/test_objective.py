"""One step: what accumulates, what is updated, at which rate."""

import math
from itertools import pairwise

import pytest
import torch

from experiments.spec.spec import make_spec
from experiments.training.build import build_mixture, build_model
from experiments.training.loop import Trainer, draw_step
from experiments.training.objective import NonFiniteLoss, WeightedBatch, model_inputs
from experiments.training.optimizer import lr_factor, make_optimizer
from tests.experiments.commands import tiny_spec

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spec():
    return make_spec("scale=tiny")


@pytest.fixture(scope="module")
def batches(spec):
    return draw_step(build_mixture(spec), spec, 0)


def opened(spec):
    """A model whose gates let gradients through."""
    model = build_model(spec, CPU)
    with torch.no_grad():
        for layer in model.conditioned_layers():
            layer.block.alpha_xattn.fill_(0.5)
            layer.block.alpha_ff.fill_(0.5)
    return model


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parts() if p.grad is not None}


def test_accumulation_is_the_weighted_sum_of_all_data_sets(spec, batches):
    """One update of the gradient of sum(weight x mean token loss), each data set's loss reported unweighted."""
    model = opened(spec)
    model.train()
    loss = sum(each.weight * model(**model_inputs(each.batch, CPU)).loss for each in batches)
    loss.backward()
    expected = gradients(model)
    trainer = Trainer(opened(spec), spec)
    seen = {}
    trainer.optimizer.step = lambda: seen.update(gradients(trainer.model))
    losses = trainer.step(batches, 0)
    norm = math.sqrt(sum(float(g.square().sum()) for g in expected.values()))
    clip = min(1.0, spec.train.clip_norm / norm)
    for name, gradient in expected.items():
        torch.testing.assert_close(seen[name], gradient * clip, rtol=1e-4, atol=1e-7)
    assert sum(losses[each.batch.dataset].item() * each.weight for each in batches) == pytest.approx(
        loss.item(), rel=1e-5
    )


@pytest.mark.parametrize("objective, updates", [("accumulation", 1), ("round_robin", 4)])
def test_how_many_updates_a_step_makes(objective, updates, batches):
    """One under accumulation, one a data set under round robin."""
    spec = tiny_spec(f"train.objective={objective}")
    trainer, steps = Trainer(build_model(spec, CPU), spec), []
    update = trainer.optimizer.step
    trainer.optimizer.step = lambda: (steps.append(1), update())
    trainer.step(batches, 0)
    assert len(steps) == updates


def test_gates_and_the_language_model_have_their_own_rates_and_only_matrices_decay():
    """Scalars learn at lr_gates, an unfrozen language model at lr_lm, all else at lr."""
    spec = tiny_spec("ablation=lm_unfrozen_pretrained", "train.lr=1e-3", "train.lr_gates=2e-2", "train.lr_lm=3e-4")
    model = build_model(spec, CPU)
    found = {}
    for group in make_optimizer(model, spec.train).param_groups:
        for parameter in group["params"]:
            found[id(parameter)] = (group["lr"], group["weight_decay"])
    for name, parameter in model.named_parts():
        if not parameter.requires_grad:
            assert id(parameter) not in found
            continue
        rate = 3e-4 if name.startswith("lm.") else 2e-2 if parameter.ndim == 0 else 1e-3
        assert found[id(parameter)] == (rate, spec.train.weight_decay if parameter.ndim >= 2 else 0.0), name


def test_a_frozen_language_model_has_no_optimizer_state(spec, batches):
    """Nor has the encoder: only what trains is in the optimizer."""
    trainer = Trainer(build_model(spec, CPU), spec)
    trainer.step(batches, 0)
    held = {id(parameter) for parameter in trainer.optimizer.state}
    assert held == {id(p) for name, p in trainer.model.named_parts() if name.startswith(("resampler.", "xattn."))}


def test_the_rate_warms_up_stays_and_falls(spec):
    """Linear up, constant, linear down to its floor, never zero and never above one."""
    train = tiny_spec("train.steps=100", "train.warmup_steps=10", "train.decay_fraction=0.2").train
    factors = [lr_factor(step, train) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:80] == [1.0] * 71
    assert all(later < earlier for earlier, later in pairwise(factors[80:]))
    assert train.final_lr_fraction < factors[-1] < 0.1


def test_a_loss_that_is_not_finite_names_step_data_set_and_examples(spec, batches):
    """The one example that is to blame, not the whole batch."""
    trainer = Trainer(build_model(spec, CPU), spec)
    poisoned = batches[1].batch
    model_forward = trainer.model.resampler.forward
    bad = 2

    def forward(features):
        tokens = model_forward(features)
        if len(features) == len(poisoned.media_ids):
            tokens = tokens.clone()
            tokens[bad] = float("nan")
        return tokens

    with torch.no_grad():
        for layer in trainer.model.conditioned_layers():
            layer.block.alpha_xattn.fill_(0.5)
    trainer.model.resampler.forward = forward
    message = f"the loss is nan at step 7, data set `{poisoned.dataset}`, example {poisoned.example_ids[bad]}$"
    with pytest.raises(NonFiniteLoss, match=message):
        trainer.step([WeightedBatch(poisoned, 1.0)], 7)
