"""Cross-attention from text to the tokens of the media it sees, shared by every block.

B examples, T text tokens, M media, L tokens a medium, D width of the language model, H heads of d.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from flamingo_core.media_mask import MediaMask


class MediaCrossAttention(nn.Module):
    """(B, T, D) reads (B, M, L, D) -> (B, T, D), exactly zero for a token that sees no medium.

    Text is normed, media are not: the resampler norms its output. Keys and values come from `project_media`, so that a
    decoder can compute them once and keep them.
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
        q = self._heads(self.to_q(self.norm(hidden)))  # (B, H, T, d)
        k, v = (self._heads(x.flatten(1, 2)) for x in projected)  # (B, H, M*L, d)
        attended = scaled_dot_product_attention(q, k, v, attn_mask=mask.allowed)
        return torch.where(mask.sees, self.to_out(attended.transpose(1, 2).flatten(2)), 0.0)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
