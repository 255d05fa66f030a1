"""Score columns of a run's benchmarks, recorded so that a reader needs no code of theirs.

Every reader knows the columns of the published table, so no run repeats them. Others are in a tag.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from experiments.common.plain_text import visible
from experiments.store.names import BENCHMARKS, COMPONENTS, CONFIG_DIR, COSTS, OVERALL, PAIRED_STEP_TIME, TAGS, blind
from experiments.store.stored_run import StoredRun

LONGEST_LABEL = 24  # characters: it heads a column
LONGEST_WORD = 60
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# What a run, its line in a file of runs, or the paper's figures have beside scores.
_OF_A_LINE = ("run_id", "started", "ended", "certificate", "params_b")
_TAKEN = {OVERALL, *COSTS, PAIRED_STEP_TIME, *TAGS, COMPONENTS, CONFIG_DIR, BENCHMARKS, *_OF_A_LINE}


@dataclass(frozen=True)
class Column:
    """One column of scores: a benchmark, the metric it is stored under, and how it is headed."""

    name: str  # of the benchmark
    metric: str
    label: str
    measure: str  # what the score is, as printed under the label
    graded: bool = False  # an answer is nearer or further, as a caption is, not right or wrong
    in_overall: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be a file's name, a metric or a heading.

        Raises:
            ValueError: something of it.
        """
        for field, word in (("name", self.name), ("metric", self.metric)):
            if not isinstance(word, str) or len(word) > LONGEST_WORD or not _WORD.fullmatch(word):
                raise ValueError(f"`{field}` is `{word}`; allowed: one word in letters, digits and `_`")
        if self.metric in _TAKEN or self.metric.startswith(blind("")) or self.metric.endswith(("_low", "_high")):
            raise ValueError(f"`metric` is `{self.metric}`; allowed: no name that a run stores something else under")
        for field, text in (("label", self.label), ("measure", self.measure)):
            if not isinstance(text, str) or not 0 < len(text.strip()) <= LONGEST_LABEL or visible(text) != text:
                raise ValueError(f"`{field}` is `{text}`; allowed: a text of 1 to {LONGEST_LABEL} characters")
        for field, flag in (("graded", self.graded), ("in_overall", self.in_overall)):
            if not isinstance(flag, bool):
                raise ValueError(f"`{field}` is `{flag}`; allowed: true, false")


def as_tag(columns: Iterable[Column]) -> str | None:
    """Columns as a run's tag holds them; None where there are none."""
    listed = [asdict(column) for column in columns]
    return json.dumps(listed, separators=(",", ":")) if listed else None


def from_tag(text: str) -> tuple[Column, ...]:
    """Parse the text of `as_tag`.

    Raises:
        ValueError: the text is not from `as_tag`.
    """
    if not text:
        return ()
    said = json.loads(text)
    if not isinstance(said, list):
        raise ValueError("it holds no list of benchmarks")
    columns = tuple(_column(entry) for entry in said)
    for key in ("name", "metric"):
        if len({getattr(column, key) for column in columns}) < len(columns):
            raise ValueError(f"two benchmarks have one {key}")
    return columns


def further_columns(run: StoredRun) -> tuple[Column, ...]:
    """The columns of a run that are not in the published table.

    Raises:
        ValueError: its tag cannot be read.
    """
    return from_tag(run.tags.get(BENCHMARKS, ""))


def _column(entry: Any) -> Column:
    known = {field.name for field in fields(Column)}
    if not isinstance(entry, dict):
        raise ValueError("a benchmark is no object")
    try:
        return Column(**{key: value for key, value in entry.items() if key in known})  # newer code may say more
    except TypeError as error:
        raise ValueError(str(error)) from None
