"""Which media each token sees, in the forms that cross-attention blocks use.

B examples, T tokens, M media per example (the maximum), L tokens per medium, D width, N media in the whole batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


class MediaCountError(ValueError):
    """An example's number of `<image>` marks differs from its number of media."""


def text_time_of(input_ids: Tensor, image_token_id: int) -> Tensor:
    """(B, T) ids -> (B, T): inclusive running count of `<image>`, so 0 before the first image (section 2.3)."""
    return (input_ids == image_token_id).cumsum(dim=-1)


def check_marks(
    input_ids: Tensor, media_counts: Tensor, image_token_id: int, example_ids: Sequence[str] | None = None
) -> None:
    """Check that every example has as many `<image>` marks as media; ids on the meta device are not checked.

    Raises:
        MediaCountError: names each example where they differ, with both counts.
    """
    if input_ids.is_meta:
        return
    marks = (input_ids == image_token_id).sum(dim=-1).tolist()
    counts = media_counts.tolist()
    if len(counts) != len(marks):
        raise MediaCountError(f"`media_counts` is given for {len(counts)} examples, `input_ids` has {len(marks)}")
    wrong = [
        f"example {example_ids[row] if example_ids is not None else row} has {m} `<image>` marks and {c} media"
        for row, (m, c) in enumerate(zip(marks, counts, strict=True))
        if m != c
    ]
    if wrong:
        raise MediaCountError("; ".join(wrong))


def group_media(tokens: Tensor, media_counts: Tensor) -> Tensor:
    """Concatenated media (N, L, D) and counts (B,) -> (B, M, L, D): media per example, zero-padded to M."""
    counts = media_counts.tolist()
    if sum(counts) != len(tokens):
        raise MediaCountError(f"`media_counts` sums to {sum(counts)}, but {len(tokens)} media are given")
    most = max(counts)
    if all(count == most for count in counts):
        return tokens.unflatten(0, (len(counts), most))
    row = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    place = torch.cat([torch.arange(count) for count in counts])
    grouped = tokens.new_zeros(len(counts), most, *tokens.shape[1:])
    return grouped.index_put((row.to(tokens.device), place.to(tokens.device)), tokens)


@dataclass(frozen=True, slots=True)
class TokensByMedium:
    """Tokens grouped by the medium they see, so that no score is computed that a mask would drop.

    At most K tokens see the same medium; `take` is padded to K, and `back` never points at the padding.
    """

    take: Tensor  # (B x M, K): indices into the B x T tokens
    back: Tensor  # (B, T): each token's index into the B x M x K results; 0 for a token that sees nothing

    @classmethod
    def of(cls, text_time: Tensor, num_media: int) -> "TokensByMedium | None":
        """From (B, T) media indices counted from 1; None if more than half of a row's tokens see the same medium.

        Padding all other media to so many tokens costs more than the skipped scores save.
        """
        if text_time.is_meta:  # no values to read
            return None
        rows, length = text_time.shape
        device = text_time.device
        index = (text_time - 1).clamp(min=0).unsqueeze(-1)  # (B, T, 1)
        seen = text_time.unsqueeze(-1) == torch.arange(1, num_media + 1, device=device)  # (B, T, M)
        running = seen.cumsum(dim=1)
        longest = int(running[:, -1:].amax()) if length else 0  # K
        if not 0 < 2 * longest <= length:
            return None
        slots = rows * num_media * longest
        row = torch.arange(rows, device=device).view(-1, 1, 1)
        back = ((row * num_media + index) * longest + running.gather(-1, index) - 1).squeeze(-1)  # (B, T)
        sees = text_time > 0
        place = torch.arange(rows * length, device=device)
        take = place.new_zeros(slots + 1).scatter_(0, torch.where(sees, back, slots).flatten(), place)
        return cls(take[:-1].view(-1, longest), torch.where(sees, back, 0))


@dataclass(frozen=True, slots=True)
class MediaMask:
    """Which of M x L media tokens each text token attends to.

    A softmax over a fully masked row is undefined and its gradient NaN, so rows that see nothing are unmasked in
    `allowed`, and a block must zero their output with `sees`. `by_medium` is the same mask in its cheapest form.
    """

    sees: Tensor  # (B, T, 1) bool: whether the token sees a medium at all
    allowed: Tensor | None  # (B, 1, T, M x L) bool; None if M is 1
    by_medium: TokensByMedium | None = None  # None if it would save nothing

    @classmethod
    def of(cls, text_time: Tensor, num_media: int, num_tokens: int) -> "MediaMask":
        """From (B, T) media indices counted from 1; a token attends to that medium only."""
        sees = (text_time > 0).unsqueeze(-1)
        if num_media == 1:
            return cls(sees, None)
        medium = torch.arange(1, num_media + 1, device=text_time.device)
        allowed = (text_time.unsqueeze(-1) == medium) | ~sees  # (B, T, M)
        allowed = allowed.repeat_interleave(num_tokens, dim=-1).unsqueeze(1)
        return cls(sees, allowed, TokensByMedium.of(text_time, num_media))
