"""Results that wait: what a job measured, whole in its work folder until all of it is in the store.

A job that has been evaluated is never evaluated again because its store was lost, full, locked or out of reach. The
list of what waits is written last, with the hashes of the files: a folder without a list holds no results, and a file
that is not what was written is noticed. Storing may be cut off anywhere and begun again; each value is stored once.
"""

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from experiments.common.plain_json import dumps
from experiments.common.say import say
from experiments.jobs.site import THIS_MACHINE, Site
from experiments.store.digests import file_hash, text_hash
from experiments.store.error import StoreError
from experiments.store.lifecycle import Git, Spec, git_state, reopen_run, start_run
from experiments.store.locate import locate
from experiments.store.names import loss
from experiments.store.writer import RunWriter

LIST_FILE = "waiting.json"
RESULTS_FOLDER = "results"  # beside the list: what is stored as the run's files
_LOCK_FILE = "waiting.lock"
_DONE = ".done-"  # before the name of a folder that is being removed


@dataclass(frozen=True)
class RecordedSpec:
    """What a run says of its spec, so that it can be stored by a process that was asked for something else."""

    tree: dict[str, Any]
    scale: str
    name: str
    group: str
    seed: int
    overrides: tuple[str, ...]
    hash: str
    train_hash: str
    baseline_hash: str
    config_dir: str | None
    benchmarks: str | None = None  # which a list by older code does not have

    @classmethod
    def of(cls, spec: Spec) -> "RecordedSpec":
        """The recorded part of a spec."""
        return cls(**{field.name: getattr(spec, field.name) for field in fields(cls)})


@dataclass(kw_only=True)
class Waiting:
    """The list: what there is to store, and in which run."""

    run_id: str
    server: str | None  # address of the server it is for; None for a file, whose work folder lies beside it
    spec: RecordedSpec
    git: Git
    losses: dict[str, list[float]]  # by data set, one a step
    metrics: dict[str, float]
    files: dict[str, str]  # sha256 by path below the results

    @property
    def title(self) -> str:
        """As it is called in what is printed."""
        return f"{self.spec.name} seed {self.spec.seed}"

    def write(self, folder: Path) -> None:
        """Whole or not at all."""
        from flamingo_core.whole_file import write_whole

        said = asdict(self)
        write_whole(folder / LIST_FILE, dumps({"sha256": text_hash(dumps(said)), "list": said}).encode())

    @classmethod
    def read(cls, folder: Path) -> "Waiting":
        """The list, and every file of it compared with its hash.

        Raises:
            ValueError: it cannot be read, or a file is not what was written.
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
    folder: Path, spec: Spec, run: RunWriter, *, losses: dict[str, list[float]], metrics: Mapping[str, float]
) -> None:
    """Write the list of what was measured; the run's files are in `RESULTS_FOLDER` already.

    Raises:
        OSError: it cannot be written.
    """
    Waiting(
        run_id=run.run_id,
        server=_server(),
        spec=RecordedSpec.of(spec),
        git=git_state(),
        losses=losses,
        metrics=dict(metrics),
        files=_hashes(folder / RESULTS_FOLDER),
    ).write(folder)


def deliver(folder: Path, site: Site = THIS_MACHINE) -> Waiting | None:
    """Store what waits in a work folder, and remove the folder; None where nothing waits there.

    Results that were damaged meanwhile are told of and not stored: the job goes on from its last checkpoint.

    Raises:
        StoreError: the store cannot be used; what waits still does.
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
        if run is None:  # it was deleted, or the whole store was
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
    """Store what waits beside this store, whichever command it was left by, and say so.

    Raises:
        StoreError: something waits, and the store cannot be used.
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
    """Remove a work folder: at once under its name, so that one killed here leaves no half of it there."""
    done = folder.with_name(f"{_DONE}{folder.name}")
    shutil.rmtree(done, ignore_errors=True)
    try:
        os.replace(folder, done)
    except FileNotFoundError:
        return
    shutil.rmtree(done, ignore_errors=True)  # what is left goes with the next command; all of it is stored


@contextmanager
def _alone(folder: Path, site: Site) -> Iterator[bool]:
    """Hold the lock of a folder; False where nothing waits in it, maybe not any more."""
    if not (folder / LIST_FILE).is_file():
        yield False
        return
    lock = site.lock(folder / _LOCK_FILE)
    try:
        lock.acquire()
    except FileNotFoundError:  # whoever had it has stored everything and removed the folder
        yield False
        return
    try:
        yield (folder / LIST_FILE).is_file()
    finally:
        lock.release()


def _is_for(file: Path, server: str | None) -> bool:
    """Work for all servers lies in one folder: what waits for another one goes on waiting."""
    try:
        return bool(_read_list(file).get("server") == server)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return True  # whoever reads it says so


def _read_list(file: Path) -> dict[str, Any]:
    """What a list says, compared with its hash; one that was written before there was one has none.

    Raises:
        ValueError: it is not what was written, or no list.
        LookupError, TypeError, AttributeError: so too.
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
