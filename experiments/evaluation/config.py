"""How the benchmarks are run."""

import math
from dataclasses import dataclass, field

from experiments.common.rules import Checked, allow, at_least
from experiments.store.names import SCORES

SHOTS = ("0", "4", "8", "16", "32")


@dataclass(kw_only=True, slots=True)
class EvalConfig(Checked):
    """How the benchmarks are run."""

    shots: int = field(default=4, metadata=allow(", ".join(SHOTS), lambda value: str(value) in SHOTS, SHOTS))
    batch_size: int = field(metadata=at_least(1))
    beams: int = field(default=1, metadata=at_least(1))
    max_new_tokens: int = field(metadata=at_least(1))
    ceilings: dict[str, float] = field(  # by metric, the points that count as 100 in Overall
        metadata=allow(
            f"points above 0 for each of {', '.join(SCORES)}",
            lambda value: set(value) == set(SCORES) and all(0 < points < math.inf for points in value.values()),
        )
    )
