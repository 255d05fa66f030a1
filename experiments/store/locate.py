"""Which store runs are kept in: the one that the environment names, or the repository's own.

A store is a sqlite file (`mlruns/mlflow.db` of the repository, whatever the working directory) or an MLflow server.
Nothing is opened or made here.
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
# Of `%` one version of SQLAlchemy makes another sign, another does not; at `?` all of them end the path.
UNUSABLE_IN_PATHS = "%?"


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
