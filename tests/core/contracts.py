"""Contracts of a resampler, a cross-attention block and a vision encoder: one class each, for ours and a stranger's.

Subclass the class of the slot in a test file, as `TestMine`, and say what a spec would say of it:

    class TestMine(ResamplerContract):
        @pytest.fixture
        def choice(self):
            return {"name": "mine", "mine": {"num_tokens": 4}}

Sizes must be small, and must take clips of three frames. N media, F frames, S features a frame, V their width, L tokens
a medium, D width of the language model, B examples, T text tokens, M media an example.
"""

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from flamingo_core.media_mask import MediaMask
from tests.core import build
from tests.core.component_contract import Choice, ComponentContract, moved, numbers, unreached


class ResamplerContract(ComponentContract):
    """(N, F, S, V) -> (N, L, D), built with `in_width` V and `out_width` D."""

    slot = "resampler"
    neighbours: ClassVar[dict[str, int]] = {"in_width": 6, "out_width": 10}
    order_of_frames_matters = True  # a resampler that pools frames without regard to their order says False

    def answer(self, module: Any, precision: torch.dtype = torch.float64) -> Tensor:
        """The tokens of two clips."""
        return module(numbers(2, 3, 5, 6).to(precision))

    @pytest.mark.parametrize(("num_frames", "num_features"), [(1, 5), (2, 5), (3, 5), (3, 1), (1, 9)])
    def test_as_many_tokens_leave_as_it_says(self, choice: Choice, num_frames: int, num_features: int) -> None:
        """`num_tokens` of F frames with S features each, at the width of the language model."""
        resampler = self.build(choice).double()
        tokens = resampler(numbers(2, num_frames, num_features, 6))
        assert tokens.shape == (2, resampler.num_tokens(num_frames, num_features), 10)
        assert torch.isfinite(tokens).all()

    def test_media_do_not_mix(self, choice: Choice) -> None:
        """Changing one medium leaves every other medium's tokens bit-equal and moves its own."""
        resampler, features = moved(self.build(choice)), numbers(3, 2, 5, 6)
        changed = features.clone()
        changed[1] += 1.0
        before, after = resampler(features), resampler(changed)
        assert torch.equal(before[[0, 2]], after[[0, 2]])
        assert not torch.isclose(before[1], after[1]).all()

    def test_company_changes_nothing(self, choice: Choice) -> None:
        """A medium alone has the tokens that it has among others."""
        resampler, features = moved(self.build(choice)), numbers(3, 2, 5, 6)
        together = resampler(features)
        for place in range(3):
            alone = resampler(features[place : place + 1])
            torch.testing.assert_close(alone[0], together[place], rtol=1e-9, atol=1e-9)

    def test_the_order_of_frames_matters(self, choice: Choice) -> None:
        """A clip played backwards gives other tokens, not the same ones in another order."""
        resampler, features = moved(self.build(choice)), numbers(1, 3, 5, 6)
        forwards, backwards = (resampler(x)[0] for x in (features, features.flip(1)))
        differ = torch.cdist(forwards, backwards).min(dim=0).values.max() > 1e-6
        assert bool(differ) == self.order_of_frames_matters

    def test_its_gradient_is_that_of_what_it_computes(self, choice: Choice) -> None:
        """Autograd agrees with differences, and reaches every parameter."""
        resampler, features = moved(self.build(choice)), numbers(1, 2, 3, 6).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: resampler(x).sum(dim=1), (features,))
        resampler(features).square().sum().backward()
        assert unreached(resampler) == []


