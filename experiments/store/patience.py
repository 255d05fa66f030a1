"""Patience with a store: waiting for whoever holds it, giving up on a server that does not listen, one error for all.

Nothing here imports MLflow.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from experiments.store.error import StoreError, explain, fault
from experiments.store.locate import Store

LOCK_WAIT_S = 60.0  # how long another process may hold the store before we give up
TURN_S = 1.0  # of that, without looking for a signal
CONNECT_WAIT_S = 5.0

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


def connect(file: Path, *, mode: str | None = None) -> sqlite3.Connection:
    """A connection to a sqlite file that is there, to read it (`ro`) or to write it (`rw`).

    Without a `mode`, to read it and to recover what a killed writer left, where the file may be written.
    """
    if mode is None:
        mode = "rw" if os.access(file, os.W_OK) else "ro"
    return sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True, timeout=TURN_S, factory=PatientConnection)


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
                    knock(store.uri)
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


def knock(uri: str) -> None:
    """Fail at once where no one listens: MLflow itself would try again for minutes."""
    import socket

    parts = urlsplit(uri)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    socket.create_connection((parts.hostname, port), timeout=CONNECT_WAIT_S).close()
