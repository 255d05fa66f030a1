"""A table over several seeds: differences, intervals and parts of each score, from one model per family of rows.

One seed says nothing about other training runs: then there is no model, and the table's intervals are over examples.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from experiments.analysis.table.families import FAMILIES, family_of, size_of
from experiments.published.table3 import BASELINE, FEWEST_SEEDS
from experiments.store.names import OVERALL, blind
from experiments.store.stored_run import StoredRun

if TYPE_CHECKING:
    import pandas as pd

Runs = Mapping[str, Mapping[int, StoredRun]]  # by row and seed


@dataclass(frozen=True)
class EffectPart:
    """A part of a difference, with its interval: `language` without the right image, `vision` what the image adds."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """A row's difference from the baseline in one score, with its verdict and parts."""

    difference: float
    low: float
    high: float
    verdict: str | None  # None for a row with one run: its noise estimate comes from other rows
    seeds_needed: int | None  # of an undecided row; None if it is decided, or needs more than any table would have
    language: EffectPart | None
    vision: EffectPart | None
    family: str
    family_size: int  # rows that the interval covers simultaneously


@dataclass(frozen=True)
class Family:
    """Facts about a family as a whole."""

    name: str
    size: int
    detectable: float | None  # the difference that would be detected in the median row, with probability POWER
    own_variance: tuple[str, ...]  # rows so much noisier that their own variance is used
    too_few: tuple[str, ...]  # rows and baseline with several seeds, but fewer than a verdict needs
    baseline_seeds: int
    baseline_ratio: float  # the baseline's own standard deviation over that of the rows


@dataclass(frozen=True)
class Effects:
    """Effects of all rows that share a seed with others, by row; one model per family."""

    rows: Mapping[str, Effect]
    families: tuple[Family, ...]

    @property
    def detectable(self) -> float | None:
        """The detectable difference of the first family, the published one if any of its rows are stored."""
        return self.families[0].detectable

    def of(self, names: Collection[str]) -> "Effects | None":
        """The effects of these rows only, None if none is compared; other rows still count in the noise."""
        named = {*names, BASELINE}
        families = tuple(
            replace(
                family,
                own_variance=tuple(name for name in family.own_variance if name in named),
                too_few=tuple(name for name in family.too_few if name in named),
            )
            for family in self.families
            if any(self.rows[name].family == family.name for name in names if name in self.rows)
        )
        return Effects({name: self.rows[name] for name in names if name in self.rows}, families) if families else None

    @property
    def own_variance(self) -> tuple[str, ...]:
        """Rows of all families judged by their own variance; includes the baseline if it is noisier than one family."""
        return tuple(dict.fromkeys(name for family in self.families for name in family.own_variance))


def effects(runs: Runs, metric: str, *, delta: float) -> Effects | None:
    """Compare all rows with the baseline in one score; None if the noise cannot be estimated."""
    names = [name for name in runs if any(metric in run.metrics for run in runs[name].values())]
    if BASELINE not in names:
        return None
    rows: dict[str, Effect] = {}
    families = []
    for family in FAMILIES:
        of_family = [name for name in names if family_of(name) == family]
        found = _of_family(runs, family, of_family, metric, delta=delta) if of_family else None
        if found is not None:
            rows |= found[0]
            families.append(found[1])
    return Effects(rows, tuple(families)) if families else None


def _of_family(
    runs: Runs, family: str, names: Sequence[str], metric: str, *, delta: float
) -> tuple[dict[str, Effect], Family] | None:
    if max(len(runs[name]) for name in (BASELINE, *names)) < 2:
        return None
    import numpy as np

    from experiments.analysis import significance
    from experiments.analysis.model import blind_parts
    from experiments.analysis.model.power import POWER

    size = size_of(family, len(names))
    scores = _frame(runs, (BASELINE, *names), metric)
    power = POWER if metric == OVERALL else None  # the seeds of an undecided row are shown for Overall alone
    compared = significance.compare(scores, BASELINE, delta=delta, family=size, power=power)
    if not np.isfinite(compared["low"]).any():
        return None
    whole = not scores[significance.BLIND].isna().any()
    parts = blind_parts.split(scores, BASELINE, family=size) if whole else None
    noise = significance.noise(scores, BASELINE)
    return {name: _effect(name, compared, parts, family, size) for name in names}, Family(
        name=family,
        size=size,
        detectable=significance.detectable(scores, BASELINE, family=size) if metric == OVERALL else None,
        own_variance=tuple(compared.index[compared["own_variance"]]),
        too_few=tuple(compared.index[(compared["n"] > 1) & (compared["n"] < FEWEST_SEEDS)]),
        baseline_seeds=int(compared.loc[BASELINE, "n"]),  # type: ignore[arg-type]
        baseline_ratio=1.0 if noise is None else noise.baseline_ratio,
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


def _effect(name: str, compared: "pd.DataFrame", parts: "pd.DataFrame | None", family: str, size: int) -> Effect:
    row: dict[str, Any] = compared.loc[name].to_dict()  # type: ignore[assignment]
    split: dict[str, Any] = {} if parts is None else parts.loc[name].to_dict()  # type: ignore[assignment]

    def part(which: str) -> EffectPart | None:
        return EffectPart(*(float(split[which + end]) for end in ("", "_low", "_high"))) if split else None

    return Effect(
        difference=float(split.get("difference", row["difference"])),
        low=float(row["low"]),
        high=float(row["high"]),
        verdict=str(row["verdict"]) if row["n"] > 1 else None,
        seeds_needed=int(row["seeds_needed"]) if row["n"] > 1 and row["seeds_needed"] == row["seeds_needed"] else None,
        language=part("language"),
        vision=part("vision"),
        family=family,
        family_size=size,
    )
