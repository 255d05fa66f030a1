"""`StoreError`, the one error for a store that cannot be used, and its hints.

Causes are recognised by the error codes of sqlite and the system, never by words: a message may contain a path, and a
path any word.
"""

import errno
import sqlite3

URI_VARIABLE = "MLFLOW_TRACKING_URI"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_WRITABLE = (*NO_SPACE, errno.EROFS, errno.EACCES, errno.EPERM)
CACHE_VARIABLE = "FLAMINGO_CACHE"


class StoreError(Exception):
    """The store cannot be used, for the reason in `message`; `hint` says what the user can do."""

    busy = False  # whether another process holds its lock

    def __init__(self, message: str, hint: str):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type["StoreError"], tuple[str, str]]:
        return StoreError, (self.message, self.hint)  # so that a worker can send it to its parent


def fault(text: str, code: int) -> sqlite3.DatabaseError:
    """An error of ours that `explain` treats like sqlite's own error of this code."""
    fault = sqlite3.DatabaseError(text)
    fault.sqlite_errorcode = code
    return fault


def _codes(error: BaseException) -> tuple[int, int]:
    """The error codes of sqlite and of the system in an error and its causes; 0 for none."""
    by_sqlite = by_system = 0
    cause: BaseException | None = error
    while cause is not None:
        by_sqlite = by_sqlite or getattr(cause, "sqlite_errorcode", None) or 0
        by_system = by_system or getattr(cause, "errno", None) or 0
        cause = cause.__cause__ or cause.__context__
    return by_sqlite, by_system


def explain(error: Exception, uri: str, shown_uri: str, *, is_file: bool) -> StoreError:
    """The `StoreError` for any error raised by using the store at `uri`."""
    code, system_code = _codes(error)
    kind = code & 0xFF  # the rest of an extended code is detail
    busy = kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    reason = " ".join(str(error).split())[:300]
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        reason = "the file was deleted or replaced while a run was writing to it"
    elsewhere = f"set {URI_VARIABLE}=sqlite:////absolute/path.db to store runs elsewhere"
    if not is_file:
        hint = f"start the server, or unset {URI_VARIABLE} for the repository's own store"
        if system_code in NOT_WRITABLE:  # results waiting for a server are in the cache
            hint = f"set {CACHE_VARIABLE} to a folder that can be written to"
        busy = getattr(error, "error_code", "") == "TEMPORARILY_UNAVAILABLE"  # for example, its own store is locked
    elif busy:
        hint = "another program holds the store: let it finish and start again"
    elif kind == sqlite3.SQLITE_NOTADB:
        hint = f"is this the right file? move it away, or {elsewhere}"
    elif kind == sqlite3.SQLITE_CORRUPT:
        hint = "it is damaged: restore it from a copy, or move it and artifacts/ away and run again what it held"
    elif kind == sqlite3.SQLITE_SCHEMA:
        hint = f"copy the file for safety, then: mlflow db upgrade {uri} (with the newer MLflow, if it is newer)"
    elif kind == sqlite3.SQLITE_FULL or system_code in NO_SPACE:
        hint = f"free some space, or {elsewhere}"
    else:
        hint = elsewhere
    explained = StoreError(f"the store {shown_uri} cannot be used: {reason}", hint)
    explained.busy = busy
    return explained
