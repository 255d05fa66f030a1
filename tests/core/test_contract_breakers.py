"""The contracts bite: a component that breaks one law fails the test that states it."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from tests.core.component_contract import ComponentContract
from tests.core.contracts import ResamplerContract, VisionContract, XattnContract
from tests.core.strangers import STRANGE, StrangeBlock, StrangeEncoder, StrangeResampler, take_in


class MixesMedia(StrangeResampler):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features - features.mean(dim=0))


class SaysTooFew(StrangeResampler):
    def num_tokens(self, num_frames: int, num_features: int) -> int:
        return 1


class PoolsFrames(StrangeResampler):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.mean(dim=1, keepdim=True))


class DropsOut(StrangeResampler):
    def forward(self, features: Tensor) -> Tensor:
        return dropout(super().forward(features), 0.1, training=self.training)


class KeepsItsInput(StrangeResampler):
    def forward(self, features: Tensor) -> Tensor:
        self.seen = features
        return super().forward(features)


class RoundsDown(StrangeResampler):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features).float()


class ForgetsAParameter(StrangeResampler):
    def __init__(self, config: Any, **widths: int):
        super().__init__(config, **widths)
        self.scale = nn.Parameter(torch.ones(()))

    def reset_parameters(self) -> None:
        """Nothing is drawn."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) * self.scale


class UsesHalfOfItself(StrangeResampler):
    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([super().forward(features)[:, :1], features.new_zeros(len(features), 1, 10)], dim=1)


class AttendsWithoutSeeing(StrangeBlock):
    def forward(self, hidden: Tensor, projected: Any, mask: Any) -> Tensor:
        seen = None if mask is None else type(mask)(torch.ones_like(mask.sees), mask.allowed)
        return super().forward(hidden, projected, seen)


class ReadsEveryMedium(StrangeBlock):
    def forward(self, hidden: Tensor, projected: Any, mask: Any) -> Tensor:
        return super().forward(hidden, projected, None if mask is None else type(mask)(mask.sees, None))


class PromisesTooMuch(StrangeBlock):
    def reset_parameters(self) -> None:
        nn.init.ones_(self.gate)


class FlattensMedia(StrangeBlock):
    def project_media(self, media: Tensor) -> tuple[Tensor, ...]:
        return (super().project_media(media)[0].flatten(1, 2),)


class NormsOverTheBatch(StrangeEncoder):
    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels - pixels.mean(dim=0))


class LiesAboutItsGrid(StrangeEncoder):
    def __init__(self, config: Any):
        super().__init__(config)
        self.num_features = 5


CASES: list[tuple[type[ComponentContract], type[nn.Module], str, tuple[Any, ...]]] = [
    (ResamplerContract, MixesMedia, "test_media_do_not_mix", ()),
    (ResamplerContract, MixesMedia, "test_company_changes_nothing", ()),
    (ResamplerContract, SaysTooFew, "test_as_many_tokens_leave_as_it_says", (2, 5)),
    (ResamplerContract, PoolsFrames, "test_the_order_of_frames_matters", ()),
    (ResamplerContract, DropsOut, "test_a_call_draws_nothing_and_leaves_nothing_behind", ()),
    (ResamplerContract, KeepsItsInput, "test_a_call_draws_nothing_and_leaves_nothing_behind", ()),
    (ResamplerContract, RoundsDown, "test_it_computes_in_the_precision_it_is_given", ()),
    (ResamplerContract, ForgetsAParameter, "test_every_weight_is_drawn_from_seed_and_name", ()),
    (ResamplerContract, UsesHalfOfItself, "test_its_gradient_is_that_of_what_it_computes", ()),
    (XattnContract, AttendsWithoutSeeing, "test_a_token_that_sees_nothing_is_as_without_media", (3,)),
    (XattnContract, ReadsEveryMedium, "test_a_token_reads_its_own_medium_alone", ()),
    (XattnContract, PromisesTooMuch, "test_a_new_block_keeps_what_it_promises", ()),
    (XattnContract, FlattensMedia, "test_media_are_projected_one_by_one", ()),
    (VisionContract, NormsOverTheBatch, "test_pictures_do_not_mix", ()),
    (VisionContract, LiesAboutItsGrid, "test_pictures_of_any_size_become_the_same_grid", (16, 16)),
]


@pytest.mark.parametrize(
    ("contract", "breaker", "law", "arguments"), CASES, ids=[f"{cls.__name__}-{law[5:]}" for _, cls, law, _ in CASES]
)
def test_a_broken_law_is_found(
    contract: type[ComponentContract],
    breaker: type[nn.Module],
    law: str,
    arguments: tuple[Any, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of these differs from a component that passes in one thing."""
    take_in(monkeypatch, contract.slot, breaker)
    with pytest.raises(AssertionError):
        getattr(contract(), law)(STRANGE, *arguments)


def test_a_parameter_without_a_draw_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `reset_parameters` there is no model."""
    monkeypatch.delattr(StrangeBlock, "reset_parameters")
    monkeypatch.setattr(StrangeBlock, "__init__", lambda self, config, *, width: _bare(self, width))
    take_in(monkeypatch, "xattn", StrangeBlock)
    with pytest.raises(TypeError, match=r"xattn \(StrangeBlock\) holds parameters but has no `reset_parameters`"):
        XattnContract().build(STRANGE)


def _bare(block: StrangeBlock, width: int) -> None:
    nn.Module.__init__(block)
    block.gate = nn.Parameter(torch.empty(width))
