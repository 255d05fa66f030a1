"""Paths of everything that is read or written, derived from the store and one variable, `FLAMINGO_CACHE`.

Files that must not be lost lie beside the store and move with it; for a server they are in the cache. Everything else
in the cache can be removed at any time. The cache is the checkout's `.cache` unless the variable names another folder;
if the checkout is not writable, it lies beside the store. Locks that the whole machine shares are in /tmp, or in the
folder that `FLAMINGO_LOCKS` names. Nothing is created here.
"""

import hashlib
import os
import tempfile
from functools import cached_property
from pathlib import Path

from experiments.common.checkout import ROOT
from experiments.store.error import CACHE_VARIABLE

CACHE_NAME = ".cache"
LOCKS_VARIABLE = "FLAMINGO_LOCKS"  # a folder for the machine's locks, if its users do not share /tmp


class Places:
    """Paths on this machine for one store: a sqlite file, or the server at `uri`."""

    def __init__(self, file: Path | None, uri: str):
        self._uri = uri
        # A store has one set of paths, through whatever links it is reached.
        self._file = None if file is None else Path(os.path.realpath(file))

    @cached_property
    def beside(self) -> Path:
        """The folder of the sqlite file; for a server, the cache."""
        return cache_folder() if self._file is None else self._file.parent

    @cached_property
    def cache(self) -> Path:
        """The folder of everything that can be made again."""
        return cache_folder(None if self._file is None else self.beside)

    @property
    def artifacts(self) -> Path:
        """Files of runs, one folder per run; for a server, its downloaded files."""
        return self.beside / "artifacts"

    def artifacts_of(self, run_id: str) -> Path:
        """Files of a run beside a sqlite file, in MLflow's layout.

        Raises:
            ValueError: `run_id` is not the id of a run, and would name another folder.
        """
        if not run_id.isalnum():
            raise ValueError(f"`{run_id}` is not the id of a run")
        return self.artifacts / run_id / "artifacts"

    @property
    def work(self) -> Path:
        """One folder per job, with its checkpoints and its results that are not stored yet."""
        return self.beside / "work"

    @property
    def leases(self) -> Path:
        """Leases of jobs: which process runs which job."""
        return self.work / "leases"

    @property
    def summary(self) -> Path:
        """The cache of facts about pairs of runs; for a server, named by a hash of its address with its password."""
        if self._file is None:
            return self.cache / f"{hashlib.sha256(self._uri.encode()).hexdigest()[:16]}.summary.jsonl"
        return self._file.with_name(f"{self._file.name}.summary.jsonl")

    @property
    def lock(self) -> Path:
        """The lock for creating a store or adding to its finished runs; for a sqlite file only."""
        assert self._file is not None, "a server takes care of itself"
        return self._file.with_name(f"{self._file.name}.lock")

    @property
    def features(self) -> Path:
        """Features of media from frozen encoders, for all stores that share the cache."""
        return self.cache / "features"

    @property
    def more_features(self) -> Path | None:
        """The features of a checkout that is not writable, to read only."""
        return None if self.cache == cache_folder() else cache_folder() / "features"

    @property
    def pictures(self) -> Path:
        """Media shown under a printed row."""
        return self.cache / "pictures"


def cache_folder(beside: Path | None = None) -> Path:
    """The folder named by the variable, else the checkout's, or the one `beside` if that is not writable."""
    said = os.environ.get(CACHE_VARIABLE, "")
    if said.strip():
        return Path(said).absolute()
    own = ROOT / CACHE_NAME
    return own if beside is None or may_write(own) else beside / CACHE_NAME


def machine_locks() -> Path:
    """The folder for locks of the whole machine: not beside a store or in a home, of which there may be several.

    `TMPDIR` may belong to one user or one job; all of them see /tmp.
    """
    said = os.environ.get(LOCKS_VARIABLE, "").strip()
    return Path(said or ("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir())).absolute()


def in_cache(path: Path) -> Path:
    """A relative path from a YAML file; one under `.cache` is moved to the cache in use."""
    moved = os.environ.get(CACHE_VARIABLE, "").strip() and path.parts[:1] == (CACHE_NAME,)
    return cache_folder().joinpath(*path.parts[1:]) if moved else path


def may_write(folder: Path) -> bool:
    """Whether files can be created in a folder, which may not exist yet."""
    existing = next(one for one in (folder, *folder.parents) if os.path.exists(one))
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
