"""Which layers of the language model get a cross-attention block before them (paper section 3.3, table 3 v)."""

import re

PLACEMENTS = "every, every_2nd, every_4th (any n-th), single_middle"


def block_layers(placement: str, num_layers: int) -> tuple[int, ...]:
    """Indices of the layers that get a block: all; 0, n, 2n, ...; or the middle one alone.

    Raises:
        ValueError: the placement is none of these, or n exceeds the number of layers.
    """
    if placement == "every":
        return tuple(range(num_layers))
    if placement == "single_middle":
        return (num_layers // 2,)
    match = re.fullmatch(r"every_([1-9]\d*)(st|nd|rd|th)", placement)
    if match is None:
        raise ValueError(f"`placement` is `{placement}`; allowed: {PLACEMENTS}")
    step = int(match[1])
    if step > num_layers:
        raise ValueError(f"`placement` is `{placement}`, but the language model has {num_layers} layers")
    return tuple(range(0, num_layers, step))
