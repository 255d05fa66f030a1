"""Where runs are stored: which store the environment names, whether it can be used, and first contact with it.

A store is a sqlite file (`mlruns/mlflow.db` of the repository, whatever the working directory) or an MLflow server.
Nothing here imports MLflow until a store is opened.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from experiments.common.checkout import ROOT
from experiments.common.large_imports import uncollected
from experiments.store import artifacts
from experiments.store.error import URI_VARIABLE, StoreError, explain, fault
from experiments.store.names import EXPERIMENT
from experiments.store.places import Places

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_FILE = ROOT / "mlruns" / "mlflow.db"
SQLITE = "sqlite:///"

LOCK_WAIT_S = 60.0  # how long another process may hold the store before we give up
TURN_S = 1.0  # of that, without looking for a signal
CONNECT_WAIT_S = 5.0
# Of `%` one version of SQLAlchemy makes another sign, another does not; at `?` all of them end the path.
UNUSABLE_IN_PATHS = "%?"
SERVER_RETRIES = "4"  # of a request that a server broke off: half a minute, where MLflow's own seven are four

T = TypeVar("T")


class PatientConnection(sqlite3.Connection):
    """Waits for another process's lock in turns: sqlite would answer no signal until the whole wait is over."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """As sqlite3's, for at most `LOCK_WAIT_S` on a locked file."""
        import time

        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                return super().execute(*arguments)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise


@dataclass(frozen=True)
class Store:
    """One place where runs are kept. `file` is the sqlite file, None for a server."""

    uri: str
    file: Path | None

    @property
    def places(self) -> Places:
        """Where everything else of this store lies."""
        return Places(self.file, self.uri)

    @property
    def shown_uri(self) -> str:
        """The URI as it may be printed: a password in it is not shown."""
        password = None if self.file else urlsplit(self.uri).password
        return self.uri if password is None else self.uri.replace(f":{password}@", ":***@", 1)

    def exists(self) -> bool:
        """Whether anything can be read: a server that answers, or a sqlite file with MLflow's tables in it.

        Raises:
            StoreError: the server cannot be reached, or the file is there and cannot be read.
        """
        with errors(self):
            if self.file is None:
                _knock(self.uri)
                return True
            if not self.file.exists():
                return False
            if self.file.is_file() and not self.file.stat().st_size:
                if any(self.places.artifacts.glob("*/artifacts")):
                    text = "it is empty, and files of its runs lie in artifacts/ beside it"
                    raise fault(text, sqlite3.SQLITE_CORRUPT)
                return False
            if "experiments" not in _tables(self.file):
                raise fault("file is not a database of MLflow", sqlite3.SQLITE_NOTADB)
            return True


def locate() -> Store:
    """The store that the environment names, or the repository's own. Touches nothing.

    Raises:
        StoreError: the URI is malformed, relative, or of a kind that is not supported.
    """
    said = os.environ.get(URI_VARIABLE, "")
    uri = said.strip() or f"{SQLITE}{DEFAULT_FILE}"
    if uri.startswith("sqlite:"):
        if said.strip() and said != uri:  # a blank at its end may belong to the name of a file, or to a slip
            raise _bad_uri(said, f"did you mean {uri}")
        path = uri.removeprefix(SQLITE)
        if not uri.startswith(SQLITE) or not path.startswith("/"):
            name = path.removeprefix("sqlite:").lstrip("/")
            raise _bad_uri(uri, f"did you mean {SQLITE}{Path(name or 'mlflow.db').absolute()}")
        for sign in UNUSABLE_IN_PATHS:
            if sign in path:
                raise _bad_uri(uri, f"a path is written as it is, not encoded, and cannot have `{sign}` in it")
        if not _is_text(path):  # MLflow would write to a folder of another name
            raise _bad_uri(uri, "the path is not UTF-8: give the folder another name, or a link to it")
        return Store(uri, Path(path))
    try:
        parts = urlsplit(uri)
        usable = bool(parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
    except ValueError:
        usable = False
    if usable:
        return Store(uri.rstrip("/"), None)
    if ":" not in uri or uri.startswith("file:"):
        folder = Path(uri.removeprefix("file://")).absolute()
        raise _bad_uri(uri, f"did you mean {SQLITE}{folder / 'mlflow.db'}")
    raise _bad_uri(uri, "for another database, start `mlflow server --backend-store-uri ...` and give its http address")


def use_store() -> str:
    """Point MLflow at our store in this process and its children, and return the store's URI. Creates nothing."""
    store = locate()
    import_mlflow().set_tracking_uri(store.uri)
    return store.uri


def work_folder(spec_hash: str, seed: int) -> Path:
    """Where a job keeps its checkpoints, and its results until they are logged. Creates nothing."""
    return locate().places.work / f"{spec_hash}-{seed}"


