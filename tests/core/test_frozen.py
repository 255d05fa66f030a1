"""What is frozen stays frozen, and a step changes exactly what it should."""

import pytest
import torch

from tests.core import build


def batch():
    rows = build.padded(build.prompts(), side="right")
    return {**rows, "media": build.pixels(3), "labels": rows["input_ids"]}


def step(model):
    """One AdamW step over what is trainable; names of parts that moved."""
    before = {name: parameter.detach().clone() for name, parameter in model.named_parts()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0)
    model.train()
    model(**batch()).loss.backward()
    optimizer.step()
    return {name for name, parameter in model.named_parts() if not torch.equal(parameter, before[name])}


@pytest.mark.parametrize("xattn", build.BLOCKS)
def test_a_step_changes_the_resampler_and_the_blocks_alone(xattn):
    """Frozen LM and encoder: no gradient and no change; with open gates everything else that is reached moves."""
    model = build.model(xattn=xattn)
    moved = step(model)
    assert {name.split(".")[0] for name in moved} == {"resampler", "xattn"}
    assert all(p.grad is None for n, p in model.named_parts() if n.startswith(("lm.", "vision.")))
    trainable = {name for name, p in model.named_parts() if p.requires_grad}
    unreached = trainable - moved
    assert moved <= trainable
    assert not unreached, f"trainable but never moved: {sorted(unreached)}"


@pytest.mark.parametrize("family", build.FAMILIES)
def test_at_step_zero_only_gates_get_a_gradient(family):
    """Closed gates let nothing through: everything behind them has a gradient of exactly zero."""
    model = build.model(lm=family, gates=None)
    model.train()
    model(**batch()).loss.backward()
    for name, parameter in model.named_parts():
        if parameter.grad is not None:
            assert bool(parameter.grad.any()) == (parameter.ndim == 0), name


def test_an_unfrozen_language_model_moves_and_the_encoder_does_not():
    """`freeze: false` trains the language model; the encoder stays frozen in every row."""
    moved = step(build.model(freeze=False))
    assert {name.split(".")[0] for name in moved} == {"resampler", "xattn", "lm"}


@pytest.mark.parametrize("freeze", [True, False])
def test_train_leaves_encoder_and_language_model_in_eval_mode(freeze):
    """No dropout there, trained or not; OPT's config has some, and two passes agree."""
    model = build.model(lm="opt", freeze=freeze)
    model.lm.config.dropout = 0.5
    for module in model.lm.modules():
        if hasattr(module, "dropout"):
            module.dropout = 0.5
    model.train()
    assert not any(module.training for module in model.vision.modules())
    assert all(module.training for module in model.resampler.modules())
    assert all(module.training for layer in model.conditioned_layers() for module in layer.block.modules())
    assert torch.equal(model(**batch()).logits, model(**batch()).logits)


def test_the_encoder_has_no_graph():
    """Nothing of the encoder is kept for a backward pass."""
    assert not build.model().train().encode_media(build.pixels(1)).requires_grad


def saved_below_first_block(model):
    """How many layers of the language model saved activations before the first block ran."""
    first = next(model.conditioned_layers())
    counts = {"before": 0, "started": False}
    first.register_forward_pre_hook(lambda *_: counts.update(started=True))

    def pack(tensor):
        counts["before"] += not counts["started"] and counts.get("in_lm", False)
        return tensor

    model.lm.register_forward_pre_hook(lambda *_: counts.update(in_lm=True))
    model.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(**batch())
    return counts["before"]


@pytest.mark.parametrize("family", build.FAMILIES)
def test_no_activation_of_a_frozen_language_model_is_kept_below_the_first_block(family):
    """Single in the middle: half of the layers run without leaving anything behind; unfrozen, they do."""
    assert saved_below_first_block(build.model(lm=family, placement="single_middle")) == 0
    assert saved_below_first_block(build.model(lm=family, placement="single_middle", freeze=False)) > 0


@pytest.mark.parametrize("xattn", build.BLOCKS)
@pytest.mark.parametrize("family", build.FAMILIES)
def test_gradient_checkpointing_gives_the_same_gradients_from_fewer_bytes(family, xattn):
    """Bit for bit the same, with less kept between forward and backward."""

    def run(checkpointing):
        model = build.model(lm=family, xattn=xattn)
        if checkpointing:
            build.enable_checkpointing(model)
        model.train()
        kept = 0

        def pack(tensor):
            nonlocal kept
            kept += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = model(**batch()).loss
        loss.backward()
        return {name: p.grad for name, p in model.named_parts() if p.grad is not None}, kept

    plain, plain_bytes = run(False)
    again, fewer_bytes = run(True)
    assert plain.keys() == again.keys()
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert fewer_bytes < plain_bytes
