"""Locating the store of runs: the one named by the environment, or the repository's own.

A store is a sqlite file (`mlruns/mlflow.db` of the repository, whatever the working directory) or an MLflow server.
Nothing is opened or created here.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from experiments.common.checkout import ROOT
from experiments.store.error import URI_VARIABLE, StoreError
from experiments.store.places import Places

DEFAULT_FILE = ROOT / "mlruns" / "mlflow.db"
SQLITE = "sqlite:///"
# Some versions of SQLAlchemy decode `%` and others do not; all of them end the path at `?`.
UNUSABLE_IN_PATHS = "%?"


@dataclass(frozen=True)
class Store:
    """A store of runs; `file` is the sqlite file, None for a server."""

    uri: str
    file: Path | None

    @property
    def places(self) -> Places:
        """The paths of everything else that belongs to this store."""
        return Places(self.file, self.uri)

    @property
    def shown_uri(self) -> str:
        """The URI for printing, without its password."""
        password = None if self.file else urlsplit(self.uri).password
        return self.uri if password is None else self.uri.replace(f":{password}@", ":***@", 1)


def locate() -> Store:
    """The store named by the environment, or the repository's own. Opens nothing.

    Raises:
        StoreError: the URI is malformed, relative, or of a kind that is not supported.
    """
    said = os.environ.get(URI_VARIABLE, "")
    uri = said.strip() or f"{SQLITE}{DEFAULT_FILE}"
    if uri.startswith("sqlite:"):
        if said.strip() and said != uri:  # a trailing blank may be part of a file name, or a slip
            raise _bad_uri(said, f"did you mean {uri}")
        path = uri.removeprefix(SQLITE)
        if not uri.startswith(SQLITE) or not path.startswith("/"):
            name = path.removeprefix("sqlite:").lstrip("/")
            raise _bad_uri(uri, f"did you mean {SQLITE}{Path(name or 'mlflow.db').absolute()}")
        for sign in UNUSABLE_IN_PATHS:
            if sign in path:
                raise _bad_uri(uri, f"a path is written as it is, not encoded, and cannot have `{sign}` in it")
        if not _is_text(path):  # MLflow would write to a folder with another name
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


def _is_text(path: str) -> bool:
    """Whether a path from the system is valid text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_uri(uri: str, hint: str) -> StoreError:
    allowed = "sqlite:////absolute/path.db, http://host:port, https://host:port"
    return StoreError(f"`{URI_VARIABLE}` is `{uri}`; allowed: {allowed}", hint)
