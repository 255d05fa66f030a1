"""One run as every reader of stored runs gives it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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

    @property
    def row(self) -> str:
        """The ablation's name, `baseline`, or several names joined by `+`."""
        return self.tags.get("ablation", "")

    @property
    def seed(self) -> int:
        """The seed, -1 where the tag is no number."""
        text = self.tags.get("seed", "")
        return int(text) if text.isdecimal() else -1

    @property
    def job(self) -> tuple[str, int]:
        """What was run: (spec hash, seed). Runs of the same job repeat each other."""
        return self.tags.get("spec_hash", ""), self.seed
