"""Facts about run pairs that are slow to compute, cached in a file beside the store.

For a row's run and its baseline's run: whether their certificates are equal, and the intervals over examples. The
intervals take 0.3 s per row and reading files of both runs; tags and metrics are not cached, since reading them from
the store is faster than reading a copy.

The file is only a cache: it is rebuilt from the store if it is missing, truncated, altered, or written by other code.
An entry is valid only while both runs' end times and files are unchanged. Two processes may write it at once: each
writes all entries it knows and moves the file into place.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from experiments.analysis.model import bootstrap
from experiments.analysis.model.bootstrap import Interval
from experiments.analysis.table import pairing
from experiments.analysis.table.columns import columns_of_run
from experiments.common.plain_json import dumps
from experiments.store import damage, reader
from experiments.store.columns import further_columns
from experiments.store.damage import UNREADABLE
from experiments.store.error import StoreError
from experiments.store.locate import Store, locate
from experiments.store.names import CERTIFICATE_FILE, PREDICTIONS_FOLDER
from experiments.store.stored_run import StoredRun

if TYPE_CHECKING:
    import pandas as pd

CERTIFICATE, INTERVALS = "certificate", "intervals"

T = TypeVar("T")
Pairs = dict[tuple[str, str], dict[str, Any]]  # (row's run id, baseline's run id) -> facts, each with its stamp


class Summary:
    """Facts about run pairs; a missing one is computed on request."""

    def __init__(self, pairs: Pairs):
        self.new: Pairs = {}
        self._pairs = pairs
        self._stamps: dict[tuple[str, str], list[Any]] = {}
        self._answers: dict[str, dict[str, pd.DataFrame]] = {}  # by run id: all rows are compared with one baseline

    def certificate(self, row: StoredRun, baseline: StoredRun) -> str | None:
        """`equal` or `differs`; None if either has no certificate."""

        def compare() -> str | None:
            pair = pairing.of_runs(row, baseline)
            return None if pair is None else "equal" if pair.paired else "differs"

        found: str | None = self._known(CERTIFICATE, row, baseline, compare)
        return found

    def intervals(self, row: StoredRun, baseline: StoredRun) -> dict[str, Interval]:
        """Intervals over examples, by metric; if the baseline's predictions cannot be read, warn and return none."""

        def work_out() -> dict[str, dict[str, float]] | None:
            ours = self._answers_of(row)
            try:
                theirs = self._answers_of(baseline)
            except UNREADABLE as error:  # a damaged baseline must not mark its rows as damaged
                damage.tell(f"{damage.in_words(error)}\nhint: {damage.makes_again(baseline, stored=True)}")
                return None
            found = bootstrap.intervals(ours, theirs, reader.ceilings(row), further=further_columns(row))
            return {metric: asdict(interval) for metric, interval in found.items()}

        known = self._known(INTERVALS, row, baseline, work_out)
        return {metric: Interval(**ends) for metric, ends in (known or {}).items()}

    def _answers_of(self, run: StoredRun) -> "dict[str, pd.DataFrame]":
        if run.run_id not in self._answers:
            loaded = {column.name: reader.load_predictions(run, column.name) for column in columns_of_run(run)}
            self._answers[run.run_id] = {name: frame for name, frame in loaded.items() if frame is not None}
        return self._answers[run.run_id]

    def _known(self, what: str, row: StoredRun, baseline: StoredRun, work_out: Callable[[], Any]) -> Any:
        stamp = [self._stamp(what, run) for run in (row, baseline)]
        pair = row.run_id, baseline.run_id
        known = self._pairs.get(pair, {}).get(what)
        if known is None or known["stamp"] != stamp:
            known = {"stamp": stamp, "value": work_out()}
            if known["value"] is not None:  # do not cache a missing fact: every command must report it
                for pairs in (self._pairs, self.new):
                    pairs.setdefault(pair, {})[what] = known
        return known["value"]

    def _stamp(self, what: str, run: StoredRun) -> list[Any]:
        """The run's end time and its files' stamps; read once per table, however many rows share a baseline."""
        key = what, run.run_id
        if key not in self._stamps:
            self._stamps[key] = [run.ended, *reader.stamps(run, _files(what, run))]
        return self._stamps[key]


