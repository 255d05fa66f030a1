"""Against flamingo-pytorch, an independent implementation, with its weights copied in, where both mean the same.

It uses GELU where the paper has a squared ReLU, embeds media and not frames, and projects nothing around its resampler.
"""

import pytest
import torch
from flamingo_pytorch import GatedCrossAttentionBlock, PerceiverResampler

from flamingo_core.media_mask import MediaMask, text_time_of
from flamingo_core.resampler.perceiver import Perceiver, PerceiverConfig
from flamingo_core.xattn.gated import GatedConfig, GatedXattn
from tests.core.build import IMAGE

WIDTH, HEADS, HEAD_DIM = 24, 3, 8


def copied(ours: torch.nn.Module, theirs: dict[str, torch.Tensor]) -> None:
    """Copy tensors into our parameters of these names, all of them."""
    own = dict(ours.named_parameters())
    assert own.keys() == theirs.keys()
    with torch.no_grad():
        for name, tensor in theirs.items():
            own[name].copy_(tensor.reshape(own[name].shape))


def feed_forward(prefix: str, theirs: torch.nn.Sequential) -> dict[str, torch.Tensor]:
    norm, up, _, down = theirs
    return {
        f"{prefix}.norm.weight": norm.weight,
        f"{prefix}.norm.bias": norm.bias,
        f"{prefix}.up.weight": up.weight,
        f"{prefix}.down.weight": down.weight,
    }


def test_the_resampler_of_a_picture_agrees():
    """One frame, GELU: the same tokens, and the same gradient of the latents."""
    theirs = PerceiverResampler(dim=WIDTH, depth=2, dim_head=HEAD_DIM, heads=HEADS, num_latents=5).double()
    config = PerceiverConfig(
        width=WIDTH, depth=2, num_heads=HEADS, head_dim=HEAD_DIM, num_latents=5, max_frames=1, activation="gelu"
    )
    ours = Perceiver(config, in_width=WIDTH, out_width=WIDTH).double()
    weights = {
        "in_proj.weight": torch.eye(WIDTH),
        "out_proj.weight": torch.eye(WIDTH),
        "frame_embedding": theirs.media_pos_emb[:1],
        "latents": theirs.latents,
        "norm_out.weight": theirs.norm.weight,
        "norm_out.bias": theirs.norm.bias,
    }
    for number, (attention, ff) in enumerate(theirs.layers):
        layer = f"layers.{number}"
        for our_name, their_name in (("features", "media"), ("latents", "latents")):
            for part in ("weight", "bias"):
                norm = getattr(attention, f"norm_{their_name}")
                weights[f"{layer}.norm_{our_name}.{part}"] = getattr(norm, part)
        for name in ("to_q", "to_kv", "to_out"):
            weights[f"{layer}.{name}.weight"] = getattr(attention, name).weight
        weights |= feed_forward(f"{layer}.feed_forward", ff)
    copied(ours, weights)
    features = torch.randn(4, 1, 7, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected, actual = theirs(features)[:, 0], ours(features)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)
    expected.square().sum().backward()
    actual.square().sum().backward()
    torch.testing.assert_close(ours.latents.grad, theirs.latents.grad, rtol=0, atol=1e-9)


@pytest.mark.parametrize("gates", [(0.0, 0.0), (0.7, -0.3)])
def test_the_block_agrees(gates):
    """GELU, random and closed gates, text before the first image too: there both add the feed-forward alone."""
    theirs = GatedCrossAttentionBlock(dim=WIDTH, dim_head=HEAD_DIM, heads=HEADS).double()
    ours = GatedXattn(GatedConfig(num_heads=HEADS, head_dim=HEAD_DIM, activation="gelu"), width=WIDTH).double()
    with torch.no_grad():
        theirs.attn_gate.fill_(gates[0])
        theirs.ff_gate.fill_(gates[1])
    attention = {f"attention.{name}.weight": getattr(theirs.attn, name).weight for name in ("to_q", "to_kv", "to_out")}
    norm = {f"attention.norm.{part}": getattr(theirs.attn.norm, part) for part in ("weight", "bias")}
    alphas = {"alpha_xattn": theirs.attn_gate, "alpha_ff": theirs.ff_gate}
    copied(ours, {**attention, **norm, **alphas, **feed_forward("feed_forward", theirs.ff)})
    ids = torch.tensor([[1, 5, IMAGE, 6, 7, IMAGE, 8], [1, IMAGE, IMAGE, 6, 7, 8, 9]])
    generator = torch.Generator().manual_seed(0)
    text = torch.randn(2, 7, WIDTH, generator=generator, dtype=torch.float64)
    media = torch.randn(2, 2, 4, WIDTH, generator=generator, dtype=torch.float64)
    expected = theirs(text, media, media_locations=ids == IMAGE)
    mask = MediaMask.of(text_time_of(ids, IMAGE), num_media=2, num_tokens=4)
    actual = ours(text, ours.project_media(media), mask)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)
    expected.square().sum().backward()
    actual.square().sum().backward()
    torch.testing.assert_close(ours.attention.to_q.weight.grad, theirs.attn.to_q.weight.grad, rtol=0, atol=1e-9)
