"""NFNet: a residual network without normalisation layers, from desk size to F6 (Brock et al. 2021, arXiv 2102.06171).

This is DeepMind's variant, as in timm's `dm_nfnet_*` models: parameter names and shapes are the same, so their weights
load unchanged. In place of normalisation, three things keep activations at unit variance: convolutions with
standardised weights, GELU scaled by a constant, and blocks that divide by the standard deviation expected at their
depth.

N images, 3 x H x W pixels in 0..1, C hidden channels, h x w the final grid, S = h * w features, V their width.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, gelu, pad

from flamingo_core.config import check_positive
from flamingo_core.pretrained import on_meta, stored_shapes
from flamingo_core.registry import register
from flamingo_core.vision.pixels import prepare_pixels, resized

GELU_GAIN = 1.7015043497085571  # standard deviation of a unit normal over that of its GELU, as in DeepMind's code
SE_GAIN = 2.0  # a gate starts near one half
EPS = 1e-5  # added to a filter's variance before the square root


@dataclass(kw_only=True, slots=True)
class NFNetConfig:
    """Sizes have no default: the scale sets them.

    Published sizes: depths (1, 2, 6, 3) times n + 1 for Fn, channels (256, 512, 1536, 1536), stem 128, groups of
    128, width 3072.
    """

    image_size: int
    depths: list[int]  # blocks per stage; each stage but the first halves the grid, the stem quarters it
    channels: list[int]  # output channels of each stage
    stem_channels: int
    group_size: int  # channels per group of the 3 x 3 convolutions
    width: int  # V: channels of the last convolution
    bottleneck_ratio: float = 0.5
    se_ratio: float = 0.5  # channels inside squeeze-and-excite
    alpha: float = 0.2  # each block adds alpha^2 to the variance
    path: str | None = None  # weights: a safetensors file with timm's dm_nfnet keys
    mean: list[float] = field(default_factory=lambda: [0.485, 0.456, 0.406])
    std: list[float] = field(default_factory=lambda: [0.229, 0.224, 0.225])

    def __post_init__(self) -> None:
        check_positive(
            self, "image_size", "stem_channels", "group_size", "width", "bottleneck_ratio", "se_ratio", "alpha"
        )
        if not self.depths or len(self.depths) != len(self.channels) or min(*self.depths, *self.channels) < 1:
            raise ValueError(
                f"NFNetConfig: `depths` is {self.depths}, `channels` is {self.channels}; "
                "allowed: positive numbers, as many of one as of the other"
            )
        if self.stem_channels % 8:
            raise ValueError(f"NFNetConfig: `stem_channels` is {self.stem_channels}; allowed: multiples of 8")
        inner = [self.bottleneck(channels) for channels in self.channels]
        if any(width < self.group_size or width % self.group_size for width in inner):
            raise ValueError(
                f"NFNetConfig: `group_size` is {self.group_size}; allowed: divisors of each bottleneck, {inner} "
                "(`channels` times `bottleneck_ratio`)"
            )

    def bottleneck(self, channels: int) -> int:
        """Hidden channels of a block with `channels` output channels."""
        return int(channels * self.bottleneck_ratio)


@register("vision", "nfnet_f0", "nfnet_f6", config=NFNetConfig)
class NFNet(nn.Module):
    """(N, 3, H, W) -> (N, S, V): the grid after the final convolution and its activation, row by row.

    Images are resized to `image_size` squared (ignoring aspect ratio) and normalised. The classifier is left out, and
    so are stochastic depth and dropout, which only regularise training: Flamingo's encoder is frozen.
    """

    def __init__(self, config: NFNetConfig):
        super().__init__()
        self.config = config
        self.image_size = config.image_size
        self.width = config.width
        side = -(-config.image_size // 2 ** (len(config.depths) + 1))  # every halving rounds up
        self.num_features = side * side
        self.stem = _stem(config.stem_channels)
        self.stages = nn.Sequential()
        in_channels = config.stem_channels
        for index, (depth, channels) in enumerate(zip(config.depths, config.channels, strict=True)):
            stage = nn.Sequential()
            for block in range(depth):
                stride = 2 if index > 0 and block == 0 else 1
                # A stage's first block resets the variance to one; each block then adds alpha squared. The input of a
                # stage's first block has the variance accumulated over the whole previous stage.
                entering = config.depths[index - 1] if index and block == 0 else block
                beta = (1.0 + entering * config.alpha**2) ** -0.5
                stage.append(NFBlock(config, in_channels, channels, stride=stride, beta=beta))
                in_channels = channels
            self.stages.append(stage)
        self.final_conv = ScaledStdConv(in_channels, config.width, 1)
        if config.path is not None:
            self._load(Path(config.path))

    def preprocess(self, medium: Tensor) -> Tensor:
        """(F, 3, h, w) in uint8 -> (F, 3, I, I), I the encoder's image size; for media that differ in size."""
        return resized(medium, self.image_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode images of any size; they are resized to the encoder's image size."""
        pixels = prepare_pixels(pixels, self.image_size, self.config.mean, self.config.std)
        return self.forward_features(pixels).flatten(2).transpose(1, 2)  # (N, S, V)

    def forward_features(self, pixels: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W), not resized -> (N, V, h, w)."""
        x: Tensor = self.final_conv(self.stages(self.stem(pixels)))
        return scaled_gelu(x)

    def _load(self, path: Path) -> None:
        """Load all weights of a file or none; only the classifier `head.fc` is skipped.

        Raises:
            ValueError: the file cannot be read, or a tensor is missing, unknown or of another shape.
        """
        own = {name: tuple(tensor.shape) for name, tensor in self.state_dict().items()}
        shapes = stored_shapes(path, key="path", value=str(path))
        stored = {name: shape for name, shape in shapes.items() if not name.startswith("head.fc.")}
        problems = [f"{name} is missing" for name in own.keys() - stored.keys()]
        problems += [f"{name} is unknown" for name in stored.keys() - own.keys()]
        problems += [
            f"{name} is {stored[name]}, here {own[name]}"
            for name in own.keys() & stored.keys()
            if stored[name] != own[name]
        ]
        if problems:
            shown = "; ".join(sorted(problems)[:5])
            raise ValueError(
                f"`path` is `{path}`, which does not hold this NFNet: {len(problems)} tensors differ: {shown}"
            )
        if not on_meta():  # planning only counts parameters
            self.load_state_dict({name: value for name, value in load_file(path).items() if name in own})


class NFBlock(nn.Module):
    """(N, C_in, h, w) -> (N, C, h / stride, w / stride): a pre-activation bottleneck with a gain that starts at zero.

    shortcut + alpha * gain * residual(beta * gelu(x)); the shortcut is x or, if the shape changes, the activated input
    averaged over 2 x 2 and projected.
    """

    def __init__(self, config: NFNetConfig, in_channels: int, channels: int, *, stride: int, beta: float):
        super().__init__()
        inner = config.bottleneck(channels)
        groups = inner // config.group_size
        self.alpha, self.beta = config.alpha, beta
        changes_shape = stride > 1 or in_channels != channels
        self.downsample = Downsample(in_channels, channels, stride) if changes_shape else None
        self.conv1 = ScaledStdConv(in_channels, inner, 1)
        self.conv2 = ScaledStdConv(inner, inner, 3, stride=stride, groups=groups)
        self.conv2b = ScaledStdConv(inner, inner, 3, groups=groups)
        self.conv3 = ScaledStdConv(inner, channels, 1)
        self.attn_last = SqueezeExcite(channels, max(1, int(channels * config.se_ratio)))
        self.skipinit_gain = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero the residual branch's gain; the convolutions draw their own weights."""
        nn.init.zeros_(self.skipinit_gain)

    def forward(self, x: Tensor) -> Tensor:
        """Add the gated residual branch."""
        out = scaled_gelu(x, self.beta)
        shortcut = x if self.downsample is None else self.downsample(out)
        out = self.conv1(out)
        out = self.conv2(scaled_gelu(out))
        out = self.conv2b(scaled_gelu(out))
        out = self.conv3(scaled_gelu(out))
        gate = self.attn_last(out) * (SE_GAIN * self.alpha * self.skipinit_gain)  # (N, C, 1, 1)
        return torch.addcmul(shortcut, out, gate)


class Downsample(nn.Module):
    """(N, C_in, h, w) -> (N, C, h / stride, w / stride): 2 x 2 averages (smaller at the edges), projected."""

    def __init__(self, in_channels: int, channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.conv = ScaledStdConv(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Average if the block has a stride, then project."""
        if self.stride > 1:
            x = avg_pool2d(x, 2, self.stride, ceil_mode=True)
        projected: Tensor = self.conv(x)
        return projected


class SqueezeExcite(nn.Module):
    """(N, C, h, w) -> (N, C, 1, 1): a gate in 0..1 per channel, from the channel means. The caller multiplies."""

    def __init__(self, channels: int, inner: int):
        super().__init__()
        self.fc1 = Pointwise(channels, inner, 1)
        self.fc2 = Pointwise(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the gate of each channel of each image."""
        hidden = torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))
        return torch.sigmoid(self.fc2(hidden))


class Pointwise(nn.Conv2d):
    """A plain 1 x 1 convolution, initialised like the network's other convolutions."""

    def reset_parameters(self) -> None:
        """Normal weights with standard deviation 1 / sqrt(fan in), zero bias."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="linear")
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class ScaledStdConv(nn.Module):
    """(N, C_in, h, w) -> (N, C, h / stride, w / stride), rounded up: a convolution whose filters are standardised.

    In every call, each filter has its mean subtracted, is divided by its standard deviation and by sqrt(fan in), then
    multiplied by a learned gain. Padding is TensorFlow's "same": if it is odd, the bottom and the right get more.
    """

    def __init__(self, in_channels: int, channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1):
        super().__init__()
        self.stride, self.groups = stride, groups
        self.weight = nn.Parameter(torch.empty(channels, in_channels // groups, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(channels))
        self.gain = nn.Parameter(torch.empty(channels, 1, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal weights with standard deviation 1 / sqrt(fan in), gain one, zero bias."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="linear")
        nn.init.zeros_(self.bias)
        nn.init.ones_(self.gain)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the standardised filters."""
        kernel_size = self.weight.shape[-1]
        if self.stride > 1:
            x = pad(x, [*_same(x.shape[-1], kernel_size, self.stride), *_same(x.shape[-2], kernel_size, self.stride)])
        padding = kernel_size // 2 if self.stride == 1 else 0
        return conv2d(x, self._filters(), self.bias, self.stride, padding, groups=self.groups)

    def _filters(self) -> Tensor:
        """Standardise each filter: a batch norm whose channels are the filters does it in one pass over the weights."""
        scale = self.gain.flatten() * prod(self.weight.shape[1:]) ** -0.5
        rows = self.weight.flatten(1)[None]  # (1, C, fan in)
        return batch_norm(rows, None, None, weight=scale, training=True, eps=EPS).view_as(self.weight)


class ScaledGelu(nn.Module):
    """`scaled_gelu` as a module, for the stem."""

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> (...)."""
        return scaled_gelu(x)


def scaled_gelu(x: Tensor, scale: float = 1.0) -> Tensor:
    """GELU scaled so that a unit normal input gives unit variance, times `scale`."""
    return gelu(x).mul_(GELU_GAIN * scale)  # in place: GELU's backward needs its input only


def _stem(channels: int) -> nn.Sequential:
    """(N, 3, H, W) -> (N, C, H / 4, W / 4): four 3 x 3 convolutions, the first and the last with stride 2."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    in_channels = 3
    for index, (divisor, stride) in enumerate(((8, 2), (4, 1), (2, 1), (1, 2)), start=1):
        if index > 1:
            layers[f"act{index}"] = ScaledGelu()
        layers[f"conv{index}"] = ScaledStdConv(in_channels, channels // divisor, 3, stride=stride)
        in_channels = channels // divisor
    return nn.Sequential(layers)


def _same(size: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Padding before and after, along one dimension, that gives ceil(size / stride) output positions."""
    total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2
