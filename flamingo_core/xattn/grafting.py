"""GRAFTING: new layers on top of the language model, whose own layers stay as they are (table 3 iv).

B examples, T text tokens, M media, L tokens per medium, D width of the language model.
"""

from dataclasses import dataclass

from flamingo_core.config import check_positive
from flamingo_core.registry import register
from flamingo_core.xattn.gated import GatedConfig, GatedXattn


@dataclass(kw_only=True, slots=True)
class GraftingConfig(GatedConfig):
    """The blocks are those of `gated`; `num_pairs` has no default: the scale sets it."""

    num_pairs: int

    def __post_init__(self) -> None:
        # zero-argument super() fails in a dataclass with slots, whose class is created twice
        GatedConfig.__post_init__(self)
        check_positive(self, "num_pairs")


@register("xattn", "grafting", config=GraftingConfig)
class GraftedXattn(GatedXattn):
    """(B, T, D) reads (B, M, L, D) -> (B, T, D): the block of one pair.

    A pair is a new self-attention layer of the language model's own class, then this block. `num_pairs` of them come
    after the last layer, before the final norm and the head, and are trained from scratch. The new self-attention
    layers have no gate, so a new model does not equal its language model.
    """

    grafted = True
    starts_as_identity = False
