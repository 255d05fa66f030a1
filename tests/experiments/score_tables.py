"""Tables of scores for tests, as frames of (row, seed, score)."""

import numpy as np
import pandas as pd

BASELINE = "baseline"


def drawn(
    rows: int = 6,
    seeds: int = 5,
    *,
    seed_sd: float = 2.0,
    effects: dict[int, float] | None = None,
    missing: tuple[tuple[int, int], ...] = (),
    rng_seed: int = 0,
) -> pd.DataFrame:
    """`rows` rows with residual standard deviation 1, the first of them the baseline; some cells left out."""
    rng = np.random.default_rng(rng_seed)
    table = 40 + rng.normal(size=(rows, seeds)) + seed_sd * rng.normal(size=seeds)
    for row, effect in (effects or {}).items():
        table[row] += effect
    for cell in missing:
        table[cell] = np.nan
    return as_frame(table)


def as_frame(table: np.ndarray) -> pd.DataFrame:
    """An array (R, S) as a frame, NaN left out."""
    cells = [(name_of(row), seed, table[row, seed]) for row, seed in np.ndindex(table.shape)]
    return pd.DataFrame(cells, columns=["row", "seed", "score"]).dropna(ignore_index=True)


def as_array(scores: pd.DataFrame) -> np.ndarray:
    """A complete frame as an array (R, S), the baseline first."""
    return scores.pivot(index="row", columns="seed", values="score").to_numpy()


def name_of(row: int) -> str:
    """Names that sort as the rows are counted."""
    return f"row_{row:02d}" if row else BASELINE


def stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Frames one below the other."""
    return pd.concat(tables, ignore_index=True)
