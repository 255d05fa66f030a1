"""Every registered component keeps the contract of its slot, and so does one that a stranger wrote from its words."""

import pytest

from flamingo_core import registry
from tests.core import build
from tests.core.component_contract import Choice
from tests.core.contracts import ResamplerContract, VisionContract, XattnContract
from tests.core.strangers import STRANGE, STRANGERS, take_in


class TestEveryResampler(ResamplerContract):
    """Ours, by their names."""

    @pytest.fixture(params=registry.names("resampler"))
    def choice(self, request: pytest.FixtureRequest) -> Choice:
        return build.choice("resampler", request.param)


class TestEveryBlock(XattnContract):
    """Ours, by their names."""

    @pytest.fixture(params=registry.names("xattn"))
    def choice(self, request: pytest.FixtureRequest) -> Choice:
        return build.choice("xattn", request.param)


class TestTheGatedBlockWithoutGates(XattnContract):
    """The row `tanh_gating_off`: a block that promises less."""

    @pytest.fixture
    def choice(self) -> Choice:
        return build.choice("xattn", "gated", tanh_gating=False)


class TestEveryEncoder(VisionContract):
    """Ours, by their names."""

    @pytest.fixture(params=registry.names("vision"))
    def choice(self, request: pytest.FixtureRequest) -> Choice:
        return build.choice("vision", request.param)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Choice:
    """The three strangers under one name, for the length of a test."""
    for slot, cls in STRANGERS.items():
        take_in(monkeypatch, slot, cls)
    return STRANGE


class TestAStrangersResampler(ResamplerContract):
    """It knows nothing of ours but the contract."""

    @pytest.fixture
    def choice(self, registered: Choice) -> Choice:
        return registered


class TestAStrangersBlock(XattnContract):
    """It shares no code with ours."""

    @pytest.fixture
    def choice(self, registered: Choice) -> Choice:
        return registered


class TestAStrangersEncoder(VisionContract):
    """It knows nothing of ours but the contract."""

    @pytest.fixture
    def choice(self, registered: Choice) -> Choice:
        return registered


def test_strangers_are_gone_again() -> None:
    """Tests on every registered name meet ours alone."""
    assert all("strange" not in registry.names(slot) for slot in registry.SLOTS)
