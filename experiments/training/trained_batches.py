"""Hashes of all batches a job is trained on, one per data set: each step's hash is chained to the previous one."""

import hashlib
from collections.abc import Iterable

from experiments.data.batch import Batch
from experiments.data.feature_cache import Features
from experiments.data.mixture import Mixture


def before_the_first(datasets: Iterable[str]) -> dict[str, str]:
    """The initial hashes by data set, before any step."""
    return {dataset: hashlib.sha256(dataset.encode()).hexdigest() for dataset in datasets}


def add(hashes: dict[str, str], batch: Batch) -> None:
    """Add the next training batch to the hash of its data set."""
    hashes[batch.dataset] = hashlib.sha256((hashes[batch.dataset] + batch.fingerprint()).encode()).hexdigest()


def drawn_again(mixture: Mixture, steps: int, *, features: Features) -> dict[str, str]:
    """The hashes after `steps` steps, for a checkpoint that does not store them: batches are drawn again."""
    hashes = before_the_first(mixture.datasets)
    for step in range(steps):
        for dataset in mixture.datasets:
            add(hashes, mixture.batch(dataset, step, features=features))
    return hashes
