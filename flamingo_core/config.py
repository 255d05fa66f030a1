"""FlamingoConfig: the four slots as plain data, and the checks that component configs share."""

from typing import Any

from transformers import GenerationConfig, PreTrainedConfig

from flamingo_core import registry


def check_positive(config: Any, *fields: str) -> None:
    """Raise ValueError naming every field of a component config that is not a positive number."""
    wrong = [f"`{field}` is {getattr(config, field)!r}" for field in fields if not getattr(config, field) > 0]
    if wrong:
        raise ValueError(f"{type(config).__name__}: {'; '.join(wrong)}; allowed: numbers above 0")


def check_choice(config: Any, field: str, allowed: tuple[str, ...]) -> None:
    """Raise ValueError naming the field, its value and the allowed values."""
    value = getattr(config, field)
    if value not in allowed:
        raise ValueError(f"{type(config).__name__}: `{field}` is `{value}`; allowed: {', '.join(allowed)}")


class FlamingoConfig(PreTrainedConfig):
    """The four slots of a Flamingo as plain dicts, each `{"name": ..., <name>: {...}}` plus the slot's own keys.

    `xattn` also has `placement`; `lm` also has `freeze`, `weights` (pretrained or random) and `path`. Token ids are
    those of the language model's tokenizer.
    """

    model_type = "flamingo"
    has_no_defaults_at_init = True

    def __init__(
        self,
        vision: dict[str, Any],
        resampler: dict[str, Any],
        xattn: dict[str, Any],
        lm: dict[str, Any],
        image_token_id: int,
        **kwargs: Any,
    ):
        self.vision, self.resampler, self.xattn, self.lm = vision, resampler, xattn, lm
        self.image_token_id = image_token_id
        super().__init__(**kwargs)

    def component_config(self, slot: str) -> Any:
        """The config dataclass of the component chosen for a slot."""
        return registry.make_config(slot, getattr(self, slot))

    def plain(self) -> dict[str, Any]:
        """The arguments of this config as plain data: `FlamingoConfig(**plain)` is equal."""
        tokens = ("image_token_id", "bos_token_id", "eos_token_id", "pad_token_id")
        return {key: getattr(self, key, None) for key in (*registry.SLOTS, *tokens)}

    def describe_language_model(self, *, width: int, vocab_size: int, num_layers: int) -> None:
        """Set the fields that `generate` and its caches read; `num_layers` includes grafted layers."""
        self.hidden_size, self.vocab_size, self.num_hidden_layers = width, vocab_size, num_layers

    def generation_config(self) -> GenerationConfig:
        """Greedy, stops at the end of a chunk, never emits `<image>`: no new medium can appear while decoding."""
        return GenerationConfig(
            suppress_tokens=[self.image_token_id],
            **{token: getattr(self, token, None) for token in ("bos_token_id", "eos_token_id", "pad_token_id")},
        )
