"""Against independent implementations, with their weights copied in, where both mean the same.

flamingo-pytorch uses GELU where the paper has a squared ReLU, embeds media and not frames, and projects nothing around
its resampler. transformers' Idefics uses a ReLU in its resampler and embeds neither; its blocks are others (SwiGLU,
RMSNorm), so they are not compared.
"""

import pytest
import torch
from flamingo_pytorch import GatedCrossAttentionBlock, PerceiverResampler
from transformers import IdeficsConfig
from transformers.models.idefics.perceiver import IdeficsPerceiverResampler

from flamingo_core.media_mask import MediaMask, text_time_of
from flamingo_core.resampler.perceiver import Perceiver, PerceiverConfig
from flamingo_core.xattn.gated import GatedConfig, GatedXattn
from tests.core.build import IMAGE

WIDTH, HEADS, HEAD_DIM, LATENTS, DEPTH = 24, 3, 8, 5, 2


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spread(module):
    """Give every weight a value of its own, norms too: a bias of zero could be copied to the wrong place unseen."""
    with torch.no_grad():
        for place, parameter in enumerate(module.double().parameters()):
            parameter.add_(0.3 * numbers(*parameter.shape, seed=place))
    return module


def copied(ours, theirs):
    """Copy tensors into our parameters of these names, all of them."""
    own = dict(ours.named_parameters())
    assert own.keys() == theirs.keys()
    with torch.no_grad():
        for name, tensor in theirs.items():
            own[name].copy_(tensor.reshape(own[name].shape))
    return ours


def both(prefix, norm):
    """A norm's weight and bias under our name of it."""
    return {f"{prefix}.weight": norm.weight, f"{prefix}.bias": norm.bias}


def feed_forward(prefix, norm, up, down):
    return {f"{prefix}.up.weight": up.weight, f"{prefix}.down.weight": down.weight, **both(f"{prefix}.norm", norm)}


def perceiver(activation, theirs, *, latents, frame_embedding, norm_out):
    """Ours with their weights: nothing is projected on the way in and out."""
    config = PerceiverConfig(
        width=WIDTH,
        depth=DEPTH,
        num_heads=HEADS,
        head_dim=HEAD_DIM,
        num_latents=LATENTS,
        max_frames=1,
        activation=activation,
    )
    around = {name: torch.eye(WIDTH) for name in ("in_proj.weight", "out_proj.weight")}
    learned = {"latents": latents, "frame_embedding": frame_embedding, **both("norm_out", norm_out)}
    return copied(Perceiver(config, in_width=WIDTH, out_width=WIDTH).double(), {**around, **learned, **theirs})


def assert_same(ours, theirs, our_weights, their_weights):
    """The same numbers, and the same gradients of some weights."""
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    mine, others = (
        torch.autograd.grad(result.square().sum(), weights)
        for result, weights in ((ours, our_weights), (theirs, their_weights))
    )
    for one, other in zip(mine, others, strict=True):
        torch.testing.assert_close(one, other.reshape(one.shape), rtol=1e-10, atol=1e-9)


def test_flamingo_pytorchs_resampler_agrees_on_a_picture():
    """One frame, GELU: the same tokens, and the same gradient of the latents and of a query map."""
    theirs = spread(PerceiverResampler(dim=WIDTH, depth=DEPTH, dim_head=HEAD_DIM, heads=HEADS, num_latents=LATENTS))
    weights = {}
    for number, (attention, (norm, up, _, down)) in enumerate(theirs.layers):
        layer = f"layers.{number}"
        weights |= both(f"{layer}.norm_features", attention.norm_media)
        weights |= both(f"{layer}.norm_latents", attention.norm_latents)
        weights |= {f"{layer}.{name}.weight": getattr(attention, name).weight for name in ("to_q", "to_kv", "to_out")}
        weights |= feed_forward(f"{layer}.feed_forward", norm, up, down)
    ours = perceiver(
        "gelu", weights, latents=theirs.latents, frame_embedding=theirs.media_pos_emb[:1], norm_out=theirs.norm
    )
    features = numbers(4, 1, 7, WIDTH)
    assert_same(
        ours(features),
        theirs(features)[:, 0],
        (ours.latents, ours.layers[0].to_q.weight),
        (theirs.latents, theirs.layers[0][0].to_q.weight),
    )


