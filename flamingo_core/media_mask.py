"""Which media a token sees, and what a cross-attention block reads of them.

B examples, T tokens, M media an example (the most any has), L tokens a medium, D width, N media in the whole batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


class MediaCountError(ValueError):
    """An example whose `<image>` marks and media differ in number."""


def text_time_of(input_ids: Tensor, image_token_id: int) -> Tensor:
    """(B, T) ids -> (B, T): the inclusive running count of `<image>`, so 0 is before the first image (section 2.3)."""
    return (input_ids == image_token_id).cumsum(dim=-1)


def check_marks(
    input_ids: Tensor, media_counts: Tensor, image_token_id: int, example_ids: Sequence[str] | None = None
) -> None:
    """Every example must have as many `<image>` marks as media; ids on the meta device have no content to check.

    Raises:
        MediaCountError: names each example that has not, with both counts.
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
    """(N, L, D) lying flat, (B,) -> (B, M, L, D): each example's own media, zeros where it has fewer than M."""
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
    """Which tokens see each medium, to put them beside it: then no score is computed that a mask would drop.

    At most K tokens see the same medium; `take` is filled up to K, and nothing in `back` points at the filling.
    """

    take: Tensor  # (B x M, K): which of the B x T tokens
    back: Tensor  # (B, T): which of the B x M x K results is a token's own; 0 for a token that sees nothing

    @classmethod
    def of(cls, text_time: Tensor, num_media: int) -> "TokensByMedium | None":
        """From (B, T) media indices counted from 1; None where more than half of a row's tokens see the same medium.

        Filling up all other media to so many tokens costs more than the scores it saves.
        """
        if text_time.is_meta:  # no content to go by
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

    A softmax over a fully masked row is undefined and its gradient NaN, so rows that see nothing are open in `allowed`
    and a block must multiply what they bring by `sees`. `by_medium` says the same in the form that costs least.
    """

    sees: Tensor  # (B, T, 1) bool: whether the token sees a medium at all
    allowed: Tensor | None  # (B, 1, T, M x L) bool; None where there is one medium to choose from
    by_medium: TokensByMedium | None = None  # None where it would save nothing

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
