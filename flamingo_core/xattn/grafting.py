"""GRAFTING: new layers on the output of the language model, whose own layers stay as they are (table 3 iv).

B examples, T text tokens, M media, L tokens a medium, D width of the language model.
"""

from dataclasses import dataclass

from flamingo_core.config import check_positive
from flamingo_core.registry import register
from flamingo_core.xattn.gated import GatedConfig, GatedXattn


@dataclass(kw_only=True, slots=True)
class GraftingConfig(GatedConfig):
    """The blocks are those of `gated`; `num_pairs` has no default: the scale says."""

    num_pairs: int

    def __post_init__(self) -> None:
        # the zero-argument form does not work in a dataclass with slots, which is made twice
        GatedConfig.__post_init__(self)
        check_positive(self, "num_pairs")


@register("xattn", "grafting", config=GraftingConfig)
class GraftedXattn(GatedXattn):
    """(B, T, D) reads (B, M, L, D) -> (B, T, D): the block of one pair.

    A pair is a new self-attention layer of the language model's own class, then this block. `num_pairs` of them stand
    after the last layer, before the final norm and the head, and learn from scratch. The new self-attention layers have
    no gate, so a new model does not equal its language model.
    """

    grafted = True
    starts_as_identity = False