def test_idefics_resampler_agrees():
    """ReLU and no time embedding: the same tokens, and the same gradient of the latents and of a query map."""
    config = IdeficsConfig(vision_config={"embed_dim": WIDTH}, perceiver_config={"use_resampler": True})
    theirs = spread(IdeficsPerceiverResampler(config, WIDTH, DEPTH, HEADS, HEAD_DIM, LATENTS))
    weights = {}
    for number, (attention, ff) in enumerate(theirs.blocks):
        layer = f"layers.{number}"
        weights |= both(f"{layer}.norm_features", attention.context_layer_norm)
        weights |= both(f"{layer}.norm_latents", attention.latents_layer_norm)
        weights |= {
            f"{layer}.to_q.weight": attention.q_proj.weight,
            f"{layer}.to_kv.weight": torch.cat([attention.k_proj.weight, attention.v_proj.weight]),
            f"{layer}.to_out.weight": attention.output_proj.weight,
        }
        weights |= feed_forward(f"{layer}.feed_forward", ff.ln, ff.fc, ff.c_proj)
    ours = perceiver(
        "relu",
        weights,
        latents=theirs.latents,
        frame_embedding=torch.zeros(1, WIDTH, dtype=torch.float64),
        norm_out=theirs.layer_norm,
    )
    features = numbers(4, 7, WIDTH)
    assert_same(
        ours(features.unsqueeze(1)),
        theirs(features),
        (ours.latents, ours.layers[0].to_q.weight),
        (theirs.latents, theirs.blocks[0][0].q_proj.weight),
    )


LAYOUTS = {
    "one picture with most of the text": [[1, 5, IMAGE, 6, 7, IMAGE, 8], [1, IMAGE, IMAGE, 6, 7, 8, 9]],
    "pictures with equal shares": [[1, 5, IMAGE, 6, 7, IMAGE, 8], [1, 5, 6, 7, IMAGE, IMAGE, 8]],
}


@pytest.mark.parametrize("gates", [(0.0, 0.0), (0.7, -0.3)], ids=["closed", "open"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_flamingo_pytorchs_block_agrees(layout, gates):
    """GELU; before the first image both add the feed-forward alone. The gradient of the query map and of the gates."""
    theirs = spread(GatedCrossAttentionBlock(dim=WIDTH, dim_head=HEAD_DIM, heads=HEADS))
    with torch.no_grad():
        theirs.attn_gate.fill_(gates[0])
        theirs.ff_gate.fill_(gates[1])
    ours = copied(
        GatedXattn(GatedConfig(num_heads=HEADS, head_dim=HEAD_DIM, activation="gelu"), width=WIDTH).double(),
        {
            **{f"attention.{name}.weight": getattr(theirs.attn, name).weight for name in ("to_q", "to_kv", "to_out")},
            **both("attention.norm", theirs.attn.norm),
            **feed_forward("feed_forward", theirs.ff[0], theirs.ff[1], theirs.ff[3]),
            "alpha_xattn": theirs.attn_gate,
            "alpha_ff": theirs.ff_gate,
        },
    )
    ids = torch.tensor(LAYOUTS[layout])
    text, media = numbers(2, 7, WIDTH), numbers(2, 2, 4, WIDTH, seed=1)
    mask = MediaMask.of(text_time_of(ids, IMAGE), num_media=2, num_tokens=4)
    actual, expected = ours(text, ours.project_media(media), mask), theirs(text, media, media_locations=ids == IMAGE)
    assert_same(
        actual,
        expected,
        (ours.attention.to_q.weight, ours.alpha_xattn, ours.alpha_ff),
        (theirs.attn.to_q.weight, theirs.attn_gate, theirs.ff_gate),
    )
