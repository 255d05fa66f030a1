"""Split a difference into two parts: language, which the model has without the right picture, and vision.

Each score has a blind twin: the same model and prompts, with the pictures shuffled among the queries. The language part
of a row's difference from the baseline is the difference of the blind twins. The vision part is the rest, the
difference in what the right picture adds: (score - blind) of the row minus (score - blind) of the baseline.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING

from experiments.analysis.model.power import CONFIDENCE
from experiments.analysis.significance import BLIND, ROW, SCORE, SEED, compare

if TYPE_CHECKING:
    import pandas as pd

GRID = 2.0**-40  # points: sums and differences of its multiples below 8,192 points are exact


def split(
    scores: "pd.DataFrame",
    baseline: Hashable,
    *,
    confidence: float = CONFIDENCE,
    paired: bool = True,
    family: int | None = None,
) -> "pd.DataFrame":
    """Split the difference of every row.

    Takes a frame with the columns `row, seed, score, blind`; returns one indexed by row, in input order, with `n`,
    `difference`, `low`, `high`, then `language`, `language_low`, `language_high` and the same for `vision`. Each
    interval is that of the model which `compare` fits, simultaneous over rows (over `family` rows if more belong to the
    family than are given) but not over the parts. `language + vision` equals `difference` to the last bit, because all
    three are rounded to 2^-40 points. If cells are missing, the model may weigh seeds differently in each part; the
    vision interval then keeps its width and is centred on difference - language.

    Raises:
        ValueError: for the reasons that `compare` gives, for scores and for blind twins.
    """
    import pandas as pd

    if BLIND not in scores:
        raise ValueError(f"the scores have no column {BLIND}")
    parts = {
        name: compare(
            pd.DataFrame({ROW: scores[ROW], SEED: scores[SEED], SCORE: values}),
            baseline,
            confidence=confidence,
            paired=paired,
            family=family,
            power=None,
        )
        for name, values in (
            ("whole", scores[SCORE]),
            ("language", scores[BLIND]),
            ("vision", scores[SCORE] - scores[BLIND]),
        )
    }
    whole, language, vision = parts.values()
    difference, of_language = _on_the_grid(whole["difference"]), _on_the_grid(language["difference"])
    of_vision = difference - of_language
    moved = of_vision - vision["difference"]
    return pd.DataFrame(
        {
            "n": whole["n"],
            "difference": difference,
            "low": whole["low"],
            "high": whole["high"],
            "language": of_language,
            "language_low": language["low"],
            "language_high": language["high"],
            "vision": of_vision,
            "vision_low": vision["low"] + moved,
            "vision_high": vision["high"] + moved,
        }
    )


def _on_the_grid(points: "pd.Series[float]") -> "pd.Series[float]":
    return (points / GRID).round() * GRID
