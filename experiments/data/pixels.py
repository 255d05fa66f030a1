"""Pixels of several media as one tensor. N media, F frames, H x W pixels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor


def stacked(media: Sequence[npt.NDArray[np.uint8]]) -> "Tensor":
    """(F, 3, H, W) each, all of one size -> (N, F, 3, H, W).

    Raises:
        ValueError: sizes differ; only an encoder's `preprocess` can handle that.
    """
    import torch

    sizes = sorted({medium.shape for medium in media})
    if len(sizes) > 1:
        raise ValueError(f"media of sizes {', '.join(map(str, sizes))} in one batch: the encoder has no `preprocess`")
    return torch.from_numpy(np.stack(media)) if media else torch.zeros((0, 1, 3, 1, 1), dtype=torch.uint8)
