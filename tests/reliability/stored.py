"""A store as tests compare it: the content of one run, and whether two runs ended the same."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import torch

from experiments.store import reader
from experiments.store.names import WEIGHTS_FILE
from experiments.store.stored_run import StoredRun
from flamingo_core.checkpoint import load_tensors


@dataclass(frozen=True)
class Stored:
    """A finished run's scores, losses and weights."""

    scores: dict[str, float]  # all metrics but times and peaks of memory
    losses: dict[str, list[float]]
    weights: dict[str, torch.Tensor]

    @classmethod
    def of(cls, run: StoredRun) -> "Stored":
        """The content of the store that the environment names."""
        file = reader.artifact(run, WEIGHTS_FILE)
        assert file is not None
        scores = {name: value for name, value in run.metrics.items() if "time" not in name and "peak" not in name}
        return cls(scores, reader.losses(run), load_tensors(file, hashed=True)[0])

    def assert_equal(self, other: "Stored") -> None:
        """Bit for bit."""
        assert self.scores == other.scores
        assert self.losses == other.losses
        assert self.weights.keys() == other.weights.keys()
        assert all(torch.equal(self.weights[name], other.weights[name]) for name in self.weights)


def assert_each_step_is_stored_once(store: Path, run_id: str, steps: int) -> None:
    """Every `loss/*` has one value a step, from 0 on."""
    with sqlite3.connect(store) as database:
        stored = database.execute(
            "select key, count(*), count(distinct step), min(step), max(step) from metrics "
            "where key like 'loss/%' and run_uuid = ? group by key",
            (run_id,),
        ).fetchall()
    assert stored and {tuple(rest) for _, *rest in stored} == {(steps, steps, 0, steps - 1)}, stored


def assert_nothing_is_left(store: Path, *, removal_failed: bool = False) -> None:
    """Beside the store there is no work, no lease, no draft, no half of a file.

    Where a removal failed there may be an empty lock, and a folder that is named as done: the next command removes it.
    """
    left = [path for path in store.parent.rglob("*") if path.is_file()]
    if removal_failed:
        done = store.parent / "work"
        left = [path for path in left if not (path.suffix == ".lock" and not path.stat().st_size)]
        left = [path for path in left if not str(path).startswith(f"{done}/.done-")]
    beside = [path for path in left if not path.is_relative_to(store.parent / "artifacts")]
    assert {path.name for path in beside} <= {store.name, f"{store.name}.lock"}, beside
    assert not [path for path in left if path.name.startswith(".")]