class XattnContract(ComponentContract):
    """(B, T, D) reads (B, M, L, D) -> (B, T, D), built with `width` D; `grafted` and `starts_as_identity` say how."""

    slot = "xattn"
    neighbours: ClassVar[dict[str, int]] = {"width": build.WIDTH}
    sees: ClassVar[list[list[int]]] = [[0, 1, 1, 2, 2, 3], [0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]]

    def text_and_media(self, num_media: int = 3) -> tuple[Tensor, Tensor, MediaMask]:
        """Three rows of text with up to `num_media` media, the last with none, and which medium each token sees."""
        hidden, media = numbers(3, 6, build.WIDTH), numbers(3, num_media, 4, build.WIDTH, seed=1)
        times = torch.tensor(self.sees).clamp(max=num_media)
        return hidden, media, MediaMask.of(times, num_media=num_media, num_tokens=4)

    def answer(self, module: Any, precision: torch.dtype = torch.float64) -> Tensor:
        """Text that read its media."""
        hidden, media, mask = self.text_and_media()
        return module(hidden.to(precision), module.project_media(media.to(precision)), mask)

    def test_media_are_projected_one_by_one(self, choice: Choice) -> None:
        """`project_media` gives tensors (B, M, L, ...); each medium's part depends on that medium alone."""
        block, (_, media, _) = moved(self.build(choice)), self.text_and_media()
        changed = media.clone()
        changed[0, 1] += 1.0
        before, after = block.project_media(media), block.project_media(changed)
        assert isinstance(before, tuple) and before
        for one, other in zip(before, after, strict=True):
            assert one.shape[:3] == (3, 3, 4)
            kept = torch.ones(3, 3, dtype=torch.bool)
            kept[0, 1] = False
            assert torch.equal(one[kept], other[kept])

    def test_a_token_reads_its_own_medium_alone(self, choice: Choice) -> None:
        """Touch one medium: exactly the tokens that see it move, in its own row."""
        block, (hidden, media, mask) = moved(self.build(choice)), self.text_and_media()
        plain = block(hidden, block.project_media(media), mask)
        assert plain.shape == hidden.shape
        for row, place in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0)):
            touched = media.clone()
            touched[row, place] += 1.0
            changed = (block(hidden, block.project_media(touched), mask) != plain).any(dim=-1)
            expected = torch.zeros(3, 6, dtype=torch.bool)
            expected[row] = torch.tensor(self.sees[row]) == place + 1
            assert torch.equal(changed, expected)

    @pytest.mark.parametrize("num_media", [1, 3])
    def test_a_token_that_sees_nothing_is_as_without_media(self, choice: Choice, num_media: int) -> None:
        """Exactly, whole rows of such tokens too; and its loss gives media a gradient of exactly zero."""
        block, (hidden, media, mask) = moved(self.build(choice)), self.text_and_media(num_media)
        media.requires_grad_()
        output = block(hidden, block.project_media(media), mask)
        without, blind = block(hidden, None, None), torch.tensor(self.sees) == 0
        assert torch.equal(output[blind], without[blind])
        assert not torch.isclose(output[~blind], without[~blind]).all(dim=-1).any()
        output[blind].square().sum().backward(retain_graph=True)
        assert media.grad is None or not media.grad.any()
        output.square().sum().backward()
        assert torch.isfinite(media.grad).all()

    def test_a_new_block_keeps_what_it_promises(self, choice: Choice) -> None:
        """Where it starts as identity, text passes unchanged and a new model equals its language model, bit for bit."""
        block, (hidden, media, mask) = self.build(choice).double(), self.text_and_media()
        assert isinstance(block.grafted, bool) and isinstance(block.starts_as_identity, bool)
        if not block.starts_as_identity:
            pytest.skip("promises nothing of the start")
        assert torch.equal(block(hidden, block.project_media(media), mask), hidden)
        for precision in (torch.float32, torch.float64):
            model, rows = self.model(choice).to(precision), build.padded(build.prompts())
            with torch.no_grad():
                conditioned = model(**rows, media=build.pixels(3)).logits
                for layer in list(model.conditioned_layers()):
                    layer.block = None
                del rows["media_counts"]
                positions = (rows["attention_mask"].cumsum(-1) - 1).clamp(min=0)
                assert torch.equal(conditioned, model.lm(**rows, position_ids=positions).logits)

    @pytest.mark.parametrize("beams", [1, 3])
    def test_cached_decoding_equals_uncached_and_projects_once(self, choice: Choice, beams: int) -> None:
        """Ragged rows of 2, 1 and 0 media, token for token; one projection a block, of the rows before beams."""
        model, batch, calls = moved(self.model(choice)), build.padded(build.prompts()), []
        for layer in model.conditioned_layers():

            def counted(media: Tensor, project: Any = layer.block.project_media) -> Any:
                calls.append(tuple(media.shape[:2]))
                return project(media)

            layer.block.project_media = counted  # type: ignore[union-attr]

        def write(**more: Any) -> Tensor:
            return model.generate(
                batch["input_ids"],
                attention_mask=batch["attention_mask"],
                media=build.pixels(3),
                media_counts=batch["media_counts"],
                max_new_tokens=8,
                do_sample=False,
                num_beams=beams,
                **more,
            )

        cached = write()
        assert calls == [(3, 2)] * len(list(model.conditioned_layers()))
        assert torch.equal(cached, write(use_cache=False))
        assert len(cached[:, batch["input_ids"].shape[1] :].unique()) > 2, "one token over and over proves nothing"

    def test_gradient_checkpointing_changes_no_gradient(self, choice: Choice) -> None:
        """Bit for bit, with fewer bytes kept for the backward pass."""
        gradients, kept = [], []
        for checkpointing in (False, True):
            model, rows = moved(self.model(choice)), build.padded(build.prompts(), side="right")
            if checkpointing:
                build.enable_checkpointing(model)
            model.train()
            saved: list[int] = []
            with torch.autograd.graph.saved_tensors_hooks(
                lambda x, saved=saved: saved.append(x.nbytes) or x, lambda x: x
            ):
                loss = model(**rows, media=build.pixels(3), labels=rows["input_ids"]).loss
            kept.append(sum(saved))
            loss.backward()
            gradients.append({name: p.grad for name, p in model.named_parts() if p.grad is not None})
        plain, again = gradients
        assert plain.keys() == again.keys()
        assert all(torch.equal(plain[name], again[name]) for name in plain)
        assert kept[1] < kept[0]

    def test_its_gradient_reaches_every_parameter(self, choice: Choice) -> None:
        """With media and text that sees them."""
        block, (hidden, media, mask) = moved(self.build(choice)), self.text_and_media()
        block(hidden, block.project_media(media), mask).square().sum().backward()
        assert unreached(block) == []


