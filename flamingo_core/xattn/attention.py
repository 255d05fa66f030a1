"""Cross-attention from text to the tokens of the media it sees, shared by every block.

B examples, T text tokens, M media, L tokens per medium, D width of the language model, H heads of size d.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, scaled_dot_product_attention

from flamingo_core.media_mask import MediaMask, TokensByMedium


class MediaCrossAttention(nn.Module):
    """(B, T, D) reads (B, M, L, D) -> (B, T, D), exactly zero for a token that sees no medium.

    Text is normalised here, media are not: the resampler normalises its output. Keys and values come from
    `project_media`, so that a decoder can compute them once and cache them.
    """

    def __init__(self, width: int, num_heads: int, head_dim: int):
        super().__init__()
        self.num_heads = num_heads
        self.norm = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, num_heads * head_dim, bias=False)
        self.to_kv = nn.Linear(width, 2 * num_heads * head_dim, bias=False)
        self.to_out = nn.Linear(num_heads * head_dim, width, bias=False)

    def project_media(self, media: Tensor) -> tuple[Tensor, ...]:
        """(B, M, L, D) -> keys and values, each (B, M, L, H x d)."""
        return self.to_kv(media).chunk(2, dim=-1)

    def forward(self, hidden: Tensor, projected: tuple[Tensor, ...], mask: MediaMask) -> Tensor:
        """Attend to the one medium each token sees."""
        q, (k, v) = self.to_q(self.norm(hidden)), projected
        if mask.by_medium is None:
            attended = self._attend(q, k.flatten(1, 2), v.flatten(1, 2), mask.allowed)  # keys: (B, M x L, H x d)
        else:
            attended = self._attend_by_medium(q, k.flatten(0, 1), v.flatten(0, 1), mask.by_medium)
        return torch.where(mask.sees, self.to_out(attended), 0.0)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None) -> Tensor:
        q, k, v = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))  # (B, H, ..., d)
        return scaled_dot_product_attention(q, k, v, attn_mask=allowed).transpose(1, 2).flatten(2)

    def _attend_by_medium(self, q: Tensor, k: Tensor, v: Tensor, tokens: TokensByMedium) -> Tensor:
        """Treat every medium as its own example, with the K tokens that see it; `embedding` picks rows."""
        taken = embedding(tokens.take, q.flatten(0, 1))  # (B x M, K, H x d)
        attended = self._attend(taken, k, v, None)  # keys: (B x M, L, H x d)
        return embedding(tokens.back, attended.flatten(0, 1))  # (B, T, H x d)
