"""Resampler and block against a plain reading of the paper's equations: loops over heads and tokens, no masks."""

import math

import pytest
import torch
from torch.nn.functional import layer_norm

from flamingo_core import registry
from flamingo_core.media_mask import MediaMask
from tests.core import build


def norm(x, module):
    return layer_norm(x, x.shape[-1:], module.weight, module.bias, module.eps)


def attend(queries, keys, values, num_heads):
    """(T, H d), (K, H d), (K, H d) -> (T, H d), one head and one query at a time."""
    head_dim = queries.shape[-1] // num_heads
    rows = []
    for query in queries:
        heads = []
        for head in range(num_heads):
            part = slice(head * head_dim, (head + 1) * head_dim)
            scores = torch.stack([query[part] @ key[part] / math.sqrt(head_dim) for key in keys])
            heads.append(torch.softmax(scores, dim=0) @ values[:, part])
        rows.append(torch.cat(heads))
    return torch.stack(rows)


def feed_forward(x, module):
    return torch.clamp(norm(x, module.norm) @ module.up.weight.T, min=0) ** 2 @ module.down.weight.T


def plain_perceiver(module, features):
    """(F, S, V) of one medium -> (L, D)."""
    x = features @ module.in_proj.weight.T
    x = torch.cat([frame + module.frame_embedding[place] for place, frame in enumerate(x)])
    latents = module.latents
    for layer in module.layers:
        normed = norm(latents, layer.norm_latents)
        read = torch.cat([norm(x, layer.norm_features), normed])
        to_k, to_v = layer.to_kv.weight.chunk(2)
        attended = attend(normed @ layer.to_q.weight.T, read @ to_k.T, read @ to_v.T, layer.num_heads)
        latents = latents + attended @ layer.to_out.weight.T
        latents = latents + feed_forward(latents, layer.feed_forward)
    return norm(latents, module.norm_out) @ module.out_proj.weight.T


def plain_attention(module, hidden, media, sees):
    """(T, D), media (M, L, D) and the medium each token sees (0 is none) -> (T, D)."""
    to_k, to_v = module.to_kv.weight.chunk(2)
    queries = norm(hidden, module.norm) @ module.to_q.weight.T
    rows = []
    for query, medium in zip(queries, sees, strict=True):
        if medium == 0:
            rows.append(torch.zeros_like(hidden[0]))
        else:
            keys, values = media[medium - 1] @ to_k.T, media[medium - 1] @ to_v.T
            rows.append(attend(query[None], keys, values, module.num_heads)[0] @ module.to_out.weight.T)
    return torch.stack(rows)


@pytest.mark.parametrize("frames", [1, 3])
def test_the_perceiver_is_the_papers(frames):
    """Frames get their time embedding, are flattened, and latents attend to [features ; latents]."""
    module = registry.build("resampler", build.choice("resampler", "perceiver"), in_width=12, out_width=20).double()
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, frames, 4, 12, generator=generator, dtype=torch.float64)
    expected = torch.stack([plain_perceiver(module, medium) for medium in features])
    torch.testing.assert_close(module(features), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["gated", "vanilla"])
def test_a_block_is_the_papers(name):
    """Y + tanh(a) attention, then y + tanh(b) feed-forward; vanilla has the attention alone."""
    module = registry.build("xattn", build.choice("xattn", name), width=12).double()
    if name == "gated":
        with torch.no_grad():
            module.alpha_xattn.fill_(0.7)
            module.alpha_ff.fill_(-0.4)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(2, 6, 12, generator=generator, dtype=torch.float64)
    media = torch.randn(2, 3, 4, 12, generator=generator, dtype=torch.float64)
    sees = torch.tensor([[0, 1, 1, 2, 3, 3], [0, 0, 0, 1, 1, 2]])
    rows = []
    for text, own, times in zip(hidden, media, sees, strict=True):
        added = plain_attention(module.attention, text, own, times)
        if name == "gated":
            text = text + math.tanh(0.7) * added
            text = text + math.tanh(-0.4) * feed_forward(text, module.feed_forward)
        else:
            text = text + added
        rows.append(text)
    mask = MediaMask.of(sees, num_media=3, num_tokens=4)
    actual = module(hidden, module.project_media(media), mask)
    torch.testing.assert_close(actual, torch.stack(rows), rtol=0, atol=1e-12)
