"""The registry: components found by themselves, names unique."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from flamingo_core import registry
from flamingo_core.xattn.placement import block_layers


@dataclass(kw_only=True)
class Nothing:
    """A config without fields."""


def test_every_built_in_component_is_found():
    """A file in a slot's folder is enough."""
    assert {"perceiver", "mlp", "transformer"} <= set(registry.names("resampler"))
    assert {"gated", "vanilla", "grafting"} <= set(registry.names("xattn"))
    assert {"clip_vit_l14", "nfnet_f0", "nfnet_f6"} <= set(registry.names("vision"))
    assert {"llama", "gpt_neox", "opt", "qwen3"} <= set(registry.names("lm"))


def test_a_name_is_given_once():
    """A second class of the same name raises and does not replace the first."""
    first = registry.component("resampler", "perceiver")
    with pytest.raises(ValueError, match=r"`perceiver` is registered twice"):
        registry.register("resampler", "perceiver", config=Nothing)(type("Another", (), {}))
    assert registry.component("resampler", "perceiver") is first


def test_an_unknown_name_or_slot_says_what_is_allowed():
    """The error carries slot, name and what is allowed."""
    with pytest.raises(registry.UnknownComponent, match=r"`percever` is no resampler component; allowed: .*perceiver"):
        registry.component("resampler", "percever")
    with pytest.raises(ValueError, match="slot is `resampeler`; allowed: vision"):
        registry.register("resampeler", "x", config=Nothing)


@pytest.mark.parametrize(
    "placement, expected",
    [
        ("every", (0, 1, 2, 3, 4, 5, 6, 7)),
        ("every_2nd", (0, 2, 4, 6)),
        ("every_3rd", (0, 3, 6)),
        ("every_4th", (0, 4)),
        ("every_7th", (0, 7)),
        ("single_middle", (4,)),
    ],
)
def test_placements(placement, expected):
    """Blocks stand before layers 0, n, 2n, ...; the middle of 24 layers is index 12."""
    assert block_layers(placement, 8) == expected
    assert block_layers("single_middle", 24) == (12,)


@pytest.mark.parametrize("placement", ["every_0th", "every_9th", "each", "", "every_4"])
def test_a_placement_that_is_none_is_refused(placement):
    """Named with its value."""
    with pytest.raises(ValueError, match=f"`placement` is `{placement}`"):
        block_layers(placement, 8)


def test_the_core_imports_neither_configuration_nor_tracking():
    """A user of the model alone needs torch and transformers."""
    code = (
        "import sys; import flamingo_core.flamingo, flamingo_core.cost; "
        "print([name for name in ('hydra', 'omegaconf', 'mlflow', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
