"""A table's runs as one CSV, one line per run: everything the table is computed from, to be kept with a paper.

`report --format runs` writes it; `report --from FILE` rebuilds the table from one or several such files, without the
store. From the runs' own files it includes what a table needs: whether certificates agree, and intervals over examples.
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from experiments.analysis.model.bootstrap import Interval
from experiments.analysis.table.build import Evidence
from experiments.analysis.table.columns import columns_of_runs
from experiments.analysis.table.load import UNREADABLE, Table
from experiments.common.plain_text import read_back, written
from experiments.common.problems import UserError, wrong_value
from experiments.data.world.queries import OKVQA_NAME
from experiments.published.table3 import BASELINE, has_own_group
from experiments.published.table3 import COLUMNS as SCORES
from experiments.store import damage
from experiments.store.columns import Column, from_tag, further_columns
from experiments.store.names import BENCHMARKS, COMPONENTS, CONFIG_DIR, COSTS, OVERALL, PAIRED_STEP_TIME, blind
from experiments.store.stored_run import FINISHED, LONGEST_SEED, StoredRun, newest_first

GROUP = "group"  # a tag written only for rows that the published table lacks and whose file names a group
TAGS = ("scale", "ablation", "seed", "spec_hash", "baseline_hash", "git_commit", "dirty", COMPONENTS, CONFIG_DIR)
METRICS = (*COSTS, *SCORES, OVERALL, *map(blind, (*SCORES, OVERALL)), OKVQA_NAME)
TIMES = ("started", "ended")  # UTC, to the millisecond
CERTIFICATE = "certificate"  # compared with that of the baseline's run of the same seed
# Interval ends, over examples, of a score's difference from the baseline of the same seed.
ENDS = {metric: (f"{metric}_low", f"{metric}_high") for metric in (*SCORES, OVERALL)}
NEEDED = (*TAGS, *TIMES, CERTIFICATE, "run_id", *METRICS, *chain.from_iterable(ENDS.values()))
TEXTS = (*TAGS, BENCHMARKS, GROUP, "run_id")  # cells with user-written text, encoded by `plain_text.written`
# Columns that files of older code lack; written only if a run has them, like those of benchmarks that the published
# table lacks.
OPTIONAL = (PAIRED_STEP_TIME,)
CERTIFICATES = ("equal", "differs", "")

Line = tuple[StoredRun, str | None, dict[str, Interval]]  # a run, its certificate, its intervals over examples


def as_runs(stored: Table) -> str:
    """The runs that a table is computed from: in its order, then those of rows that it does not show.

    Missing values are empty; numbers have full precision.
    """
    text = io.StringIO()
    shown = list(_all_runs(stored.runs))
    optional = [name for name in OPTIONAL if any(name in run.metrics for run in shown)]
    columns = columns_of_runs([*shown, *_all_runs(stored.behind)])[len(SCORES) :]
    grouped = any(has_own_group(run.row, run.tags.get(GROUP)) for run in _all_runs(stored.runs))
    tags = (*TAGS, *((BENCHMARKS,) if columns else ()), *((GROUP,) if grouped else ()))
    ends = {**ENDS, **_ends(columns)}
    metrics = (*METRICS, *optional, *_metrics(columns))
    heads = (*NEEDED, *optional, *tags[len(TAGS) :], *_metrics(columns), *chain(*_ends(columns).values()))
    writer = csv.DictWriter(text, heads, restval="", lineterminator="\n")
    writer.writeheader()
    baseline = stored.runs.get(BASELINE, {})
    with stored.evidence() as known:
        for name in (*(row["row"] for row in stored.table["rows"]), *sorted(stored.behind)):
            for seed, run in sorted({**stored.behind, **stored.runs}.get(name, {}).items()):
                paired = run.row != BASELINE and seed in baseline
                intervals = _intervals(known, run, baseline[seed]) if paired else {}
                writer.writerow(
                    {
                        **{tag: written(run.tags.get(tag, "")) for tag in tags},
                        **{name: _time(value) for name, value in zip(TIMES, (run.started, run.ended), strict=True)},
                        CERTIFICATE: known.certificate(run, baseline[seed]) if paired else "",
                        "run_id": written(run.run_id),
                        **{metric: run.metrics.get(metric, "") for metric in metrics},
                        **{ends[metric][0]: interval.low for metric, interval in intervals.items()},
                        **{ends[metric][1]: interval.high for metric, interval in intervals.items()},
                    }
                )
    return text.getvalue()


@dataclass(frozen=True)
class RunsFile:
    """The content of a runs file: runs, newest first, and by run id how they compare with their baseline."""

    runs: tuple[StoredRun, ...]
    certificates: Mapping[str, str | None]
    over_examples: Mapping[str, dict[str, Interval]]

    @contextmanager
    def evidence(self) -> Iterator["RunsFile"]:
        """Replace the facts about run pairs that a store would give."""
        yield self

    def certificate(self, row: StoredRun, baseline: StoredRun) -> str | None:
        """`equal` or `differs`, as written; None if it was not known."""
        return self.certificates.get(row.run_id)

    def intervals(self, row: StoredRun, baseline: StoredRun) -> dict[str, Interval]:
        """Intervals over examples by metric, as written."""
        return self.over_examples.get(row.run_id, {})


def read(file: Path) -> RunsFile:
    """Read a file that `as_runs` wrote.

    Raises:
        UserError: the file does not exist, or a line is not valid.
    """
    try:
        reader = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")), strict=True)
        lines = [
            {name: read_back(cell) if cell and name in TEXTS else cell for name, cell in line.items()}
            for line in reader
        ]
    except (OSError, ValueError, csv.Error) as error:
        raise _refusal(file, " ".join(str(error).split())) from None
    if missing := [name for name in NEEDED if name not in (reader.fieldnames or ())]:
        raise _refusal(file, f"no column {', '.join(missing)}")
    if not lines:
        raise _refusal(file, "it holds no run")
    known = []
    for number, line in enumerate(lines, start=2):
        try:
            run = _run(line)
            intervals = {
                metric: Interval(*(_figure(end, line[end]) for end in ends))
                for metric, ends in {**ENDS, **_ends(further_columns(run))}.items()
                if any(line.get(end) for end in ends)
            }
        except ValueError as error:
            raise _refusal(file, f"line {number}: {error}") from None
        known.append((run, line[CERTIFICATE] or None, intervals))
    return _of_lines(known)


def joined(files: Sequence[RunsFile]) -> RunsFile:
    """Join the runs of several files, e.g. of machines that shared a table's seeds; a run in two files counts once."""
    return _of_lines(
        (run, file.certificates.get(run.run_id), file.over_examples.get(run.run_id, {}))
        for file in files
        for run in file.runs
    )


