"""Uncertainty of the difference between two trained models over examples: a paired bootstrap, clustered by picture.

It estimates how the difference would vary with other questions of the same kind and these weights. It says nothing
about other seeds.

1. Row and baseline are paired by example; the difference of a score is the mean of the examples' differences.
2. Pictures (or clips) are drawn with replacement. All questions about one picture are drawn together, because they are
   not independent.
3. Each benchmark is resampled separately. Overall is computed from the resampled differences of its benchmarks.
4. The interval is the central 95% of 10,000 such differences.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.evaluation.benchmark import published
from experiments.published import table3
from experiments.store.columns import Column
from experiments.store.names import OVERALL

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 20_220_429  # of the resampling: the same store gives the same interval
DRAWS_AT_ONCE = 2_000_000  # bounds the memory: 16 MB of indices

METHOD = (
    f"{CONFIDENCE:.0%} bootstrap over examples, paired, clustered by picture, {RESAMPLES:,} resamples; "
    "one training run: no interval over seeds"
)


@dataclass(frozen=True)
class Interval:
    """The ends of an interval for a difference, in points."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the width, printed after `+-` even if the difference is not in the middle of the interval."""
        return (self.high - self.low) / 2


def intervals(
    row: Mapping[str, "pd.DataFrame"],
    baseline: Mapping[str, "pd.DataFrame"],
    ceilings: Mapping[str, float],
    *,
    further: Sequence[Column] = (),
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> dict[str, Interval]:
    """The interval of each score's difference, by metric; that of Overall if all of its benchmarks are there.

    Row and baseline map names of benchmarks to predictions. `ceilings` maps the metrics that count in Overall to what
    they are divided by. `further` are the columns of benchmarks that the published table does not have.

    Raises:
        ValueError: row and baseline did not answer the same examples.
    """
    drawn: dict[str, NDArray[np.float64]] = {}
    for column in (*(benchmark.column() for benchmark in published()), *further):
        if column.name in row and column.name in baseline:
            rng = np.random.default_rng([seed, *_key(column.metric)])
            difference, medium = paired(row[column.name], baseline[column.name])
            drawn[column.metric] = resampled_means(difference, medium, rng=rng, resamples=resamples)
    if ceilings and ceilings.keys() <= drawn.keys():
        counted = [metric for metric in drawn if metric in ceilings]
        drawn[OVERALL] = 100 * np.mean([drawn[metric] / ceilings[metric] for metric in counted], axis=0)
    tail = 100 * (1 - confidence) / 2
    return {
        metric: Interval(*(float(end) for end in np.percentile(means, [tail, 100 - tail])))
        for metric, means in drawn.items()
    }


def _key(metric: str) -> list[int]:
    """The key of a score's resamples; it does not depend on which other columns there are."""
    if metric in table3.COLUMNS:
        return [table3.COLUMNS.index(metric)]
    return list(hashlib.sha256(metric.encode()).digest()[:8])


def paired(row: "pd.DataFrame", baseline: "pd.DataFrame") -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """The difference of each example in points, row minus baseline, and the medium that the example is about.

    Raises:
        ValueError: the two did not answer the same examples.
    """
    ours, theirs = row.set_index("id"), baseline.set_index("id")
    if not (ours.index.is_unique and theirs.index.is_unique and set(ours.index) == set(theirs.index)):
        raise ValueError("row and baseline did not answer the same examples")
    difference = ours["score"] - theirs["score"].reindex(ours.index)
    return difference.to_numpy(dtype=np.float64), ours["medium"].to_numpy(dtype=object)


def resampled_means(
    values: NDArray[np.float64], clusters: NDArray[np.object_], *, rng: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    """The mean of `values` in each resample of whole clusters: (resamples,)."""
    _, cluster = np.unique(clusters.astype(str), return_inverse=True)
    sizes = np.bincount(cluster).astype(np.float64)
    sums = np.bincount(cluster, weights=values)
    means = np.empty(resamples)
    chunk = max(1, DRAWS_AT_ONCE // len(sizes))
    for start in range(0, resamples, chunk):
        some = means[start : start + chunk]
        drawn = rng.integers(len(sizes), size=(len(some), len(sizes)))
        some[:] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means
