"""The contract of every component, whatever its slot."""

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from flamingo_core import registry
from flamingo_core.config import FlamingoConfig
from flamingo_core.cost import BatchShape, count_parameters, estimate
from flamingo_core.flamingo import Flamingo
from flamingo_core.init import initialise
from tests.core import build

Choice = dict[str, Any]

SHAPE = BatchShape(tokens=8, media_counts=(2, 1, 0), frames=2, image_size=build.IMAGE_SIZE)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moved(module: nn.Module) -> nn.Module:
    """The module a little away from where it starts, in float64: gates that were closed are open."""
    module.double()
    with torch.no_grad():
        for place, parameter in enumerate(module.parameters()):
            parameter.add_(0.3 * numbers(*parameter.shape, seed=place))
    return module


def unreached(module: nn.Module) -> list[str]:
    """Parameters that got no gradient, or one of zeros."""
    return [name for name, parameter in module.named_parameters() if parameter.grad is None or not parameter.grad.any()]


class ComponentContract:
    """Laws of every slot."""

    slot: ClassVar[str]
    neighbours: ClassVar[dict[str, int]]  # widths that only the parts beside it know

    @pytest.fixture
    def choice(self) -> Choice:
        """`{"name": NAME, NAME: {...}}`, as a spec holds it."""
        raise NotImplementedError("a contract's subclass says which component it is about")

    def build(self, choice: Choice, *, seed: int = 0) -> Any:
        """The component with the weights of a seed."""
        module = registry.build(self.slot, choice, **self.neighbours)
        initialise(module, seed=seed, name=self.slot)
        return module

    def config(self, choice: Choice, **others: Any) -> FlamingoConfig:
        """A small model's config with the component in its slot."""
        config = build.config(**others)
        setattr(config, self.slot, {**choice, "placement": "every"} if self.slot == "xattn" else choice)
        return config

    def model(self, choice: Choice, *, seed: int = 0, **others: Any) -> Flamingo:
        """A small model with the component in it, in float64."""
        return Flamingo(self.config(choice, **others), seed=seed).double()

    def answer(self, module: Any, precision: torch.dtype = torch.float64) -> Tensor:
        """The module's output for fixed numbers."""
        raise NotImplementedError

    def test_every_weight_is_drawn_from_seed_and_name(self, choice: Choice) -> None:
        """Two of one seed are equal bit for bit whatever the constructor left; another seed gives other weights."""
        one, again = self.build(choice), registry.build(self.slot, choice, **self.neighbours)
        with torch.no_grad():
            for parameter in again.parameters():
                parameter.fill_(float("nan"))
        initialise(again, seed=0, name=self.slot)
        other = dict(self.build(choice, seed=1).named_parameters())
        for name, parameter in again.named_parameters():
            assert torch.isfinite(parameter).all(), f"{name} is left as it was constructed"
            assert torch.equal(parameter, one.get_parameter(name)), name
        drawn = [name for name in other if not torch.equal(other[name], one.get_parameter(name))]
        assert drawn or not other, "nothing depends on the seed"

    def test_a_call_draws_nothing_and_leaves_nothing_behind(self, choice: Choice) -> None:
        """In training too: the second call answers as the first, and the global generator stands where it stood."""
        module = moved(self.build(choice)).train()
        generator, held = torch.get_rng_state(), {name: x.clone() for name, x in module.state_dict().items()}
        assert torch.equal(self.answer(module), self.answer(module))
        assert torch.equal(torch.get_rng_state(), generator)
        assert all(torch.equal(x, held[name]) for name, x in module.state_dict().items())
        kept = [name for part in module.modules() for name, x in vars(part).items() if isinstance(x, Tensor)]
        assert not kept, f"tensors of a call stay in {kept}"

    def test_it_computes_in_the_precision_it_is_given(self, choice: Choice) -> None:
        """Nothing is fixed to float32, and float32 agrees with float64."""
        module = moved(self.build(choice))
        precise, rough = self.answer(module), self.answer(module.float(), torch.float32)
        assert (precise.dtype, rough.dtype) == (torch.float64, torch.float32)
        torch.testing.assert_close(rough.double(), precise, rtol=1e-3, atol=1e-3)

    def test_it_is_built_and_counted_without_memory(self, choice: Choice) -> None:
        """On the meta device: the parameters of the real model, and FLOPs in its slot."""
        cost = estimate(self.config(choice), [SHAPE])
        assert cost.params_by_slot == count_parameters(Flamingo(self.config(choice)))
        assert cost.flops_by_slot[self.slot] > 0
        assert min(cost.flops_by_slot.values()) >= 0

    def test_a_model_with_it_answers_the_same_saved_and_loaded(self, choice: Choice, tmp_path: Any) -> None:
        """Config, seed and trained weights hold all there is of it."""
        model, batch = Flamingo(self.config(choice), seed=3), build.padded(build.prompts())
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.01)
        model.save_pretrained(tmp_path)
        loaded = Flamingo.from_pretrained(tmp_path)
        with torch.no_grad():
            assert torch.equal(
                model(**batch, media=build.pixels(3)).logits, loaded(**batch, media=build.pixels(3)).logits
            )

    def test_a_step_moves_what_is_trained_and_nothing_else(self, choice: Choice) -> None:
        """With a model around it: gradients are finite, every parameter in training has one, frozen ones have none."""
        model, rows = moved(self.model(choice)), build.padded(build.prompts(), side="right")
        model.train()
        model(**rows, media=build.pixels(3), labels=rows["input_ids"]).loss.backward()
        for name, parameter in model.named_parts():
            trained = name.split(".")[0] in ("resampler", "xattn")
            assert (parameter.grad is not None) == parameter.requires_grad == trained, name
            assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