def _files(what: str, run: StoredRun) -> tuple[str, ...]:
    """The files that a fact is computed from."""
    if what == CERTIFICATE:
        return (CERTIFICATE_FILE,)
    return tuple(f"{PREDICTIONS_FOLDER}/{column.name}.parquet" for column in columns_of_run(run))


@contextmanager
def opened() -> Iterator[Summary]:
    """The summary for the store that the environment names; new facts are written on exit."""
    store = locate()
    file = summary_file(store)
    summary = Summary(load(file))
    try:
        yield summary
    finally:
        if summary.new:
            with suppress(OSError, StoreError):  # the folder is not writable: compute them again next time
                save(file, _joined(load(file), summary.new, reader.run_ids()))


@contextmanager
def forgiving() -> Iterator["Forgiving"]:
    """Like `opened`, for a table printed as a whole: warns about runs with unreadable files and omits their facts."""
    with opened() as summary:
        yield Forgiving(summary)


class Forgiving:
    """A summary that warns about damaged files instead of raising."""

    def __init__(self, summary: Summary):
        self._summary = summary

    def certificate(self, row: StoredRun, baseline: StoredRun) -> str | None:
        """As `Summary`, with a warning in place of an error."""
        return self._unless_unreadable(self._summary.certificate, row, baseline, None)

    def intervals(self, row: StoredRun, baseline: StoredRun) -> dict[str, Interval]:
        """As `Summary`, with a warning in place of an error."""
        return self._unless_unreadable(self._summary.intervals, row, baseline, {})

    def _unless_unreadable(
        self, ask: Callable[[StoredRun, StoredRun], T], row: StoredRun, baseline: StoredRun, otherwise: T
    ) -> T:
        try:
            return ask(row, baseline)
        except UNREADABLE as error:
            damage.tell(
                f"{row.row} seed {row.seed}: {damage.in_words(error)}\nhint: {damage.makes_again(row, stored=True)}"
            )
            return otherwise


def summary_file(store: Store) -> Path:
    """The cache file: beside the sqlite file; for a server, in the cache folder, named by its address."""
    return store.places.summary


def load(file: Path) -> Pairs:
    """The pairs in a file; empty unless the file is exactly what `save` wrote with this code."""
    try:
        header, _, body = file.read_bytes().partition(b"\n")
        if json.loads(header) != _header(body):
            return {}
        lines = [json.loads(line) for line in body.splitlines()]
    except (OSError, ValueError):
        return {}
    return {(line.pop("row"), line.pop("baseline")): line for line in lines}


def save(file: Path, pairs: Pairs) -> None:
    """Write the file atomically: one line per pair, after a header with hashes of the code and of these lines."""
    from flamingo_core.whole_file import write_whole  # readers need not import flamingo_core

    lines = [{"row": row, "baseline": baseline, **known} for (row, baseline), known in pairs.items()]
    body = "".join(dumps(line) + "\n" for line in lines).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, dumps(_header(body)).encode() + b"\n" + body)


def _joined(known: Pairs, new: Pairs, run_ids: set[str] | None) -> Pairs:
    """Merge both, dropping pairs with runs no longer in the store; another process may have written `known`."""
    joined: Pairs = {pair: {**known.get(pair, {}), **new.get(pair, {})} for pair in {**known, **new}}
    return {pair: one for pair, one in joined.items() if run_ids is None or run_ids.issuperset(pair)}


def _header(body: bytes) -> Mapping[str, str]:
    """The first line of a valid file; it changes with the code that computes the facts."""
    code = hashlib.sha256()
    for module in (__file__, bootstrap.__file__, pairing.__file__):
        code.update(Path(module).read_bytes())
    return {"code": code.hexdigest(), "lines": hashlib.sha256(body).hexdigest()}