def _of_lines(lines: Iterable[Line]) -> RunsFile:
    """Join lines in any order. Of several lines for one run, use the most complete one and the worst certificate."""
    by_id: dict[str, list[Line]] = {}
    for line in lines:
        by_id.setdefault(line[0].run_id, []).append(line)
    certificates = {run_id: {certificate for _, certificate, _ in said} for run_id, said in by_id.items()}
    return RunsFile(
        tuple(newest_first(max((run for run, _, _ in said), key=_fullness) for said in by_id.values())),
        {
            run_id: next((one for one in ("differs", "equal") if one in said), None)
            for run_id, said in certificates.items()
        },
        {
            run_id: max(
                (intervals for _, _, intervals in said), key=lambda some: (len(some), repr(sorted(some.items())))
            )
            for run_id, said in by_id.items()
        },
    )


def _fullness(run: StoredRun) -> tuple[int, int, int, str]:
    said = repr((sorted(run.metrics.items()), sorted(run.tags.items())))
    return run.ended, run.started, len(run.metrics), said


def _all_runs(by_row: Mapping[str, Mapping[int, StoredRun]]) -> Iterator[StoredRun]:
    return (run for of_row in by_row.values() for run in of_row.values())


def _metrics(columns: Iterable[Column]) -> tuple[str, ...]:
    """Scores and blind twins of benchmarks that the published table lacks."""
    return tuple(metric for column in columns for metric in (column.metric, blind(column.metric)))


def _ends(columns: Iterable[Column]) -> dict[str, tuple[str, str]]:
    """Column names of the ends of their intervals over examples."""
    return {column.metric: (f"{column.metric}_low", f"{column.metric}_high") for column in columns}


def _intervals(known: Evidence, row: StoredRun, baseline: StoredRun) -> dict[str, Interval]:
    try:
        return known.intervals(row, baseline)
    except UNREADABLE as error:  # a table over several seeds needs no intervals over examples
        hint = damage.makes_again(row, stored=True)
        damage.tell(f"{row.row} seed {row.seed}: {damage.in_words(error)}\nhint: {hint}")
        return {}


def _run(line: Mapping[str, str | None]) -> StoredRun:
    if None in line.values():
        raise ValueError("it is cut short")
    known: dict[str, str] = {name: value or "" for name, value in line.items()}
    if not known["seed"].isdecimal() or len(known["seed"]) > LONGEST_SEED or not known["ablation"]:
        raise ValueError("a run has a name in `ablation` and a number in `seed`")
    if known[CERTIFICATE] not in CERTIFICATES:
        raise ValueError(f"`{CERTIFICATE}` is `{known[CERTIFICATE]}`, not equal, differs or empty")
    metrics = (*METRICS, *OPTIONAL, *_metrics(from_tag(known.get(BENCHMARKS, ""))))
    started, ended = (_milliseconds(known[name]) for name in TIMES)
    return StoredRun(
        run_id=known["run_id"],
        status=FINISHED,
        started=started,
        ended=ended,
        artifact_uri="",
        tags={tag: known[tag] for tag in (*TAGS, BENCHMARKS, GROUP) if known.get(tag)},
        params={},
        metrics={metric: _figure(metric, known[metric]) for metric in metrics if known.get(metric)},
    )


def _figure(metric: str, text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"`{metric}` is `{text}`, no figure")
    return value


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _refusal(file: Path, reason: str) -> UserError:
    allowed = "a file that `python -m experiments.report --format runs` wrote"
    return UserError([wrong_value("--from", file, f"{allowed} ({reason})", "give it --format runs, --out and a name")])
