"""Convert a data set's pixels to the size and normalisation an encoder was trained on.

N images, H x W pixels, I the encoder's image size.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import interpolate


def resized(medium: Tensor, image_size: int) -> Tensor:
    """(F, 3, h, w) in uint8, or floats in 0..1 -> (F, 3, I, I) floats in 0..1; aspect ratio is not kept."""
    pixels = medium if medium.is_floating_point() else medium.float() / 255
    return interpolate(pixels, size=(image_size, image_size), mode="bilinear", antialias=True, align_corners=False)


def prepare_pixels(pixels: Tensor, image_size: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(N, 3, H, W) in 0..1 -> (N, 3, I, I), resized if the size differs, then normalised per channel."""
    if tuple(pixels.shape[-2:]) != (image_size, image_size):
        size = (image_size, image_size)
        pixels = interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)
    shape = (1, 3, 1, 1)
    return (pixels - pixels.new_tensor(mean).view(shape)) / pixels.new_tensor(std).view(shape)
