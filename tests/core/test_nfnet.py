"""NFNet: timm's networks to the last digit, at every size, and strict about the weights it is given."""

import json
import zlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from flamingo_core import registry
from flamingo_core.vision.nfnet import NFBlock, NFNet, NFNetConfig, ScaledStdConv

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "nfnet_timm.json").read_text(encoding="utf-8"))


def published(variant: str) -> NFNetConfig:
    """The config of one of F0 to F6, at the 320 pixels of the paper."""
    sizes = GOLDEN["parameters"][variant]
    return NFNetConfig(
        image_size=320,
        depths=sizes["depths"],
        channels=sizes["channels"],
        stem_channels=128,
        group_size=128,
        width=3072,
    )


def desk(**changes: object) -> NFNetConfig:
    """A network of a few thousand weights with every kind of block: the stem's width kept, widened, strided."""
    sizes: dict[str, object] = {
        "image_size": 24,
        "depths": [1, 2],
        "channels": [16, 32],
        "stem_channels": 16,
        "group_size": 4,
        "width": 24,
    }
    return NFNetConfig(**{**sizes, **changes})  # type: ignore[arg-type]


def build(config: NFNetConfig, dtype: torch.dtype = torch.float64, *, open_gains: bool = True) -> NFNet:
    """A network of fixed random weights; its residual branches take part unless `open_gains` is false."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NFNet(config).to(dtype)
    if open_gains:
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name.endswith("skipinit_gain"):
                    parameter.fill_(0.5)
    return network


def pictures(n: int, height: int, width: int) -> Tensor:
    """(n, 3, height, width) in 0..1."""
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("variant", GOLDEN["parameters"])
def test_published_parameter_counts(variant: str) -> None:
    """F0 to F6 have timm's parameters and tensors, counted without allocating one."""
    with torch.device("meta"):
        network = NFNet(published(variant))
    parameters = list(network.parameters())
    assert sum(p.numel() for p in parameters) == GOLDEN["parameters"][variant]["count"]
    assert len(parameters) == GOLDEN["parameters"][variant]["tensors"]
    assert (network.width, network.num_features) == (3072, 100)


@pytest.mark.parametrize(("variant", "gmac"), [("f0", 19.333), ("f6", 116.549)])
def test_multiply_adds_of_a_picture(variant: str, gmac: float) -> None:
    """One picture of 320 pixels costs what the model of the published step times takes it to, counted on meta."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        NFNet(published(variant))(torch.empty(1, 3, 320, 320))
    assert round(counter.get_total_flops() / 2e9, 3) == gmac


def test_keys_and_shapes_are_timms() -> None:
    """The state dict has timm's names, order and shapes, and nothing else."""
    with torch.device("meta"):
        state = NFNet(published("f0")).state_dict()
    assert [(name, list(value.shape)) for name, value in state.items()] == [*GOLDEN["state_dict_shapes"].items()]


def test_f0_features_are_timms() -> None:
    """With weights drawn by key, F0's features equal timm's to 1e-9 in float64."""
    with torch.device("meta"):
        network = NFNet(published("f0"))
    state = {}
    for name, meta in network.state_dict().items():
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        drawn = torch.randn(meta.shape, generator=generator, dtype=torch.float64)
        if name.endswith("gain"):  # skip gains too: the file's rules apply in the order they stand
            drawn = 1 + 0.1 * drawn
        elif name.endswith("bias"):
            drawn = 0.1 * drawn
        state[name] = drawn
    network.load_state_dict(state, assign=True)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        features = network.forward_features(x)
    golden = GOLDEN["golden"]
    first, last = features[0, :8, 0, 0], features[-1, -8:, -1, -1]  # 8 channels of one place each
    got = torch.cat([first, last, features.mean()[None], features.std()[None]])
    want = [*golden["features_first"], *golden["features_last"], golden["features_mean"], golden["features_std"]]
    assert list(features.shape) == golden["features_shape"]
    torch.testing.assert_close(got, torch.tensor(want, dtype=torch.float64), rtol=0, atol=1e-9)


def test_one_class_two_names() -> None:
    """Both rows of the table take the same class: only the scale says how large each is."""
    assert {registry.component("vision", name).cls for name in ("nfnet_f0", "nfnet_f6")} == {NFNet}


@pytest.mark.parametrize("image_size", [24, 31, 33, 48])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_features_a_frame(image_size: int, device: str) -> None:
    """`num_features` and `width` say what leaves, whether or not the size divides by the strides."""
    network = build(desk(image_size=image_size)).to(device)
    with torch.no_grad():
        features = network(pictures(2, image_size, image_size).to(device))
    assert features.shape == (2, network.num_features, network.width)
    assert features.dtype == torch.float64


def test_features_are_the_grid_of_normalised_pixels_row_by_row() -> None:
    """Feature r * w + c is the place (r, c) of the map of the normalised picture."""
    network = build(desk())
    pixels = pictures(2, 24, 24)
    mean, std = (torch.tensor(x, dtype=torch.float64).view(3, 1, 1) for x in (network.config.mean, network.config.std))
    grid = network.forward_features((pixels - mean) / std)
    features = network(pixels)
    assert grid.shape[-2:] == (3, 3)
    for row in range(3):
        for column in range(3):
            torch.testing.assert_close(features[:, 3 * row + column], grid[:, :, row, column], rtol=0, atol=1e-12)


