"""The batches a job is trained on, as one hash a data set: each step's is chained to that of all steps before it."""

import hashlib
from collections.abc import Iterable

from experiments.data.batch import Batch
from experiments.data.feature_cache import Features
from experiments.data.mixture import Mixture


def before_the_first(datasets: Iterable[str]) -> dict[str, str]:
    """By data set, when nothing has been trained on."""
    return {dataset: hashlib.sha256(dataset.encode()).hexdigest() for dataset in datasets}


def add(hashes: dict[str, str], batch: Batch) -> None:
    """A batch that is trained on next."""
    hashes[batch.dataset] = hashlib.sha256((hashes[batch.dataset] + batch.fingerprint()).encode()).hexdigest()


def drawn_again(mixture: Mixture, steps: int, *, features: Features) -> dict[str, str]:
    """The hashes of so many steps that are done, for a checkpoint that does not hold them: batches are drawn again."""
    hashes = before_the_first(mixture.datasets)
    for step in range(steps):
        for dataset in mixture.datasets:
            add(hashes, mixture.batch(dataset, step, features=features))
    return hashes
