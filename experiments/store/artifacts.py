"""Artifacts: the files of runs, beside their sqlite store wherever it is now.

MLflow records absolute paths: the experiment's when it is created, a run's when it starts. In a store that was copied
or moved they name a folder of another store. Reading ignores them if the files lie beside the store; writing corrects
them, so that MLflow's own screens and clients find the files too.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from experiments.store.places import Places

LOCK_WAIT_S = 20.0  # the same as MLflow


def local_path(uri: str) -> Path | None:
    """The local folder of an artifact URI; None if it is not local."""
    if uri.startswith("file:"):
        return Path(unquote(urlsplit(uri).path))
    return None if urlsplit(uri).scheme else Path(uri)


def folder_of(places: Places, run_id: str, recorded: Path) -> Path:
    """The folder to read a run's files from: beside the store, or if there is none, the recorded one."""
    beside = places.artifacts_of(run_id)
    return beside if beside.is_dir() else recorded


def settle(file: Path, places: Places, experiment_id: str, recorded: str) -> None:
    """Correct the recorded paths of the experiment, and of runs whose files lie beside the store.

    Raises:
        sqlite3.Error: the store cannot be written.
    """
    here = places.artifacts.as_uri()
    if recorded == here or local_path(recorded) is None:
        return
    with _changing(file) as connection:
        values = here, experiment_id
        connection.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", values)
        runs = connection.execute("SELECT run_uuid, artifact_uri FROM runs WHERE experiment_id = ?", (experiment_id,))
        moved = [
            (places.artifacts_of(run_id).as_uri(), run_id)
            for run_id, uri in runs
            if uri == f"{recorded}/{run_id}/artifacts" and places.artifacts_of(run_id).is_dir()
        ]
        connection.executemany("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", moved)


def home_of(file: Path, places: Places, run_id: str, recorded: str) -> str:
    """The URI of the folder to write a run's files to, beside the store; existing files are copied there first.

    Raises:
        OSError, sqlite3.Error: the store or its folder cannot be written.
    """
    elsewhere = local_path(recorded)
    if elsewhere is None:
        return recorded
    home = places.artifacts_of(run_id)
    if not home.exists() and elsewhere.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=home.parent) as draft:  # complete, or not at all
            shutil.copytree(elsewhere, f"{draft}/{home.name}")
            try:
                os.rename(f"{draft}/{home.name}", home)
            except OSError:
                if not home.exists():  # otherwise another command was faster
                    raise
    if home.as_uri() != recorded:
        with _changing(file) as connection:
            connection.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (home.as_uri(), run_id))
    return home.as_uri()


@contextmanager
def _changing(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection to change two columns for which MLflow has no call."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=LOCK_WAIT_S)) as connection, connection:
        yield connection
