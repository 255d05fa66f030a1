"""Reads runs from MLflow's tables in a sqlite file: read-only SQL, without importing MLflow.

`search_runs` takes 6 s for 1,000 runs and 39 s for 10,000, MLflow's import 2 s of it; these queries 0.1 s and 0.8 s
(`benchmarks/README.md`). They use columns of MLflow's schema, which is not a public interface: a file without these
columns is left to MLflow itself, and a test compares the answers of both on the same runs.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from experiments.store import damage
from experiments.store.locate import SQLITE, Store
from experiments.store.names import DIGESTS, EXPERIMENT
from experiments.store.patience import connect, errors
from experiments.store.stored_run import StoredRun

# The columns that are read, by table.
COLUMNS = {
    "experiments": {"experiment_id", "name"},
    "runs": {"run_uuid", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri", "experiment_id"},
    "tags": {"run_uuid", "key", "value"},
    "params": {"run_uuid", "key", "value"},
    "latest_metrics": {"run_uuid", "key", "value", "is_nan"},
}
ACTIVE = "lifecycle_stage = 'active'"
# Tables are read without their indices: a damaged index would hide rows silently.
CHOSEN = f"SELECT run_uuid FROM runs NOT INDEXED WHERE experiment_id = ? AND {ACTIVE}"
TAGGED = " AND run_uuid IN (SELECT run_uuid FROM tags NOT INDEXED WHERE key = ? AND value = ?)"
# States that a run cannot have; `spec_hash` is a tag that every run of ours has.
OURS = "SELECT run_uuid FROM tags NOT INDEXED WHERE key = 'spec_hash'"
LOST = {
    f"SELECT run_uuid FROM runs NOT INDEXED WHERE run_uuid IN ({OURS}) AND (status NOT IN "
    "('RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED') OR lifecycle_stage NOT IN ('active', 'deleted'))": (
        "its status is unknown"
    ),
    f"{OURS} AND run_uuid NOT IN (SELECT +run_uuid FROM runs NOT INDEXED)": "it has tags but is in no table of runs",
    f"SELECT run_uuid FROM runs NOT INDEXED WHERE run_uuid IN ({OURS}) AND experiment_id NOT IN "
    f"(SELECT experiment_id FROM experiments NOT INDEXED WHERE name = '{EXPERIMENT}')": (
        f"its experiment is not `{EXPERIMENT}`"
    ),
}
AT_ONCE = 200  # runs whose params are read together: opening the file takes as long as the params of ten runs


def read(file: Path, *, status: str | None, tags: Mapping[str, str]) -> list[StoredRun] | None:
    """Our runs with this status and these tags, without deleted ones; None if the schema is unknown.

    Without `tags`, also report runs that are damaged in the tables.
    """
    try:
        return _read(file, status, tags, text=str)
    except sqlite3.OperationalError as error:
        if not str(error).startswith("Could not decode"):  # raised by Python, without an sqlite code
            raise
        return _read(file, status, tags, text=_legible)  # some bytes are not UTF-8: the check of their run reports them


def _read(
    file: Path, status: str | None, tags: Mapping[str, str], *, text: Callable[[bytes], str]
) -> list[StoredRun] | None:
    with closing(connect(file)) as connection:
        connection.text_factory = text
        if not _is_known(connection):
            return None
        connection.execute("BEGIN")  # all queries see the same runs
        query = "SELECT experiment_id FROM experiments NOT INDEXED WHERE name = ?"
        found = connection.execute(query, (EXPERIMENT,)).fetchall()
        if not tags:
            _tell_of_lost(file, connection)
        if len(found) != 1:
            return None if found else []
        chosen, values = CHOSEN + TAGGED * len(tags), [found[0][0]]
        for tag in tags.items():
            values += tag
        if status is not None:
            chosen, values = f"{chosen} AND status = ?", [*values, status]
        columns = "run_uuid, status, start_time, end_time, artifact_uri"
        listed = connection.execute(
            f"SELECT {columns} FROM runs NOT INDEXED WHERE run_uuid IN ({chosen})", values
        ).fetchall()
        query = f"SELECT run_uuid, key, value FROM tags NOT INDEXED WHERE run_uuid IN ({chosen})"
        all_tags = _by_run(connection, query, values)
        number = "CASE WHEN is_nan THEN NULL ELSE value END"
        query = f"SELECT run_uuid, key, {number} FROM latest_metrics NOT INDEXED WHERE run_uuid IN ({chosen})"
        all_metrics = _by_run(connection, query, values)
    shelf = _Shelf(file, {run_id: all_tags.get(run_id, {}) for run_id, *_ in listed})
    return [
        StoredRun(
            run_id=run_id,
            status=its_status,
            started=started or 0,
            ended=ended or 0,
            artifact_uri=artifact_uri,
            tags=all_tags.get(run_id, {}),
            params=Params(shelf, run_id),
            metrics={
                name: float("nan") if value is None else value for name, value in all_metrics.get(run_id, {}).items()
            },
            verified=DIGESTS in all_tags.get(run_id, {}),
        )
        for run_id, its_status, started, ended, artifact_uri in listed
    ]


def run_ids(file: Path) -> set[str] | None:
    """Ids of the runs of all experiments, without deleted ones; None if the schema is unknown."""
    with closing(connect(file)) as connection:
        if not _is_known(connection):
            return None
        return {run_id for (run_id,) in connection.execute(f"SELECT run_uuid FROM runs WHERE {ACTIVE}")}


def _tell_of_lost(file: Path, connection: sqlite3.Connection) -> None:
    """Report runs that no query for runs finds because a value in their row is damaged."""
    hint = "restore the file from a copy, if there is one; otherwise the same commands make the run again"
    for query, what in LOST.items():
        for (run_id,) in connection.execute(query):
            damage.tell(f"run {damage.shown(run_id)} in {file} left out: {what}\nhint: {hint}")


class Params(Mapping[str, str]):
    """A run's params, read on first use: there are 90 per run, and most tables need none."""

    def __init__(self, shelf: "_Shelf", run_id: str):
        self._shelf = shelf
        self._run_id = run_id

    def __getitem__(self, key: str) -> str:
        return self._shelf.params(self._run_id)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shelf.params(self._run_id))

    def __len__(self) -> int:
        return len(self._shelf.params(self._run_id))


