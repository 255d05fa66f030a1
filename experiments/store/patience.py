"""Access to a busy or unreachable store: waiting for locks, giving up on servers, one error for every fault.

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

LOCK_WAIT_S = 60.0  # how long to wait for a store that another process holds
TURN_S = 1.0  # of that, between checks for signals
CONNECT_WAIT_S = 5.0

T = TypeVar("T")


class PatientConnection(sqlite3.Connection):
    """Waits for another process's lock in turns: sqlite would not react to signals until the whole wait is over."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """Like sqlite3's `execute`, but waits up to `LOCK_WAIT_S` for a locked file."""
        import time

        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                return super().execute(*arguments)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise


def connect(file: Path, *, mode: str | None = None) -> sqlite3.Connection:
    """Connect to an existing sqlite file, to read it (`ro`) or to write it (`rw`).

    Without `mode` it is for reading; a writable file is still opened as `rw`, to recover from a killed writer.
    """
    if mode is None:
        mode = "rw" if os.access(file, os.W_OK) else "ro"
    return sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True, timeout=TURN_S, factory=PatientConnection)


@contextmanager
def alone(store: Store) -> Iterator[None]:
    """Keep other processes of ours from creating this store or adding to its finished runs; no lock for a server.

    Raises:
        StoreError: another process holds the lock for too long.
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
    """Call, and repeat for up to `LOCK_WAIT_S` while another process holds the store's lock."""
    import time

    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            with errors(store):
                if store.file is None:
                    knock(store.uri)
                return call()
        except StoreError as error:
            # MLflow waits 20 s in each call; a locked call was rolled back, so it can be repeated.
            if not error.busy or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def errors(store: Store) -> Iterator[None]:
    """Turn any error of a store into a `StoreError`; other errors pass.

    Raises:
        StoreError: the store cannot be used.
    """
    try:
        yield
    except StoreError:
        raise
    except UnicodeDecodeError as error:  # from sqlite's message about a damaged schema
        damage = fault("database disk image is malformed: its schema is not text", sqlite3.SQLITE_CORRUPT)
        raise explain(damage, store.uri, store.shown_uri, is_file=store.file is not None) from error
    except (OSError, sqlite3.Error) as error:
        raise explain(error, store.uri, store.shown_uri, is_file=store.file is not None) from error
    except Exception as error:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError  # raised while the tables are created

        by_mlflow = isinstance(error, MlflowException) and error.error_code != "INVALID_PARAMETER_VALUE"
        if not by_mlflow and not isinstance(error, SQLAlchemyError):
            raise
        raise explain(error, store.uri, store.shown_uri, is_file=store.file is not None) from error


def knock(uri: str) -> None:
    """Fail at once if the server does not listen: MLflow itself would retry for minutes."""
    import socket

    parts = urlsplit(uri)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    socket.create_connection((parts.hostname, port), timeout=CONNECT_WAIT_S).close()
