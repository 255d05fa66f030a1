"""A class from outside that breaks the contract of its slot is refused with the spec, by the slot's key."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from experiments.spec import component_check
from experiments.spec.spec import make_spec
from experiments.store import reader
from flamingo_core import registry
from tests.core.strangers import STRANGERS, StrangeBlock, StrangeEncoder, StrangeResampler, take_in
from tests.experiments.commands import run_here, tiny_spec


class Undrawn(nn.Module):
    """Holds a parameter, and nothing says how it starts."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(()))


class ResamplerOfUndrawn(StrangeResampler):
    def __init__(self, config: Any, **widths: int):
        super().__init__(config, **widths)
        self.inner = Undrawn()


class BlockOfUndrawn(StrangeBlock):
    def __init__(self, config: Any, *, width: int):
        super().__init__(config, width=width)
        self.inner = Undrawn()


class EncoderOfUndrawn(StrangeEncoder):
    def __init__(self, config: Any):
        super().__init__(config)
        self.inner = Undrawn()


class ForgetsAToken(StrangeResampler):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features)[:, :1]


class TakesPicturesOnly(StrangeResampler):
    def forward(self, features: Tensor) -> Tensor:
        means = features.squeeze(1).mean(dim=1)
        return torch.stack([self.first(means), self.last(means)], dim=1)


class CountsNoTokens(StrangeResampler):
    num_tokens = None  # type: ignore[assignment]


class FlattensMedia(StrangeBlock):
    def project_media(self, media: Tensor) -> tuple[Tensor, ...]:
        return (super().project_media(media)[0].flatten(1, 2),)


class KeepsOneTensor(StrangeBlock):
    def project_media(self, media: Tensor) -> Any:
        return super().project_media(media)[0]


class AddsAToken(StrangeBlock):
    def forward(self, hidden: Tensor, projected: Any, mask: Any) -> Tensor:
        return torch.cat([super().forward(hidden, projected, mask)] * 2, dim=1)


class NeedsMedia(StrangeBlock):
    def forward(self, hidden: Tensor, projected: Any, mask: Any) -> Tensor:
        return super().forward(hidden, (projected[0],), mask)


class LiesAboutItsGrid(StrangeEncoder):
    def __init__(self, config: Any):
        super().__init__(config)
        self.num_features = 5


class KeepsChannelsFirst(StrangeEncoder):
    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels).transpose(1, 2)


CASES: list[tuple[str, type[nn.Module], list[str]]] = [
    ("resampler", ResamplerOfUndrawn, ["resampler.inner (Undrawn) holds parameters but has no `reset_parameters`"]),
    ("xattn", BlockOfUndrawn, ["xattn.inner (Undrawn) holds parameters but has no `reset_parameters`"]),
    ("vision", EncoderOfUndrawn, ["vision.inner (Undrawn) holds parameters but has no `reset_parameters`"]),
    ("resampler", ForgetsAToken, ["forward on media of 1 frames gives (3, 1, 32); allowed: (3, 2, 32)"]),
    ("resampler", TakesPicturesOnly, ["forward on media of 2 frames gives (3, 2, 9, 32)"]),
    ("resampler", CountsNoTokens, ["'NoneType' object is not callable"]),
    ("xattn", FlattensMedia, ["project_media gives (2, 8, 40); allowed: (2, 2, 4", "B, M, L, ..."]),
    ("xattn", KeepsOneTensor, ["project_media gives Tensor; allowed: a tuple of tensors"]),
    ("xattn", AddsAToken, ["forward gives (2, 6, 32); allowed: (2, 3, 32)", "B, T, D"]),
    ("xattn", NeedsMedia, ["'NoneType' object is not subscriptable"]),
    ("vision", LiesAboutItsGrid, ["forward gives (3, 4, 8); allowed: (3, 5, 8)", "N, num_features, width"]),
    ("vision", KeepsChannelsFirst, ["forward gives (3, 8, 4); allowed: (3, 4, 8)"]),
]


def chosen(slot: str) -> tuple[str, str, str]:
    return "scale=tiny", f"model.{slot}.name=strange", f"model.{slot}.strange.size=8"


@pytest.mark.parametrize(("slot", "cls", "said"), CASES, ids=[cls.__name__ for _, cls, _ in CASES])
def test_a_broken_contract_is_refused_before_anything_runs(
    slot: str,
    cls: type[nn.Module],
    said: list[str],
    store_file: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit 2, one message that names the slot's key and what came out, and nothing stored."""
    take_in(monkeypatch, slot, cls)
    assert run_here(*chosen(slot)) == 2
    output = capsys.readouterr()
    error, hint = output.err.splitlines()
    assert error.startswith(f"error: `model.{slot}.name` is `strange`, which does not keep the contract of its slot: ")
    assert all(text in error for text in said), error
    assert hint.startswith("hint: docs/components.md says")
    assert output.out == "" and reader.runs(status=None) == []


@pytest.mark.parametrize("slot", STRANGERS)
def test_a_class_that_keeps_its_contract_passes(slot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is tried: without torch's own draws, on pictures and on clips."""
    take_in(monkeypatch, slot, STRANGERS[slot])
    frames = []
    original = component_check.TRIALS[slot]
    monkeypatch.setitem(component_check.TRIALS, slot, lambda *given: frames.append(given[-1]) or original(*given))
    assert make_spec(*chosen(slot)).model[slot]["name"] == "strange"
    assert frames == [1, tiny_spec().data.world.frames]


@pytest.mark.parametrize("slot", STRANGERS)
def test_our_own_would_pass_too(slot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not tried on every command, but what is asked of a stranger they do."""
    monkeypatch.setattr(registry.Component, "built_in", False)
    tried = []
    original = component_check.TRIALS[slot]
    monkeypatch.setitem(component_check.TRIALS, slot, lambda *given: tried.append(type(given[0])) or original(*given))
    monkeypatch.setattr("experiments.spec.spec.component_files", lambda *_: {})
    for name in registry.names(slot):
        tiny_spec(f"model.{slot}.name={name}")
    assert set(tried) == {registry.component(slot, name).cls for name in registry.names(slot)}