class _Shelf:
    """The params of runs that were read together, loaded `AT_ONCE` runs at a time and compared with their hashes."""

    def __init__(self, file: Path, tags: Mapping[str, Mapping[str, str]]):
        self._file = file
        self._tags = tags
        self._run_ids = list(tags)
        self._places = {run_id: place for place, run_id in enumerate(tags)}
        self._read: dict[str, dict[str, str]] = {}
        self._wrong: dict[str, str] = {}

    def params(self, run_id: str) -> dict[str, str]:
        """The params of one run.

        Raises:
            Damaged: they are not what was stored.
        """
        if run_id not in self._read:
            start = self._places[run_id] // AT_ONCE * AT_ONCE
            some = self._run_ids[start : start + AT_ONCE]
            query = f"SELECT run_uuid, key, value FROM params WHERE run_uuid IN ({', '.join('?' * len(some))})"
            with errors(Store(f"{SQLITE}{self._file}", self._file)), closing(connect(self._file)) as connection:
                connection.text_factory = _legible
                self._read |= {run_id: {} for run_id in some} | _by_run(connection, query, some)
            for one in some:
                if (wrong := damage.fault_of_params(self._tags[one], self._read[one])) is not None:
                    self._wrong[one] = wrong
        if run_id in self._wrong:
            raise damage.Damaged(f"run {run_id} in {self._file}: {self._wrong[run_id]}")
        return self._read[run_id]


def _legible(content: bytes) -> str:
    """Decode UTF-8, with other bytes escaped."""
    return content.decode("utf-8", "backslashreplace")


def _by_run(connection: sqlite3.Connection, query: str, values: Sequence[Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for run_id, key, value in connection.execute(query, values):
        found.setdefault(run_id, {})[key] = value
    return found


def _is_known(connection: sqlite3.Connection) -> bool:
    tables = {table: connection.execute(f"PRAGMA table_info({table})") for table in COLUMNS}
    return all(COLUMNS[table] <= {name for _, name, *_ in columns} for table, columns in tables.items())
