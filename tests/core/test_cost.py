"""Parameters and FLOPs of a model that was never built in memory."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from flamingo_core.config import FlamingoConfig
from flamingo_core.cost import BatchShape, count_flops, count_parameters, estimate
from tests.core import build

CASES = [
    {},
    {"placement": "every_2nd"},
    {"placement": "single_middle"},
    {"xattn": "vanilla"},
    {"xattn": "grafting"},
    {"resampler": "mlp"},
    {"resampler": "transformer"},
    {"vision": "nfnet_f6"},
    {"freeze": False},
    {"lm": "opt"},
    {"lm": "gpt_neox"},
    {"lm": "qwen3"},
]


def real_batch():
    rows = build.padded(build.prompts(), side="right")
    return {**rows, "media": build.pixels(3).double() / 255, "labels": rows["input_ids"]}


@pytest.mark.parametrize("choices", CASES, ids=str)
def test_the_estimate_is_what_torch_counts_on_real_tensors(choices):
    """Within 1% of torch's own counter over a real forward and backward pass; parameters exactly."""
    model, batch = build.model(**choices), real_batch()
    shape = BatchShape(tokens=8, media_counts=(2, 1, 0), frames=build.FRAMES, image_size=build.IMAGE_SIZE)
    cost = estimate(build.config(**choices), [shape])
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        model.train()
        model(**batch).loss.backward()
    assert cost.flops_per_step == pytest.approx(counter.get_total_flops(), rel=0.01)
    assert cost.params_total == sum(p.numel() for p in model.parameters())
    assert cost.params_trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert cost.params_by_slot == count_parameters(model)


def test_slots_add_up_and_each_is_charged_for_its_own():
    """Without blocks above the middle the xattn share falls to a quarter; encoder and resampler do not change."""
    every, single = (
        count_flops(build.model(placement=placement), real_batch()) for placement in ("every", "single_middle")
    )
    assert single["xattn"] * 4 == pytest.approx(every["xattn"], rel=0.25)
    assert single["vision"] == every["vision"]
    assert single["resampler"] == every["resampler"]
    assert single["lm"] < every["lm"], "below the first block nothing goes backward"


def test_batches_add_up():
    """A step over two data sets costs what they cost one by one."""
    shapes = [
        BatchShape(tokens=6, media_counts=(1, 1), frames=1, image_size=16),
        BatchShape(tokens=9, media_counts=(3,), frames=2, image_size=16),
    ]
    one, other, both = (estimate(build.config(), some).flops_per_step for some in ([shapes[0]], [shapes[1]], shapes))
    assert both == one + other


def published(**changes):
    """Flamingo-3B as far as components of the registry go: everything but its language model."""
    branches = {
        "nfnet_f6": {"depths": [7, 14, 42, 21]},
        "nfnet_f0": {"depths": [1, 2, 6, 3]},
    }
    conv = {
        "image_size": 320,
        "channels": [256, 512, 1536, 1536],
        "stem_channels": 128,
        "group_size": 128,
        "width": 3072,
    }
    vision = changes.pop("vision", "nfnet_f6")
    return FlamingoConfig(
        vision={"name": vision, vision: {**conv, **branches[vision]}},
        resampler={
            "name": "perceiver",
            "perceiver": {
                "width": 1536,
                "depth": 6,
                "num_heads": 16,
                "head_dim": 128,
                "num_latents": 64,
                "max_frames": 8,
            },
        },
        xattn={"name": "gated", "placement": "every", "gated": {"num_heads": 16, "head_dim": 128}, **changes},
        lm={
            "name": "llama",
            "freeze": True,
            "weights": "pretrained",
            "path": None,
            "llama": {
                "vocab_size": 32000,
                "width": 2048,
                "depth": 24,
                "num_heads": 16,
                "ff_width": 8192,
                "max_positions": 2048,
            },
        },
        image_token_id=3,
    )


def test_the_published_sizes_come_out_as_published():
    """435M of NFNet-F6, 194M of resampler (its projection to the language model's width apart), 1.2B of blocks."""
    shape = BatchShape(tokens=256, media_counts=(5,), frames=1, image_size=320)
    cost = estimate(published(), [shape])
    slots = cost.params_by_slot
    assert slots["vision"] == 435_286_116
    assert slots["resampler"] - 1536 * 2048 == pytest.approx(193.6e6, rel=1e-3)
    assert slots["xattn"] / 24 == pytest.approx(50.34e6, rel=1e-3)
    # 2 FLOPs a multiply-add, five pictures of 116.549 GMAC, forward only
    assert cost.flops_by_slot["vision"] == pytest.approx(2 * 5 * 116.549e9, rel=1e-3)
    # by hand: 24 blocks, forward and twice backward, of the block's products over 256 tokens and 320 latents
    tokens, latents, width = 256, 64 * 5, 2048
    block = (
        tokens * 2 * width**2
        + latents * 2 * width**2
        + 2 * tokens * latents * width  # scores and mix over all media, masked
        + 2 * tokens * width * 4 * width
    )
    assert cost.flops_by_slot["xattn"] == pytest.approx(2 * 3 * 24 * block, rel=0.02)
