"""Every place where something is read or written: derived from the store in use and one variable, `FLAMINGO_CACHE`.

Beside the store lies what must not be lost, and it moves with the store; for a server the cache holds that, too. What
else is in the cache may be removed at any time. It is the checkout's `.cache` unless the variable names another folder;
where a checkout cannot be written to, it lies beside the store. Locks that the whole machine shares lie in /tmp, or
where `FLAMINGO_LOCKS` says. Nothing is made here.
"""

import hashlib
import os
import tempfile
from functools import cached_property
from pathlib import Path

from experiments.common.checkout import ROOT
from experiments.store.error import CACHE_VARIABLE

CACHE_NAME = ".cache"
LOCKS_VARIABLE = "FLAMINGO_LOCKS"  # a folder for the machine's locks, where /tmp is none that all its users see


class Places:
    """Where everything of one store lies on this machine: of a sqlite file, or of the server at `uri`."""

    def __init__(self, file: Path | None, uri: str):
        self._uri = uri
        # A store has one set of places, whichever links lead to it.
        self._file = None if file is None else Path(os.path.realpath(file))

    @cached_property
    def beside(self) -> Path:
        """The folder of the sqlite file; for a server, the cache."""
        return cache_folder() if self._file is None else self._file.parent

    @cached_property
    def cache(self) -> Path:
        """What can be made again."""
        return cache_folder(None if self._file is None else self.beside)

    @property
    def artifacts(self) -> Path:
        """Files of runs, a folder a run; of a server, what was fetched from it."""
        return self.beside / "artifacts"

    def artifacts_of(self, run_id: str) -> Path:
        """Files of a run beside a sqlite file, laid out as MLflow does it.

        Raises:
            ValueError: it is no run's id, and would name another folder.
        """
        if not run_id.isalnum():
            raise ValueError(f"`{run_id}` is no run's id")
        return self.artifacts / run_id / "artifacts"

    @property
    def work(self) -> Path:
        """A folder a job: checkpoints, and results that are not stored yet."""
        return self.beside / "work"

    @property
    def leases(self) -> Path:
        """Who is on which job."""
        return self.work / "leases"

    @property
    def summary(self) -> Path:
        """What was worked out of pairs of runs; of a server by its address, which may hold a password."""
        if self._file is None:
            return self.cache / f"{hashlib.sha256(self._uri.encode()).hexdigest()[:16]}.summary.jsonl"
        return self._file.with_name(f"{self._file.name}.summary.jsonl")

    @property
    def lock(self) -> Path:
        """Held by who makes a store, or adds to a finished run in it; of a sqlite file alone."""
        assert self._file is not None, "a server takes care of itself"
        return self._file.with_name(f"{self._file.name}.lock")

    @property
    def features(self) -> Path:
        """What frozen encoders make of media, for all stores that share the cache."""
        return self.cache / "features"

    @property
    def more_features(self) -> Path | None:
        """A checkout's features, where they can be read and no more be made there."""
        return None if self.cache == cache_folder() else cache_folder() / "features"

    @property
    def pictures(self) -> Path:
        """Media that a printed row shows."""
        return self.cache / "pictures"


def cache_folder(beside: Path | None = None) -> Path:
    """The folder that the variable names, or the checkout's; where that cannot be written to, the one `beside`."""
    said = os.environ.get(CACHE_VARIABLE, "")
    if said.strip():
        return Path(said).absolute()
    own = ROOT / CACHE_NAME
    return own if beside is None or may_write(own) else beside / CACHE_NAME


def machine_locks() -> Path:
    """Where locks of the whole machine lie: beside no store, of which a machine may have several, and in nobody's home.

    `TMPDIR` may be a folder of one user or of one job; /tmp is the one that all of them see.
    """
    said = os.environ.get(LOCKS_VARIABLE, "").strip()
    return Path(said or ("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir())).absolute()


def in_cache(path: Path) -> Path:
    """A path that a YAML gives from the checkout on: what it says of `.cache` is said of the cache in use."""
    moved = os.environ.get(CACHE_VARIABLE, "").strip() and path.parts[:1] == (CACHE_NAME,)
    return cache_folder().joinpath(*path.parts[1:]) if moved else path


def may_write(folder: Path) -> bool:
    """Whether files can be made in a folder, which may have to be made itself."""
    existing = next(one for one in (folder, *folder.parents) if os.path.exists(one))
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
