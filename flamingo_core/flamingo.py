"""Flamingo: encode media -> resample -> language model conditioned on them -> loss; generate.

B examples, T text tokens, N media in the batch, M media per example, F frames, H x W pixels, S features per frame,
V width of the features, L tokens per medium, D width of the language model, U vocabulary.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from flamingo_core import checkpoint, registry
from flamingo_core.assemble import build_language_model, draw_weights, insert_blocks
from flamingo_core.conditioning import ConditionedLayer, FlamingoCache, MediaContext
from flamingo_core.config import FlamingoConfig
from flamingo_core.init import no_draws
from flamingo_core.media_mask import MediaMask, check_marks, group_media, text_time_of


class Flamingo(PreTrainedModel, GenerationMixin):
    """A frozen vision encoder, a resampler, and cross-attention blocks in a causal language model (paper section 2).

    Media are given as `media`, pixels (N, F, 3, H, W) in uint8 or floats in 0..1, or, if already encoded, as
    `media_features` (N, F, S, V). They are concatenated over examples; `media_counts` (B,) is the number per example.
    The model keeps no state about them between calls.
    """

    config: FlamingoConfig
    config_class = FlamingoConfig
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config: FlamingoConfig, *, seed: int | None = 0):
        """Build all parts and draw their weights from (seed, name); with seed None they stay as constructed.

        Raises:
            UnknownComponent: a slot names a component that is not registered.
            ValueError: a component cannot be built from its config, or does not fit the others.
        """
        super().__init__(config)
        self.seed = seed
        with no_draws():
            lm = build_language_model(config)
            self.vision = registry.build("vision", config.vision)
            self.resampler = registry.build(
                "resampler", config.resampler, in_width=self.vision.width, out_width=lm.width
            )
            self.lm: PreTrainedModel = lm.model
            if seed is not None:
                draw_weights(config, seed, vision=self.vision, resampler=self.resampler, lm=self.lm)
            insert_blocks(lm, config, seed)
        config.describe_language_model(
            width=lm.width, vocab_size=lm.model.config.vocab_size, num_layers=len(lm.layers())
        )
        self.generation_config = config.generation_config()
        self.vision.requires_grad_(False)
        self.lm.requires_grad_(not config.lm["freeze"])
        for layer in self.conditioned_layers():
            (layer if layer.grafted else layer.block).requires_grad_(True)  # type: ignore[union-attr]
        self.train(False)

    def conditioned_layers(self) -> Iterator[ConditionedLayer]:
        """The language model's layers that have a cross-attention block, from first to last."""
        for module in self.lm.modules():
            if isinstance(module, ConditionedLayer) and module.block is not None:
                yield module

    def named_parts(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every parameter, named the same in all ablations: `vision.`, `resampler.`, `xattn.<layer>.` or `lm.`."""
        prefixes: dict[str, str] = {}
        for name, module in self.named_modules():
            if isinstance(module, ConditionedLayer):
                block = f"xattn.{module.index}"
                prefixes[f"{name}.block."] = f"{block}."
                prefixes[f"{name}.layer."] = f"{block}.self_attention." if module.grafted else f"{name}."
        for name, parameter in self.named_parameters():
            inside = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
            yield (name if inside is None else prefixes[inside] + name.removeprefix(inside)), parameter

    def train(self, mode: bool = True) -> Self:
        """Keep frozen parts in eval mode, and a trainable language model too: the paper trains without dropout."""
        super().train(mode)
        self.vision.train(False)
        self.lm.train(False)
        for module in self.lm.modules():
            if isinstance(module, ConditionedLayer):
                module.training = mode  # gradient checkpointing reads it
                if module.block is not None:
                    module.block.train(mode)
        return self

    @torch.no_grad()
    def preprocess(self, media: Sequence[Any]) -> Tensor:
        """Arrays of uint8, (F, 3, h, w) each -> pixels (N, F, 3, H, W) for `encode_media`; runs in data loading.

        Media of equal size stay as they are: the encoder resizes and normalises them as a batch. Media of different
        sizes are first resized by the encoder's `preprocess`.

        Raises:
            ValueError: sizes differ and the encoder has no `preprocess`.
        """
        tensors = [torch.as_tensor(medium) for medium in media]
        if len({tensor.shape for tensor in tensors}) > 1:
            own = getattr(self.vision, "preprocess", None)
            if own is None:
                raise ValueError(f"media differ in size, and {type(self.vision).__name__} has no `preprocess`")
            tensors = [own(tensor) for tensor in tensors]
        return torch.stack(tensors) if tensors else torch.zeros((0, 1, 3, 1, 1), dtype=torch.uint8)

    def encode_media(self, media: Tensor) -> Tensor:
        """Pixels (N, F, 3, H, W) -> features (N, F, S, V), without gradients: the encoder is frozen."""
        pixels = media.flatten(0, 1)  # (N*F, 3, H, W)
        if not pixels.is_floating_point():
            pixels = pixels.to(self.dtype) / 255
        features: Tensor = self.vision(pixels)
        return features.unflatten(0, media.shape[:2])

    def resample(
        self, media: Tensor | None, media_features: Tensor | None, media_counts: Tensor | None
    ) -> Tensor | None:
        """Pixels or features of N media -> tokens (B, M, L, D); None if no example has media."""
        if media_features is None:
            if media is None or len(media) == 0:
                return None
            media_features = self.encode_media(media)
        if media_counts is None:
            raise ValueError("`media_counts` is missing: it says how many of the media each example has")
        return group_media(self.resampler(media_features), media_counts)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        media: Tensor | None = None,
        media_features: Tensor | None = None,
        media_tokens: Tensor | None = None,
        media_counts: Tensor | None = None,
        text_time: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: FlamingoCache | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        example_ids: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """(B, T) ids -> logits (B, T, U), and the mean loss over labels (B, T) that are not -100.

        `text_time` (B, T) is the medium each token sees, counted from 1, 0 for none; by default the last one before or
        at the token. `media_tokens` (B, M, L, D) is the output of `resample`. With a `FlamingoCache` that has read the
        prompt, `input_ids` are the tokens after it and media are not passed again. `logits_to_keep` goes to the
        language model: compute logits for this many last tokens, 0 for all; `generate` asks for one.

        Raises:
            MediaCountError: an example's number of `<image>` marks differs from its number of media.
        """
        if position_ids is None and attention_mask is not None and past_key_values is None:
            # A padded example must get the same positions as the example alone.
            position_ids = (attention_mask.long().cumsum(dim=-1) - 1).clamp(min=0)
        if past_key_values is not None and past_key_values.filled:
            context = MediaContext(
                None, MediaMask((past_key_values.num_marks > 0).view(-1, 1, 1), None), past_key_values
            )
        else:
            if media_tokens is None:
                media_tokens = (
                    past_key_values.media
                    if past_key_values is not None
                    else self.resample(media, media_features, media_counts)
                )
            context = self._prompt_context(
                input_ids, media_tokens, media_counts, text_time, past_key_values, example_ids
            )
        output = self.lm(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=past_key_values is not None,
            logits_to_keep=logits_to_keep,
            media=context,
            **kwargs,
        )
        if past_key_values is not None and not past_key_values.filled:
            past_key_values.finish_prompt(context.repeats)
        return CausalLMOutputWithPast(
            loss=None if labels is None else token_loss(output.logits, labels),
            logits=output.logits,
            past_key_values=past_key_values,
        )

    def _prompt_context(
        self,
        input_ids: Tensor,
        media_tokens: Tensor | None,
        media_counts: Tensor | None,
        text_time: Tensor | None,
        cache: FlamingoCache | None,
        example_ids: Sequence[str] | None,
    ) -> MediaContext:
        counts = cache.num_marks if cache is not None else media_counts
        if counts is None:
            counts = input_ids.new_zeros(len(input_ids))
        repeats = len(input_ids) // len(counts)
        check_marks(input_ids, counts.repeat_interleave(repeats), self.config.image_token_id, example_ids)
        if media_tokens is None:
            return MediaContext(None, None, cache, repeats)
        if text_time is None:
            text_time = text_time_of(input_ids, self.config.image_token_id)
        mask = MediaMask.of(text_time, num_media=media_tokens.shape[1], num_tokens=media_tokens.shape[2])
        return MediaContext(media_tokens, mask, cache, repeats)

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        inputs: Tensor | None = None,
        *,
        media: Tensor | None = None,
        media_features: Tensor | None = None,
        media_counts: Tensor | None = None,
        use_cache: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Transformers' `generate` with media: takes left-padded prompts (B, T) and all of its other arguments.

        Media are encoded and resampled once, and projected once per block; `<image>` is never generated.
        """
        input_ids = kwargs.pop("input_ids", inputs)
        tokens = self.resample(media, media_features, media_counts)
        if media_counts is None:
            media_counts = input_ids.new_zeros(len(input_ids))
        if use_cache:
            kwargs["past_key_values"] = FlamingoCache(tokens, media_counts)
        else:
            kwargs.update(media_tokens=tokens, media_counts=media_counts)
        return super().generate(input_ids, use_cache=use_cache, **kwargs)  # type: ignore[misc]

    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | Path, **metadata: str
    ) -> None:
        """Write `weights.safetensors` to a directory: the trained part, with the config and seed of the rest."""
        checkpoint.save_trained(self, Path(save_directory) / checkpoint.WEIGHTS_FILE, **metadata)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:  # type: ignore[override]
        """Build from a `weights.safetensors` or its directory; frozen parts are loaded or drawn as in the saved model.

        Raises:
            ValueError: the file was not written by `save_pretrained`, or does not fit the model its config describes.
        """
        path = Path(path)
        return checkpoint.load_pretrained(cls, path / checkpoint.WEIGHTS_FILE if path.is_dir() else path)


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of logits (B, T, U) against the next token's labels (B, T), over labels that are not -100.

    Zero if there are no labels at all, so that such a batch neither fails nor changes the weights.
    """
    # shift the labels: shifting the logits would copy them, and their gradient too
    targets = pad(labels[:, 1:], (0, 1), value=-100).flatten()
    losses = cross_entropy(logits.flatten(0, 1).float(), targets, ignore_index=-100, reduction="sum")
    return losses / (targets != -100).sum().clamp(min=1)
