"""Saves a medium as a PNG for viewing. F frames, H x W pixels."""

from pathlib import Path

import numpy as np

from experiments.data.source import Source

_SMALLEST_SHOWN = 192  # minimum height of a saved picture, in pixels


def save_picture(source: Source, medium: str, path: Path | str) -> None:
    """Write a picture, or a clip's frames side by side; small ones are enlarged to a height of at least 192 pixels."""
    from PIL import Image

    frames = source.media([medium])[0].transpose(2, 0, 3, 1)  # (H, F, W, 3)
    strip = frames.reshape(frames.shape[0], -1, 3)
    factor = -(-_SMALLEST_SHOWN // strip.shape[0])
    Image.fromarray(np.kron(strip, np.ones((factor, factor, 1), dtype=np.uint8))).save(path)
