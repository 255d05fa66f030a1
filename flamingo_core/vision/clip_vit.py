"""CLIP's vision transformer, of any size, from transformers.

N images, 3 x H x W pixels in 0..1, S patches, V width.
"""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from flamingo_core.config import check_positive
from flamingo_core.pretrained import check_weights, load_model, on_meta
from flamingo_core.registry import register
from flamingo_core.vision.pixels import prepare_pixels, resized


@dataclass(kw_only=True, slots=True)
class ClipVitConfig:
    """Sizes have no default: the scale sets them. `path` is a directory written by CLIPVisionModel.save_pretrained."""

    image_size: int
    patch_size: int
    width: int
    depth: int
    num_heads: int
    ff_width: int
    path: str | None = None
    mean: list[float] = field(default_factory=lambda: [0.48145466, 0.4578275, 0.40821073])
    std: list[float] = field(default_factory=lambda: [0.26862954, 0.26130258, 0.27577711])

    def __post_init__(self) -> None:
        check_positive(self, "image_size", "patch_size", "width", "depth", "num_heads", "ff_width")
        if self.image_size % self.patch_size:
            raise ValueError(f"ClipVitConfig: `image_size` is {self.image_size}; allowed: multiples of `patch_size`")


@register("vision", "clip_vit_l14", config=ClipVitConfig)
class ClipVit(nn.Module):
    """(N, 3, H, W) -> (N, S, V): the patches' last hidden states.

    The class token and the final norm, which CLIP uses only for its pooled vector, are left out.
    """

    def __init__(self, config: ClipVitConfig):
        super().__init__()
        self.config = config
        if config.path is not None:
            check_weights(config.path, "path")
        if config.path is None or on_meta():
            self.model = CLIPVisionModel(_transformers_config(config))
        else:
            self.model = load_model(CLIPVisionModel, config.path, "path")
        sizes: Any = self.model.config  # a loaded encoder has its own
        self.width: int = sizes.hidden_size
        self.image_size: int = sizes.image_size
        self.num_features: int = (sizes.image_size // sizes.patch_size) ** 2

    def preprocess(self, medium: Tensor) -> Tensor:
        """(F, 3, h, w) in uint8 -> (F, 3, I, I), I the encoder's image size; for media that differ in size."""
        return resized(medium, self.image_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode images of any size; they are resized to the encoder's image size."""
        pixels = prepare_pixels(pixels, self.image_size, self.config.mean, self.config.std)
        hidden: Tensor = self.model(pixel_values=pixels).last_hidden_state
        return hidden[:, 1:]  # (N, S, V)


def _transformers_config(config: ClipVitConfig) -> CLIPVisionConfig:
    if config.path is not None:
        return CLIPVisionConfig.from_pretrained(config.path)
    return CLIPVisionConfig(
        image_size=config.image_size,
        patch_size=config.patch_size,
        hidden_size=config.width,
        num_hidden_layers=config.depth,
        num_attention_heads=config.num_heads,
        intermediate_size=config.ff_width,
    )
