"""Select the runs of one table: one baseline, one design per row, the newest run of each job.

A row has a name, and its spec hash defines its design. If runs with different hashes share a name, because an
ablation's YAML was edited or two people used the same name, the newest finished run defines the row. The order of the
given runs does not matter.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from experiments.published.table3 import BASELINE
from experiments.store import reader
from experiments.store.stored_run import FINISHED, StoredRun, newest_first


@dataclass(frozen=True)
class Selection:
    """The runs of one table, newest first, and those it leaves out; each job once."""

    scale: str
    baseline_hash: str | None  # None if no baseline is finished
    runs: tuple[StoredRun, ...]
    left_out: int  # finished jobs of this scale with overrides, or with another baseline
    other_designs: tuple[StoredRun, ...] = ()  # comparable, but with a spec hash other than their row's


def select(scale: str, finished: Iterable[StoredRun] | None = None) -> Selection:
    """The runs of a scale without overrides, with the newest finished baseline's hash and each row's newest spec hash.

    `finished` are all finished runs, in any order; by default they are read from the store.
    """
    stored = reader.runs(scale=scale) if finished is None else finished
    jobs = _each_job(run for run in stored if run.status == FINISHED and run.tags.get("scale") == scale)
    baseline = next((run for run in jobs if run.row == BASELINE and not run.overrides), None)
    if baseline is None:
        return Selection(scale, None, (), len(jobs))
    comparable = [run for run in jobs if not run.overrides and run.baseline_hash == baseline.spec_hash]
    taken, others = _one_design_a_row(comparable, {BASELINE: baseline.spec_hash})
    return Selection(scale, baseline.spec_hash, taken, len(jobs) - len(comparable), others)


def beside(asked: Iterable[StoredRun], finished: Iterable[StoredRun]) -> Selection:
    """The table for one command's runs: these define their rows' designs, and stored runs add the other rows.

    `asked` have one scale and baseline hash, and one spec hash per row. Runs that join them have the same overrides.
    """
    asked = _each_job(asked)
    scale, baseline_hash = asked[0].tags.get("scale", ""), asked[0].baseline_hash
    overrides = {run.overrides for run in asked}
    ours = {(run.row, run.job) for run in asked}
    stored = [
        run
        for run in _each_job(run for run in finished if run.status == FINISHED and run.tags.get("scale") == scale)
        if run.baseline_hash == baseline_hash and run.overrides in overrides and (run.row, run.job) not in ours
    ]
    designs = {run.row: run.spec_hash for run in asked} | {BASELINE: baseline_hash}
    taken, others = _one_design_a_row(stored, designs)
    return Selection(scale, baseline_hash, (*asked, *taken), 0, others)


def check_one_design_a_row(runs: Iterable[StoredRun]) -> None:
    """Check that each row's runs share one spec hash: a mean over two designs would describe neither.

    Raises:
        ValueError: runs of one row have several spec hashes, or two runs have the same row and seed.
    """
    known: dict[str, dict[int, StoredRun]] = {}
    for run in runs:
        of_row = known.setdefault(run.row, {})
        hashes = sorted({run.spec_hash, *(one.spec_hash for one in of_row.values())})
        if len(hashes) > 1:
            raise ValueError(f"row `{run.row}` has runs of {len(hashes)} specs: {', '.join(hashes)}; select first")
        if run.seed in of_row:
            raise ValueError(f"row `{run.row}` has two runs of seed {run.seed}; select first")
        of_row[run.seed] = run


class OtherDesign(TypedDict):
    """Runs with the name of a table's row but another spec."""

    row: str
    runs: int
    older: bool  # than the row's; False when a command runs an earlier design


def other_designs(runs: Iterable[StoredRun], others: Iterable[StoredRun]) -> list[OtherDesign]:
    """Runs left out of the rows of `runs` because they have another design, counted by row."""
    newest: dict[str, StoredRun] = {}
    for run in newest_first(runs):
        newest.setdefault(run.row, run)
    counts = Counter(
        (run.row, run.row not in newest or newest_first((run, newest[run.row]))[0] is not run) for run in others
    )
    return [OtherDesign(row=row, runs=number, older=older) for (row, older), number in sorted(counts.items())]


def in_words(designs: Iterable[OtherDesign]) -> list[str]:
    """Each as words: the number, `runs of an older`, and the row's name."""
    runs = ((one, "run" if one["runs"] == 1 else "runs") for one in designs)
    return [f"{one['runs']} {said} of {'an older' if one['older'] else 'a newer'} `{one['row']}`" for one, said in runs]


def _each_job(runs: Iterable[StoredRun]) -> list[StoredRun]:
    """The newest run of every job, newest first. A row's keys given as overrides make another job than the row."""
    jobs: dict[tuple[str, str, str, str, int], StoredRun] = {}
    for run in newest_first(runs):
        jobs.setdefault((run.row, run.overrides, run.baseline_hash, run.spec_hash, run.seed), run)
    return list(jobs.values())


def _one_design_a_row(
    jobs: Iterable[StoredRun], designs: dict[str, str]
) -> tuple[tuple[StoredRun, ...], tuple[StoredRun, ...]]:
    """Runs of each row's design, and the others; for a row missing in `designs`, its first run defines the design."""
    designs = dict(designs)
    taken: list[StoredRun] = []
    others: list[StoredRun] = []
    for run in jobs:
        (taken if designs.setdefault(run.row, run.spec_hash) == run.spec_hash else others).append(run)
    return tuple(taken), tuple(others)
