"""One run as every reader of stored runs gives it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FINISHED = "FINISHED"  # how a run ended that a table may take
LONGEST_SEED = 18  # digits: what a 64-bit number holds, and far less than Python refuses to read


@dataclass(frozen=True)
class StoredRun:
    """One run as it is stored. Times are milliseconds since 1970; `ended` is 0 where it never ended."""

    run_id: str
    status: str
    started: int
    ended: int
    artifact_uri: str
    tags: dict[str, str] = field(repr=False, compare=False)
    params: Mapping[str, str] = field(repr=False, compare=False)
    metrics: dict[str, float] = field(repr=False, compare=False)
    verified: bool = field(default=True, repr=False, compare=False)  # False of one that carries no hashes

    @property
    def row(self) -> str:
        """The ablation's name, `baseline`, or several names joined by `+`."""
        return self.tags.get("ablation", "")

    @property
    def seed(self) -> int:
        """The seed, -1 where the tag is no number."""
        text = self.tags.get("seed", "")
        return int(text) if text.isdecimal() and len(text) <= LONGEST_SEED else -1

    @property
    def overrides(self) -> str:
        """Further keys that were given, as one text; empty where there are none."""
        return self.tags.get("overrides", "")

    @property
    def spec_hash(self) -> str:
        """What the row was when this was run."""
        return self.tags.get("spec_hash", "")

    @property
    def baseline_hash(self) -> str:
        """The spec hash of the baseline that it is compared with."""
        return self.tags.get("baseline_hash", "")

    @property
    def job(self) -> tuple[str, int]:
        """What was run: (spec hash, seed). Runs of the same job repeat each other."""
        return self.spec_hash, self.seed


def newest_first(runs: Iterable[StoredRun]) -> list[StoredRun]:
    """By their ends, then their beginnings; ids settle what is left, so that the order given changes nothing."""
    return sorted(runs, key=lambda run: (run.ended, run.started, run.run_id), reverse=True)
