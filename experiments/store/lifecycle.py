"""Starting, resuming and reopening runs in MLflow; all writes go through here."""

import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from shlex import quote
from typing import Any, Self

from experiments.common.checkout import ROOT
from experiments.store.connection import open_for_writing
from experiments.store.digests import ALGORITHM, Digests, text_hash
from experiments.store.error import StoreError
from experiments.store.locate import locate
from experiments.store.names import (
    BENCHMARKS,
    COMPONENTS,
    CONFIG_DIR,
    DIGESTS,
    HASHED,
    HOST,
    RESUMED,
    SPEC_FILE,
)
from experiments.store.patience import errors, patiently
from experiments.store.writer import LONGEST_TAG, RunWriter, flatten, spec_text, whole_or_hash

UNKNOWN = "unknown"


@dataclass(frozen=True)
class RecordedSpec:
    """The parts of a resolved spec that a run records, so that any later command can store the run."""

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
    def of(cls, spec: Any) -> Self:
        """The recorded part of a spec, which has an attribute of each name."""
        return cls(**{field.name: getattr(spec, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Git:
    """The code that made a run; `unknown` outside a checkout, or without git."""

    commit: str = UNKNOWN
    dirty: str = UNKNOWN  # "true" or "false"


def git_state(root: Path = ROOT) -> Git:
    """The commit of the checkout at `root`, and whether it is dirty."""

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        done.check_returncode()
        return done.stdout.strip()

    try:
        # A copy that lies inside some other repository was not made from that repository's commit.
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return Git()
        return Git(git("rev-parse", "HEAD"), "true" if git("status", "--porcelain") else "false")
    except (OSError, subprocess.SubprocessError):
        return Git()


def start_run(spec: RecordedSpec, *, git: Git | None = None) -> RunWriter:
    """Start a run with all its tags, its params and the spec; its status is RUNNING until `finish`.

    Raises:
        StoreError: the store cannot be used.
    """
    git = git or git_state()
    tags = {
        "ablation": spec.name,
        "group": spec.group,
        "scale": spec.scale,
        "seed": str(spec.seed),
        "overrides": " ".join(quote(word) if set(word) & set(" \t'\"\\") else word for word in spec.overrides),
        "spec_hash": spec.hash,
        "train_hash": spec.train_hash,
        "baseline_hash": spec.baseline_hash,
        "git_commit": git.commit,
        "dirty": git.dirty,
        HOST: socket.gethostname(),
        HASHED: ALGORITHM,
        DIGESTS: Digests(files={SPEC_FILE: [text_hash(spec_text(spec.tree))]}).text(),
    }
    if spec.tree.get("components"):
        tags[COMPONENTS] = ",".join(spec.tree["components"])
    if spec.config_dir is not None:
        tags[CONFIG_DIR] = spec.config_dir
    if spec.benchmarks is not None:
        tags[BENCHMARKS] = spec.benchmarks
    store = locate()
    client, experiment = open_for_writing(store)
    title = f"{spec.name} {spec.scale} seed {spec.seed}"
    tags = {name: whole_or_hash(value, LONGEST_TAG) for name, value in tags.items()}
    run = patiently(store, lambda: client.create_run(experiment, tags=tags, run_name=title))
    writer = RunWriter(store, client, run.info.run_id, digests=tags[DIGESTS], new=True)
    try:
        writer.log_params(flatten(spec.tree))
        writer.log_spec(spec.tree)
    except BaseException:
        with suppress(StoreError):
            writer.finish("FAILED")
        raise
    return writer


def resume_run(run_id: str, *, step: int | None = None) -> RunWriter | None:
    """Reopen a stopped run and record the step it resumes from; None if the run is no longer in the store.

    Raises:
        StoreError: the store cannot be used.
    """
    writer = reopen_run(run_id)
    if writer is None:
        return None
    writer.mark_running()
    writer.set_tag(HOST, socket.gethostname())
    if step is not None:
        writer.set_tag(RESUMED, str(step))
    return writer


def make_store() -> None:
    """Create the store and the experiment if they do not exist.

    Raises:
        StoreError: the store cannot be used; nothing is written.
    """
    open_for_writing(locate())


def mark_killed(run_id: str) -> None:
    """End a run whose process is gone.

    Raises:
        StoreError: the store cannot be used.
    """
    writer = reopen_run(run_id)
    if writer is not None:
        writer.end_unfinished("KILLED")


def open_finished(run_id: str) -> RunWriter:
    """Open a run that has ended, to add to it, such as its timing pass; its status and its end stay as they are.

    Raises:
        StoreError: the store cannot be used, or the run is no longer in it.
    """
    writer = reopen_run(run_id)
    if writer is None:
        raise StoreError(f"run {run_id} is not in the store any more", "start the command again: it makes a new run")
    return writer


def reopen_run(run_id: str) -> RunWriter | None:
    """Open a run for writing, and leave its status as it is; None if it is no longer in the store.

    Raises:
        StoreError: the store cannot be used.
    """
    store = locate()
    client, _ = open_for_writing(store)
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        with errors(store):
            raise
    if run.info.lifecycle_stage != "active":
        return None
    tags = run.data.tags
    return RunWriter(
        store,
        client,
        run_id,
        nonfinite=tags.get("nonfinite", "").split(),
        digests=tags.get(DIGESTS),
        ended=run.info.status == "FINISHED",
    )