class VisionContract(ComponentContract):
    """Pixels (N, 3, H, W) in 0..1, of any size -> (N, S, V); `num_features` is S, `width` V."""

    slot = "vision"
    neighbours: ClassVar[dict[str, int]] = {}

    def answer(self, module: Any, precision: torch.dtype = torch.float64) -> Tensor:
        """The features of two pictures."""
        return module(numbers(2, 3, 16, 16).sigmoid().to(precision))

    @pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 24), (20, 31)])
    def test_pictures_of_any_size_become_the_same_grid(self, choice: Choice, height: int, width: int) -> None:
        """(N, S, V) as it says itself."""
        encoder = self.build(choice).double()
        features = encoder(numbers(2, 3, height, width).sigmoid())
        assert features.shape == (2, encoder.num_features, encoder.width)
        assert torch.isfinite(features).all()

    def test_pictures_do_not_mix(self, choice: Choice) -> None:
        """Changing one picture leaves the features of every other bit-equal and moves its own."""
        encoder, pictures = moved(self.build(choice)).eval(), numbers(3, 3, 16, 16).sigmoid()
        changed = pictures.clone()
        changed[1] = 1 - changed[1]
        before, after = encoder(pictures), encoder(changed)
        assert torch.equal(before[[0, 2]], after[[0, 2]])
        assert not torch.isclose(before[1], after[1]).all()

    def test_it_is_frozen(self, choice: Choice) -> None:
        """In a model: no graph, no gradient asked for, eval mode whatever the model's, and the same on every seed."""
        model = self.model(choice).train()
        assert not any(parameter.requires_grad for parameter in model.vision.parameters())
        assert not any(module.training for module in model.vision.modules())
        assert not model.encode_media(build.pixels(2)).requires_grad
        other = self.model(choice, seed=1)
        for name, parameter in model.vision.named_parameters():
            assert torch.equal(parameter, other.vision.get_parameter(name)), name
