"""Facts about run pairs that take long to work out, kept in a file beside the store.

For a row's run and its baseline's: whether their certificates are equal, and the intervals over examples. The second
takes 0.3 s a row, and files of both to be read; tags and metrics come out of the store in less time than a copy would.

The file is a cache and nothing depends on it: it is made from the store whenever it is not there, is cut short, was
altered, or was written by other code. What it says of a pair counts only while both runs ended when they did and their
files are as they were. Two processes may write it at once: each writes all it knows and moves it into place.
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
Pairs = dict[tuple[str, str], dict[str, Any]]  # (row's run id, baseline's run id) -> what is known, each with its stamp


class Summary:
    """Facts about run pairs; a missing one is worked out when it is asked for."""

    def __init__(self, pairs: Pairs):
        self.new: Pairs = {}
        self._pairs = pairs
        self._stamps: dict[tuple[str, str], list[Any]] = {}
        self._answers: dict[str, dict[str, pd.DataFrame]] = {}  # by run id: all rows are compared with one baseline

    def certificate(self, row: StoredRun, baseline: StoredRun) -> str | None:
        """`equal` or `differs`; None where either has no certificate."""

        def compare() -> str | None:
            pair = pairing.of_runs(row, baseline)
            return None if pair is None else "equal" if pair.paired else "differs"

        found: str | None = self._known(CERTIFICATE, row, baseline, compare)
        return found

    def intervals(self, row: StoredRun, baseline: StoredRun) -> dict[str, Interval]:
        """The intervals over examples by metric; none, and told, where the baseline's predictions cannot be read."""

        def work_out() -> dict[str, dict[str, float]] | None:
            ours = self._answers_of(row)
            try:
                theirs = self._answers_of(baseline)
            except UNREADABLE as error:  # the baseline's damage is no fault of its rows
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
            if known["value"] is not None:  # of what is not there, each command is to say so
                for pairs in (self._pairs, self.new):
                    pairs.setdefault(pair, {})[what] = known
        return known["value"]

    def _stamp(self, what: str, run: StoredRun) -> list[Any]:
        """When the run ended, and its files as they are: looked at once a table, however many rows a baseline has."""
        key = what, run.run_id
        if key not in self._stamps:
            self._stamps[key] = [run.ended, *reader.stamps(run, _files(what, run))]
        return self._stamps[key]


def _files(what: str, run: StoredRun) -> tuple[str, ...]:
    """The files that a fact is worked out from; of others nothing is asked."""
    if what == CERTIFICATE:
        return (CERTIFICATE_FILE,)
    return tuple(f"{PREDICTIONS_FOLDER}/{column.name}.parquet" for column in columns_of_run(run))


@contextmanager
def opened() -> Iterator[Summary]:
    """The summary of the store that the environment names; what is new in it is written at the end."""
    store = locate()
    file = summary_file(store)
    summary = Summary(load(file))
    try:
        yield summary
    finally:
        if summary.new:
            with suppress(OSError, StoreError):  # a folder that is not ours to write in: worked out again next time
                save(file, _joined(load(file), summary.new, reader.run_ids()))


@contextmanager
def forgiving() -> Iterator["Forgiving"]:
    """The same for a table that is printed whole: of a run whose files cannot be read it knows nothing, and says so."""
    with opened() as summary:
        yield Forgiving(summary)


class Forgiving:
    """A summary that tells of damaged files instead of raising."""

    def __init__(self, summary: Summary):
        self._summary = summary

    def certificate(self, row: StoredRun, baseline: StoredRun) -> str | None:
        """As the summary's."""
        return self._unless_unreadable(self._summary.certificate, row, baseline, None)

    def intervals(self, row: StoredRun, baseline: StoredRun) -> dict[str, Interval]:
        """As the summary's."""
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
    """Beside the sqlite file; for a server in the cache, by its address."""
    return store.places.summary


def load(file: Path) -> Pairs:
    """The pairs in a file; none where it is not exactly what `save` wrote with this code."""
    try:
        header, _, body = file.read_bytes().partition(b"\n")
        if json.loads(header) != _header(body):
            return {}
        lines = [json.loads(line) for line in body.splitlines()]
    except (OSError, ValueError):
        return {}
    return {(line.pop("row"), line.pop("baseline")): line for line in lines}


def save(file: Path, pairs: Pairs) -> None:
    """Write the whole file or nothing: one line a pair, under a line that says of what code and which lines."""
    from flamingo_core.whole_file import write_whole  # whoever only reads imports nothing of the core

    lines = [{"row": row, "baseline": baseline, **known} for (row, baseline), known in pairs.items()]
    body = "".join(dumps(line) + "\n" for line in lines).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, dumps(_header(body)).encode() + b"\n" + body)


def _joined(known: Pairs, new: Pairs, run_ids: set[str] | None) -> Pairs:
    """Both, without pairs of runs that are in the store no more; another process may have written `known`."""
    joined: Pairs = {pair: {**known.get(pair, {}), **new.get(pair, {})} for pair in {**known, **new}}
    return {pair: one for pair, one in joined.items() if run_ids is None or run_ids.issuperset(pair)}


def _header(body: bytes) -> Mapping[str, str]:
    """The first line of a valid file: any change of the code behind its figures makes another."""
    code = hashlib.sha256()
    for module in (__file__, bootstrap.__file__, pairing.__file__):
        code.update(Path(module).read_bytes())
    return {"code": code.hexdigest(), "lines": hashlib.sha256(body).hexdigest()}