def open_for_reading(store: Store) -> "tuple[MlflowClient, str] | None":
    """A client and our experiment's id; None where nothing is stored. Writes nothing."""
    if not store.exists():
        return None
    with errors(store):
        _check_schema(store)
        client = import_mlflow().MlflowClient(tracking_uri=store.uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        return None if experiment is None else (client, experiment.experiment_id)


def open_for_writing(store: Store) -> "tuple[MlflowClient, str]":
    """A client and our experiment's id; the store and the experiment are made where they do not exist.

    One process at a time: two that migrate a new sqlite file at once spoil it.

    Raises:
        StoreError: the store cannot be used.
    """
    from filelock import Timeout

    from experiments.common.locks import file_lock

    with errors(store):
        if store.file is None:
            _knock(store.uri)
            return _open(store)
        if store.exists():
            _check_schema(store)  # before anything is written beside it
        store.file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with file_lock(store.places.lock, timeout_s=LOCK_WAIT_S):
                if not store.exists():
                    _create(store.file)
                _try_to_write(store.file)
                return _open(store)
        except Timeout as error:
            raise fault("database is locked", sqlite3.SQLITE_BUSY) from error


@contextmanager
def alone(store: Store) -> Iterator[None]:
    """No other process of ours makes a store or adds to a finished run meanwhile; of a server nobody can say that.

    Raises:
        StoreError: another process does not let go.
    """
    from filelock import Timeout

    from experiments.common.locks import file_lock

    if store.file is None:
        yield
        return
    lock = file_lock(store.places.lock, timeout_s=LOCK_WAIT_S)
    with errors(store):
        try:
            lock.acquire()
        except Timeout as error:
            raise fault("database is locked", sqlite3.SQLITE_BUSY) from error
    try:
        yield
    finally:
        lock.release()


def patiently(store: Store, call: Callable[[], T]) -> T:
    """Call, again while another process holds the store's lock, and for at most `LOCK_WAIT_S`."""
    import time

    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            with errors(store):
                if store.file is None:
                    _knock(store.uri)
                return call()
        except StoreError as error:
            # MLflow itself waits 20 s a call; what was locked has been rolled back, so that a second call is the first.
            if not error.busy or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def errors(store: Store) -> Iterator[None]:
    """Turn whatever a store's fault raises into one `StoreError`; errors of our own making pass.

    Raises:
        StoreError: the store cannot be used.
    """
    try:
        yield
    except StoreError:
        raise
    except UnicodeDecodeError as error:  # in sqlite's own words for what is wrong with its schema
        damage = fault("database disk image is malformed: its schema is no text", sqlite3.SQLITE_CORRUPT)
        raise explain(damage, store.uri, store.shown_uri, is_file=store.file is not None) from error
    except (OSError, sqlite3.Error) as error:
        raise explain(error, store.uri, store.shown_uri, is_file=store.file is not None) from error
    except Exception as error:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError  # what making the tables raises

        by_mlflow = isinstance(error, MlflowException) and error.error_code != "INVALID_PARAMETER_VALUE"
        if not by_mlflow and not isinstance(error, SQLAlchemyError):
            raise
        raise explain(error, store.uri, store.shown_uri, is_file=store.file is not None) from error


def import_mlflow() -> ModuleType:
    """MLflow, late (it takes over a second), without telemetry and without log lines on what we say ourselves."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", SERVER_RETRIES)
    import logging

    try:
        Path.home()
    except RuntimeError:  # no HOME, and a user that the system has no entry for, as in a container: MLflow asks for one
        os.environ["HOME"] = "/"
    with uncollected():
        import mlflow

    for name in ("mlflow.store.db", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # it logs a traceback for what becomes a StoreError
    return mlflow


def _open(store: Store) -> "tuple[MlflowClient, str]":
    from mlflow.exceptions import MlflowException

    client = import_mlflow().MlflowClient(tracking_uri=store.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        # A server knows where its artifacts go; MLflow's default for a sqlite file depends on the working directory.
        location = None if store.file is None else store.places.artifacts.as_uri()
        try:
            return client, client.create_experiment(EXPERIMENT, artifact_location=location)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(EXPERIMENT)  # another process made it meanwhile
    if experiment.lifecycle_stage != "active":
        raise StoreError(
            f"experiment `{EXPERIMENT}` was deleted in {store.shown_uri}",
            f"bring it back with `mlflow experiments restore --experiment-id {experiment.experiment_id}`",
        )
    if store.file is not None:
        artifacts.settle(store.file, store.places, experiment.experiment_id, experiment.artifact_location)
    return client, experiment.experiment_id


def _create(file: Path) -> None:
    """Make a new sqlite store under another name and move it in place: a process killed here leaves no half of one."""
    if file.exists() and file.stat().st_size:
        raise fault("file is not a database of MLflow", sqlite3.SQLITE_NOTADB)
    for left_by_killed in file.parent.glob(f".{file.name}.new*"):
        left_by_killed.unlink()
    draft = file.with_name(f".{file.name}.new-{uuid4().hex}")  # MLflow remembers each file it has opened
    try:
        import_mlflow().MlflowClient(tracking_uri=f"{SQLITE}{draft}").search_experiments(max_results=1)
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _check_schema(store: Store) -> None:
    """Refuse a file of another MLflow's schema: MLflow would migrate one that lacks a table, unasked."""
    if store.file is None:
        return
    newest = _newest_schema()
    connection = sqlite3.connect(f"{store.file.as_uri()}?mode=ro", uri=True, timeout=TURN_S, factory=PatientConnection)
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
    mode = "rw" if os.access(file, os.W_OK) else "ro"  # rw recovers what a killed writer left, and writes no more
    connection = sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True, timeout=TURN_S, factory=PatientConnection)
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


def _try_to_write(file: Path) -> None:
    connection = sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=TURN_S, factory=PatientConnection)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
    finally:
        connection.close()


def _knock(uri: str) -> None:
    """Fail at once where no one listens: MLflow itself would try again for minutes."""
    import socket

    parts = urlsplit(uri)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    socket.create_connection((parts.hostname, port), timeout=CONNECT_WAIT_S).close()


def _is_text(path: str) -> bool:
    """Whether a name of the system's is text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_uri(uri: str, hint: str) -> StoreError:
    allowed = "sqlite:////absolute/path.db, http://host:port, https://host:port"
    return StoreError(f"`{URI_VARIABLE}` is `{uri}`; allowed: {allowed}", hint)
