"""Batch: the examples of one data set in one training step.

B examples, T tokens, N media in all examples together, F frames, H x W pixels, S features per frame, V their width.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(kw_only=True, slots=True)
class Batch:
    """Examples of one data set, padded on the right. Media are concatenated: of example 0, then of example 1, ..."""

    dataset: str
    example_ids: list[str]  # B
    input_ids: "torch.Tensor"  # (B, T) int64
    attention_mask: "torch.Tensor"  # (B, T) bool, False on padding
    labels: "torch.Tensor"  # (B, T) int64, input_ids for tokens with a loss, else -100; the model shifts them
    text_time: "torch.Tensor"  # (B, T) int64, index from 1 of the medium in its example that a token sees; 0: none
    media: "torch.Tensor | None"  # (N, F, 3, H, W) uint8; None if features replace them
    media_counts: "torch.Tensor"  # (B,) int64, sums to N
    media_ids: list[str]  # N
    media_features: "torch.Tensor | None" = None  # (N, F, S, V)

    def fingerprint(self) -> str:
        """sha256 over ids, tokens, mask, labels, `text_time` and media counts; media by id, not by pixels."""
        import hashlib

        digest = hashlib.sha256("\n".join([self.dataset, *self.example_ids, *self.media_ids]).encode())
        for tensor in (self.input_ids, self.attention_mask, self.labels, self.text_time, self.media_counts):
            digest.update(f"{tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().data)
        return digest.hexdigest()
