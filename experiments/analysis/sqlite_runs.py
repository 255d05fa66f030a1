"""Runs straight from MLflow's tables in a sqlite file: read-only SQL, without importing MLflow.

`search_runs` takes 6 s for 1,000 runs and 39 s for 10,000, MLflow's import 2 s of it; these queries 0.1 s and 0.8 s
(`benchmarks/README.md`). They name columns of MLflow's schema, which is not its interface: a file that has not these
columns is left to MLflow itself, and a test holds what both say of the same runs against each other.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from os import W_OK, access
from pathlib import Path
from typing import Any

from experiments import store
from experiments.analysis.stored_run import StoredRun
from experiments.record import EXPERIMENT
from experiments.store import Store, errors

# Every column that is read, by table.
COLUMNS = {
    "experiments": {"experiment_id", "name"},
    "runs": {"run_uuid", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri", "experiment_id"},
    "tags": {"run_uuid", "key", "value"},
    "params": {"run_uuid", "key", "value"},
    "latest_metrics": {"run_uuid", "key", "value", "is_nan"},
}
ACTIVE = "lifecycle_stage = 'active'"
CHOSEN = f"SELECT run_uuid FROM runs WHERE experiment_id = ? AND {ACTIVE}"
TAGGED = " AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)"
AT_ONCE = 200  # runs whose params are read together: opening the file costs as much as the params of ten runs


def read(file: Path, *, status: str | None, tags: Mapping[str, str]) -> list[StoredRun] | None:
    """Our runs that are not deleted, of this status and with these tags; None where the schema is not the known one."""
    with closing(_connect(file)) as connection:
        if not _is_known(connection):
            return None
        connection.execute("BEGIN")  # all queries see the same runs
        found = connection.execute("SELECT experiment_id FROM experiments WHERE name = ?", (EXPERIMENT,)).fetchall()
        if len(found) != 1:
            return None if found else []
        chosen, values = CHOSEN + TAGGED * len(tags), [found[0][0]]
        for tag in tags.items():
            values += tag
        if status is not None:
            chosen, values = f"{chosen} AND status = ?", [*values, status]
        columns = "run_uuid, status, start_time, end_time, artifact_uri"
        listed = connection.execute(f"SELECT {columns} FROM runs WHERE run_uuid IN ({chosen})", values).fetchall()
        all_tags = _by_run(connection, f"SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({chosen})", values)
        number = "CASE WHEN is_nan THEN NULL ELSE value END"
        query = f"SELECT run_uuid, key, {number} FROM latest_metrics WHERE run_uuid IN ({chosen})"
        all_metrics = _by_run(connection, query, values)
    shelf = _Shelf(file, [run_id for run_id, *_ in listed])
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
        )
        for run_id, its_status, started, ended, artifact_uri in listed
    ]


def run_ids(file: Path) -> set[str] | None:
    """All runs that are not deleted, of any experiment; None where the schema is not the known one."""
    with closing(_connect(file)) as connection:
        if not _is_known(connection):
            return None
        return {run_id for (run_id,) in connection.execute(f"SELECT run_uuid FROM runs WHERE {ACTIVE}")}


class Params(Mapping[str, str]):
    """A run's params, read when one is first asked for: most tables need none of them, and there are 90 a run."""

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
    """The params of the runs that were read together, some at a time."""

    def __init__(self, file: Path, run_ids: Sequence[str]):
        self._file = file
        self._run_ids = run_ids
        self._places = {run_id: place for place, run_id in enumerate(run_ids)}
        self._read: dict[str, dict[str, str]] = {}

    def params(self, run_id: str) -> dict[str, str]:
        if run_id not in self._read:
            start = self._places[run_id] // AT_ONCE * AT_ONCE
            some = self._run_ids[start : start + AT_ONCE]
            query = f"SELECT run_uuid, key, value FROM params WHERE run_uuid IN ({', '.join('?' * len(some))})"
            with errors(Store(f"{store.SQLITE}{self._file}", self._file)), closing(_connect(self._file)) as connection:
                self._read |= {run_id: {} for run_id in some} | _by_run(connection, query, some)
        return self._read[run_id]


def _by_run(connection: sqlite3.Connection, query: str, values: Sequence[Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for run_id, key, value in connection.execute(query, values):
        found.setdefault(run_id, {})[key] = value
    return found


def _is_known(connection: sqlite3.Connection) -> bool:
    tables = {table: connection.execute(f"PRAGMA table_info({table})") for table in COLUMNS}
    return all(COLUMNS[table] <= {name for _, name, *_ in columns} for table, columns in tables.items())


def _connect(file: Path) -> sqlite3.Connection:
    mode = "rw" if access(file, W_OK) else "ro"  # rw recovers what a killed writer left, and writes no more
    return sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True, timeout=store.LOCK_WAIT_S)