def test_pictures_of_another_size_are_resized() -> None:
    """A picture of one colour gives the same features at any size and shape."""
    network = build(desk())
    colour = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64).view(1, 3, 1, 1)
    want = network(colour.expand(1, 3, 24, 24))
    for height, width in ((24, 40), (13, 7), (48, 48)):
        torch.testing.assert_close(network(colour.expand(1, 3, height, width)), want, rtol=0, atol=1e-12)


def test_pictures_do_not_mix() -> None:
    """Changing one picture of a batch leaves the features of the others bit-equal."""
    network = build(desk())
    pixels = pictures(3, 24, 24)
    changed = pixels.clone()
    changed[1] = 1 - changed[1]
    before, after = network(pixels), network(changed)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.equal(before[1], after[1])


def test_residual_branches_start_closed() -> None:
    """A block that keeps its shape is the identity in a new network, and is not once its gain has moved."""
    x = torch.randn(2, 32, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.equal(build(desk(), open_gains=False).stages[1][1](x), x)  # type: ignore[index]
    assert not torch.equal(build(desk()).stages[1][1](x), x)  # type: ignore[index]


def test_filters_are_standardised_anew_in_every_call() -> None:
    """Shift and scale of a filter change nothing, its gain does, and no call leaves anything behind."""
    network = build(desk())
    pixels = pictures(1, 24, 24)
    before, state = network(pixels), {name: value.clone() for name, value in network.state_dict().items()}
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert not list(network.buffers())
    convolution = network.stages[1][0].conv2  # type: ignore[index]
    assert isinstance(convolution, ScaledStdConv)
    with torch.no_grad():
        convolution.weight.mul_(1e4).add_(3.0)  # EPS is relative to the variance: the filter grows, so it fades
        after = network(pixels)
        torch.testing.assert_close(after, before, rtol=0, atol=1e-3)
        convolution.gain.mul_(2.0)
        assert (network(pixels) - after).abs().max() > 1e-2


def test_gradients_are_right() -> None:
    """Autograd through a strided block agrees with differences in float64."""
    block = NFBlock(desk(), 8, 16, stride=2, beta=0.9).double()
    torch.nn.init.constant_(block.skipinit_gain, 0.5)
    x = torch.randn(1, 8, 3, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,))
    build(desk())(pictures(1, 24, 24)).sum().backward()


def test_every_parameter_is_drawn_by_its_own_module() -> None:
    """`reset_parameters` of the modules that hold parameters rewrites each of them."""
    network = build(desk())
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, float("nan"))
    for module in network.modules():
        if list(module.parameters(recurse=False)):
            module.reset_parameters()  # type: ignore[operator]
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())


@pytest.mark.parametrize("stored_as", [torch.float32, torch.float16])
def test_loads_a_file_with_or_without_classifier(tmp_path: Path, stored_as: torch.dtype) -> None:
    """Weights come back as stored, in the network's own precision; `head.fc` is passed over."""
    state = {name: value.to(stored_as) for name, value in build(desk()).state_dict().items()}
    save_file(state | {"head.fc.weight": torch.zeros(10, 24), "head.fc.bias": torch.zeros(10)}, tmp_path / "weights")
    loaded = NFNet(desk(path=str(tmp_path / "weights")))
    assert loaded.final_conv.weight.dtype == torch.float32
    assert all(torch.equal(value, state[name].float()) for name, value in loaded.state_dict().items())
    with torch.device("meta"):
        NFNet(desk(path=str(tmp_path / "weights")))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"drop": "stem.conv1.gain"}, "stem.conv1.gain is missing"),
        ({"add": "head.norm.weight"}, "head.norm.weight is unknown"),
        ({"add": "final_conv.weight"}, "final_conv.weight is (1,), here (24, 32, 1, 1)"),
    ],
)
def test_refuses_a_file_that_does_not_fit(tmp_path: Path, change: dict[str, str], named: str) -> None:
    """A tensor too few, too many or of another shape is refused by name."""
    state = build(desk()).state_dict()
    state.pop(change.get("drop", ""), None)
    state |= {name: torch.zeros(1) for kind, name in change.items() if kind == "add"}
    save_file(state, tmp_path / "weights")
    with pytest.raises(ValueError, match="does not hold this NFNet") as refused:
        NFNet(desk(path=str(tmp_path / "weights")))
    assert named in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_size": 0},
        {"depths": [1]},
        {"depths": []},
        {"channels": [16, -32]},
        {"stem_channels": 12},
        {"group_size": 5},
        {"group_size": 64},
        {"bottleneck_ratio": 0.01},
        {"width": -1},
    ],
)
def test_refuses_sizes_that_cannot_be_built(wrong: dict[str, object]) -> None:
    """The message names the field and its value."""
    (field, value), *_ = wrong.items()
    with pytest.raises(ValueError, match="allowed") as refused:
        desk(**wrong)
    assert str(value) in str(refused.value) or field == "bottleneck_ratio"
    assert f"`{field}`" in str(refused.value)
