"""Connection to a store: whether it exists, opening it for reading or writing, creating it.

MLflow is imported when a store is opened, not before.
"""

import os
import sqlite3
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from uuid import uuid4

from experiments.common.large_imports import uncollected
from experiments.store import artifacts
from experiments.store.error import StoreError, fault
from experiments.store.locate import SQLITE, Store, locate
from experiments.store.names import EXPERIMENT
from experiments.store.patience import alone, connect, errors, knock

if TYPE_CHECKING:
    from mlflow import MlflowClient

SERVER_RETRIES = "4"  # of a request that a server broke off: half a minute in all, instead of four with MLflow's seven


def use_store() -> str:
    """Point MLflow at our store, in this process and its children, and return the store's URI. Creates nothing."""
    store = locate()
    import_mlflow().set_tracking_uri(store.uri)
    return store.uri


def exists(store: Store) -> bool:
    """Whether the store can be read: a server that answers, or a sqlite file with MLflow's tables.

    Raises:
        StoreError: the server cannot be reached, or the file exists and cannot be read.
    """
    with errors(store):
        if store.file is None:
            knock(store.uri)
            return True
        if not store.file.exists():
            return False
        if store.file.is_file() and not store.file.stat().st_size:
            if any(store.places.artifacts.glob("*/artifacts")):
                text = "it is empty, and files of its runs lie in artifacts/ beside it"
                raise fault(text, sqlite3.SQLITE_CORRUPT)
            return False
        if "experiments" not in _tables(store.file):
            raise fault("file is not an MLflow database", sqlite3.SQLITE_NOTADB)
        return True


def open_for_reading(store: Store) -> "tuple[MlflowClient, str] | None":
    """A client and the id of our experiment; None if nothing is stored. Writes nothing."""
    if not exists(store):
        return None
    with errors(store):
        _check_schema(store)
        client = import_mlflow().MlflowClient(tracking_uri=store.uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        return None if experiment is None else (client, experiment.experiment_id)


def open_for_writing(store: Store) -> "tuple[MlflowClient, str]":
    """A client and the id of our experiment; store and experiment are created if they do not exist.

    One process at a time: two that migrate a new sqlite file at once corrupt it.

    Raises:
        StoreError: the store cannot be used.
    """
    with errors(store):
        if store.file is None:
            knock(store.uri)
            return _open(store)
        if exists(store):
            _check_schema(store)  # before anything is written beside it
        store.file.parent.mkdir(parents=True, exist_ok=True)
        with alone(store):
            if not exists(store):
                _create(store.file)
            _try_to_write(store.file)
            return _open(store)


def import_mlflow() -> ModuleType:
    """Import MLflow, late because it takes over a second, without telemetry and without logs of errors we report."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", SERVER_RETRIES)
    import logging

    try:
        Path.home()
    except RuntimeError:  # no HOME and no entry for the user, as in a container: MLflow needs a home
        os.environ["HOME"] = "/"
    with uncollected():
        import mlflow

    for name in ("mlflow.store.db", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they log tracebacks of errors that become a StoreError
    return mlflow


def _open(store: Store) -> "tuple[MlflowClient, str]":
    from mlflow.exceptions import MlflowException

    client = import_mlflow().MlflowClient(tracking_uri=store.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        # A server has its own place for artifacts; MLflow's default for a sqlite file depends on the working directory.
        location = None if store.file is None else store.places.artifacts.as_uri()
        try:
            return client, client.create_experiment(EXPERIMENT, artifact_location=location)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(EXPERIMENT)  # another process has just created it
    if experiment.lifecycle_stage != "active":
        raise StoreError(
            f"experiment `{EXPERIMENT}` was deleted in {store.shown_uri}",
            f"bring it back with `mlflow experiments restore --experiment-id {experiment.experiment_id}`",
        )
    if store.file is not None:
        artifacts.settle(store.file, store.places, experiment.experiment_id, experiment.artifact_location)
    return client, experiment.experiment_id


def _create(file: Path) -> None:
    """Create a sqlite store under another name and move it into place: a killed process leaves no half of it."""
    if file.exists() and file.stat().st_size:
        raise fault("file is not an MLflow database", sqlite3.SQLITE_NOTADB)
    for left_by_killed in file.parent.glob(f".{file.name}.new*"):
        left_by_killed.unlink()
    draft = file.with_name(f".{file.name}.new-{uuid4().hex}")  # MLflow remembers every file it has opened
    try:
        import_mlflow().MlflowClient(tracking_uri=f"{SQLITE}{draft}").search_experiments(max_results=1)
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _check_schema(store: Store) -> None:
    """Refuse a file with the schema of another MLflow version, which MLflow might migrate unasked."""
    if store.file is None:
        return
    newest = _newest_schema()
    connection = connect(store.file, mode="ro")
    try:
        found = [revision for (revision,) in connection.execute("SELECT version_num FROM alembic_version")]
    finally:
        connection.close()
    if found != [newest]:
        schema = ", ".join(found) or "unknown"
        raise fault(f"its database schema is {schema}, this MLflow's is {newest}", sqlite3.SQLITE_SCHEMA)


@cache
def _newest_schema() -> str | None:
    import_mlflow()
    from alembic.script import ScriptDirectory
    from mlflow.store import db_migrations

    return ScriptDirectory(str(Path(db_migrations.__file__).parent)).get_current_head()


def _tables(file: Path) -> set[str]:
    connection = connect(file)
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


def _try_to_write(file: Path) -> None:
    connection = connect(file, mode="rw")
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
    finally:
        connection.close()
