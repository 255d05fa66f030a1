"""`StoredRun`: one stored run, as every reader returns it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FINISHED = "FINISHED"  # status of the runs that tables take
LONGEST_SEED = 18  # digits: they fit into 64 bits, and Python parses them


@dataclass(frozen=True)
class StoredRun:
    """One stored run. Times are milliseconds since 1970; `ended` is 0 if it has not ended."""

    run_id: str
    status: str
    started: int
    ended: int
    artifact_uri: str
    tags: dict[str, str] = field(repr=False, compare=False)
    params: Mapping[str, str] = field(repr=False, compare=False)
    metrics: dict[str, float] = field(repr=False, compare=False)
    verified: bool = field(default=True, repr=False, compare=False)  # False for a run without hashes

    @property
    def row(self) -> str:
        """The ablation's name, `baseline`, or several names joined by `+`."""
        return self.tags.get("ablation", "")

    @property
    def seed(self) -> int:
        """The seed; -1 if the tag is not a number."""
        text = self.tags.get("seed", "")
        return int(text) if text.isdecimal() and len(text) <= LONGEST_SEED else -1

    @property
    def overrides(self) -> str:
        """Other keys that were given, as one text; empty without any."""
        return self.tags.get("overrides", "")

    @property
    def spec_hash(self) -> str:
        """The spec hash of the row as it was run."""
        return self.tags.get("spec_hash", "")

    @property
    def baseline_hash(self) -> str:
        """The spec hash of the baseline that it is compared with."""
        return self.tags.get("baseline_hash", "")

    @property
    def job(self) -> tuple[str, int]:
        """The job: (spec hash, seed). Runs of the same job repeat each other."""
        return self.spec_hash, self.seed


def newest_first(runs: Iterable[StoredRun]) -> list[StoredRun]:
    """Sort runs by end, then start, then id, so that the given order does not matter."""
    return sorted(runs, key=lambda run: (run.ended, run.started, run.run_id), reverse=True)
