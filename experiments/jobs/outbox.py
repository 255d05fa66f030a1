"""The outbox: results of a job, kept complete in its work folder until all of them are in the store.

A job is never evaluated twice because its store was lost, full, locked or out of reach. The list of waiting results is
written last, with the hashes of the files: a folder without a list holds no results, and a changed file is noticed.
Delivery may be interrupted anywhere and started again; each value is stored once.
"""

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from experiments.common.plain_json import dumps
from experiments.common.say import say
from experiments.jobs.site import THIS_MACHINE, Site
from experiments.store.digests import file_hash, text_hash
from experiments.store.error import StoreError
from experiments.store.lifecycle import Git, RecordedSpec, git_state, reopen_run, start_run
from experiments.store.locate import locate
from experiments.store.names import loss
from experiments.store.writer import RunWriter

LIST_FILE = "waiting.json"
RESULTS_FOLDER = "results"  # beside the list: the files to be stored with the run
_LOCK_FILE = "waiting.lock"
_DONE = ".done-"  # prefix of a folder that is being removed


@dataclass(kw_only=True)
class Waiting:
    """The list of waiting results, and the run they belong to."""

    run_id: str
    server: str | None  # address of the server; None for a sqlite file, which has its work folder beside it
    spec: RecordedSpec
    git: Git
    losses: dict[str, list[float]]  # by data set, one per step
    metrics: dict[str, float]
    files: dict[str, str]  # sha256 by path in the results folder

    @property
    def title(self) -> str:
        """Name of the job in messages."""
        return f"{self.spec.name} seed {self.spec.seed}"

    def write(self, folder: Path) -> None:
        """Write the list, completely or not at all."""
        from flamingo_core.whole_file import write_whole

        said = asdict(self)
        write_whole(folder / LIST_FILE, dumps({"sha256": text_hash(dumps(said)), "list": said}).encode())

    @classmethod
    def read(cls, folder: Path) -> "Waiting":
        """Read the list and compare every file with its hash.

        Raises:
            ValueError: the list cannot be read, or a file has changed.
        """
        try:
            said = _read_list(folder / LIST_FILE)
            spec = RecordedSpec(**{**said["spec"], "overrides": tuple(said["spec"]["overrides"])})
            metrics = {name: math.nan if value is None else value for name, value in said["metrics"].items()}
            waiting = cls(**{**said, "spec": spec, "git": Git(**said["git"]), "metrics": metrics})
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"{LIST_FILE} cannot be read") from error
        wrong = waiting.files.items() ^ _hashes(folder / RESULTS_FOLDER).items()
        if wrong:
            raise ValueError(f"{', '.join(sorted({name for name, _ in wrong}))} changed since it was written")
        return waiting


def keep(
    folder: Path, spec: RecordedSpec, run: RunWriter, *, losses: dict[str, list[float]], metrics: Mapping[str, float]
) -> None:
    """Write the list of results; the files are in `RESULTS_FOLDER` already.

    Raises:
        OSError: the list cannot be written.
    """
    Waiting(
        run_id=run.run_id,
        server=_server(),
        spec=spec,
        git=git_state(),
        losses=losses,
        metrics=dict(metrics),
        files=_hashes(folder / RESULTS_FOLDER),
    ).write(folder)


def deliver(folder: Path, site: Site = THIS_MACHINE) -> Waiting | None:
    """Store the results waiting in a work folder, then remove the folder; None if nothing is waiting.

    Damaged results are reported and not stored: the job continues from its last checkpoint.

    Raises:
        StoreError: the store cannot be used; the results keep waiting.
    """
    with _alone(folder, site) as there:
        if not there:
            return None
        try:
            waiting = Waiting.read(folder)
        except ValueError as error:
            say(f"{folder.name}: its results are not stored but made again: {error}")
            (folder / LIST_FILE).unlink()
            return None
        run = reopen_run(waiting.run_id)
        if run is None:  # the run or the whole store was deleted
            run = start_run(waiting.spec, git=waiting.git)
            waiting.run_id = run.run_id
            waiting.write(folder)
        run.send_once({loss(dataset): values for dataset, values in waiting.losses.items()})
        run.send_once({name: [value] for name, value in waiting.metrics.items()})
        run.log_artifacts(folder / RESULTS_FOLDER, waiting.files)
        run.finish("FINISHED")
        remove(folder)
        return waiting


def deliver_all(site: Site = THIS_MACHINE) -> None:
    """Store all results waiting at a site, whichever command left them, with a message for each.

    Raises:
        StoreError: results are waiting, and the store cannot be used.
    """
    work = site.work
    for left in work.glob(f"{_DONE}*"):
        shutil.rmtree(left, ignore_errors=True)
    for file in sorted(work.glob(f"*/{LIST_FILE}")):
        if not _is_for(file, _server()):
            continue
        try:
            delivered = deliver(file.parent, site)
        except StoreError:
            say(f"the results in {file.parent} still wait for the store")
            raise
        if delivered is not None:
            site.forget((delivered.spec.hash, delivered.spec.seed))
            say(f"{delivered.title}: its results waited in {file.parent}, run {delivered.run_id} has them now")


def remove(folder: Path) -> None:
    """Remove a work folder. It is renamed first, so that a process killed here leaves no half-removed folder."""
    done = folder.with_name(f"{_DONE}{folder.name}")
    shutil.rmtree(done, ignore_errors=True)
    try:
        os.replace(folder, done)
    except FileNotFoundError:
        return
    shutil.rmtree(done, ignore_errors=True)  # the next command removes the rest; all of it is stored


@contextmanager
def _alone(folder: Path, site: Site) -> Iterator[bool]:
    """Hold the lock of a folder; False if no results are waiting in it, or no longer."""
    if not (folder / LIST_FILE).is_file():
        yield False
        return
    lock = site.lock(folder / _LOCK_FILE)
    try:
        lock.acquire()
    except FileNotFoundError:  # the process that held it has stored everything and removed the folder
        yield False
        return
    try:
        yield (folder / LIST_FILE).is_file()
    finally:
        lock.release()


def _is_for(file: Path, server: str | None) -> bool:
    """Whether a list is for this server; results for all servers wait in one folder."""
    try:
        return bool(_read_list(file).get("server") == server)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return True  # reading it will report the error


def _read_list(file: Path) -> dict[str, Any]:
    """Read a list and compare it with its hash; lists of older versions have none.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: it has changed, or is not a list of results.
    """
    said = json.loads(file.read_bytes())
    if "list" not in said:
        return dict(said)
    if said["sha256"] != text_hash(dumps(said["list"])):
        raise ValueError("it is not what was written")
    return dict(said["list"])


def _server() -> str | None:
    store = locate()
    if store.file is not None:
        return None
    parts = urlsplit(store.uri)
    return f"{parts.hostname}:{parts.port}{parts.path}"


def _hashes(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): file_hash(file) for file in sorted(folder.rglob("*")) if file.is_file()
    }
