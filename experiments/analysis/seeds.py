"""What several seeds say of a table: each score's differences, intervals and parts, from one model a score.

One seed says nothing of other training runs: then there is no such model, and a table's intervals are over examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.analysis.stored_run import StoredRun
from experiments.published import BASELINE
from experiments.record import OVERALL, blind

if TYPE_CHECKING:
    import pandas as pd

Runs = Mapping[str, Mapping[int, StoredRun]]  # by row and seed


@dataclass(frozen=True)
class Part:
    """A part of a difference, with its interval: `language` without the right picture, `vision` what that adds."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """A row's difference from the baseline in one score, and what it says."""

    difference: float
    low: float
    high: float
    verdict: str
    seeds_needed: int | None  # of an undecided row; None where it is decided, or more than any table would have
    language: Part | None
    vision: Part | None


@dataclass(frozen=True)
class Effects:
    """Those of all rows that have a seed in common with others, by row."""

    rows: Mapping[str, Effect]
    num_compared: int
    detectable: float | None  # the difference that the median row would have shown, at POWER
    own_variance: tuple[str, ...]  # rows so much noisier that they are judged by their own noise


def effects(runs: Runs, metric: str, *, delta: float) -> Effects | None:
    """Compare all rows with the baseline in one score; None where there is no noise to compare with."""
    names = [name for name in (BASELINE, *runs) if any(metric in run.metrics for run in runs.get(name, {}).values())]
    names = list(dict.fromkeys(names))
    most = max((len(runs[name]) for name in names), default=0)
    if BASELINE not in names or len(names) == 1 or most < 2:
        return None
    import numpy as np

    from experiments.analysis import blind_parts, significance

    scores = _frame(runs, names, metric)
    compared = significance.compare(scores, BASELINE, delta=delta)
    if not np.isfinite(compared["low"]).any():
        return None
    whole = not scores[significance.BLIND].isna().any()
    parts = blind_parts.split(scores, BASELINE) if whole else None
    return Effects(
        rows={name: _effect(name, compared, parts) for name in names[1:]},
        num_compared=len(names) - 1,
        detectable=significance.detectable(scores, BASELINE) if metric == OVERALL else None,
        own_variance=tuple(compared.index[compared["own_variance"]]),
    )


def _frame(runs: Runs, names: Sequence[str], metric: str) -> "pd.DataFrame":
    import pandas as pd

    from experiments.analysis.significance import BLIND, ROW, SCORE, SEED

    return pd.DataFrame(
        [
            {ROW: name, SEED: seed, SCORE: run.metrics[metric], BLIND: run.metrics.get(blind(metric), float("nan"))}
            for name in names
            for seed, run in runs[name].items()
            if metric in run.metrics
        ]
    )


def _effect(name: str, compared: "pd.DataFrame", parts: "pd.DataFrame | None") -> Effect:
    row: dict[str, Any] = compared.loc[name].to_dict()  # type: ignore[assignment]
    split: dict[str, Any] = {} if parts is None else parts.loc[name].to_dict()  # type: ignore[assignment]

    def part(which: str) -> Part | None:
        return Part(*(float(split[which + end]) for end in ("", "_low", "_high"))) if split else None

    return Effect(
        difference=float(split.get("difference", row["difference"])),
        low=float(row["low"]),
        high=float(row["high"]),
        verdict=str(row["verdict"]),
        seeds_needed=int(row["seeds_needed"]) if row["seeds_needed"] == row["seeds_needed"] else None,  # NaN
        language=part("language"),
        vision=part("vision"),
    )
