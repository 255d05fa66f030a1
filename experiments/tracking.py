"""The only writer to MLflow: one run of one spec, its tags, params, metrics and files.

Metrics are buffered and sent in batches, so that nothing here takes time inside a timed step. What MLflow would change
on the way in never reaches it: NaN and infinity become a tag, a param that it would cut is replaced by its hash.
"""

import hashlib
import json
import math
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from experiments.record import COMPONENTS, CONFIG_DIR, HOST, ROOT, SPEC_FILE
from experiments.store import (
    Store,
    StoreError,
    errors,
    locate,
    open_for_writing,
    patiently,
    use_store,
    work_folder,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "Git",
    "RunWriter",
    "StoreError",
    "git_state",
    "make_store",
    "mark_killed",
    "open_finished",
    "reopen_run",
    "resume_run",
    "start_run",
    "use_store",
    "work_folder",
]

STATUSES = ("FINISHED", "FAILED", "KILLED")
UNKNOWN = "unknown"

# What MLflow takes in one request, and at most in one value: more is refused by a server, and cut without an error.
METRICS_A_BATCH = 1000
PARAMS_A_BATCH = 100
LONGEST_PARAM = 6000
LONGEST_TAG = 8000

T = TypeVar("T")


class Spec(Protocol):
    """What is recorded of a resolved spec."""

    @property
    def tree(self) -> dict[str, Any]: ...
    @property
    def scale(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def overrides(self) -> tuple[str, ...]: ...
    @property
    def hash(self) -> str: ...
    @property
    def train_hash(self) -> str: ...
    @property
    def baseline_hash(self) -> str: ...
    @property
    def config_dir(self) -> str | None: ...


@dataclass(frozen=True)
class Git:
    """The code that a run was made with; `unknown` where this is no checkout, or there is no git."""

    commit: str = UNKNOWN
    dirty: str = UNKNOWN  # "true" or "false"


def git_state(root: Path = ROOT) -> Git:
    """Commit and cleanness of the checkout at `root`."""

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


def start_run(spec: Spec, *, git: Git | None = None) -> "RunWriter":
    """A new run with all tags, params and the spec; its status is RUNNING until `finish`.

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
    }
    if spec.tree.get("components"):
        tags[COMPONENTS] = ",".join(spec.tree["components"])
    if spec.config_dir is not None:
        tags[CONFIG_DIR] = spec.config_dir
    store = locate()
    client, experiment = open_for_writing(store)
    title = f"{spec.name} {spec.scale} seed {spec.seed}"
    tags = {name: whole_or_hash(value, LONGEST_TAG) for name, value in tags.items()}
    run = patiently(store, lambda: client.create_run(experiment, tags=tags, run_name=title))
    writer = RunWriter(store, client, run.info.run_id, new=True)
    try:
        writer.log_params(flatten(spec.tree))
        writer.log_spec(spec.tree)
    except BaseException:
        with suppress(StoreError):
            writer.finish("FAILED")
        raise
    return writer


def resume_run(run_id: str, *, step: int | None = None) -> "RunWriter | None":
    """Reopen a stopped run, noting the step it goes on from; None where the run is not in the store any more.

    Raises:
        StoreError: the store cannot be used.
    """
    writer = reopen_run(run_id)
    if writer is None:
        return None
    writer.mark_running()
    writer.set_tag(HOST, socket.gethostname())
    if step is not None:
        writer.set_tag("resumed_at_step", str(step))
    return writer


def make_store() -> None:
    """Make the store and the experiment where they are not there yet.

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
        writer.finish("KILLED")


def open_finished(run_id: str) -> "RunWriter":
    """Write more about a run that has ended, such as its timing pass; its status and when it ended stay as they are.

    Raises:
        StoreError: the store cannot be used, or the run is not in it any more.
    """
    writer = reopen_run(run_id)
    if writer is None:
        raise StoreError(f"run {run_id} is not in the store any more", "start the command again: it makes a new run")
    return writer


def reopen_run(run_id: str) -> "RunWriter | None":
    """Write to a run and leave its status as it is; None where it is not in the store any more.

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
    return RunWriter(store, client, run_id, nonfinite=run.data.tags.get("nonfinite", "").split())


class RunWriter:
    """Writes to one run. Buffered metrics are sent by `flush` and by `finish`, never in between."""

    def __init__(
        self,
        store: Store,
        client: "MlflowClient",
        run_id: str,
        *,
        nonfinite: Sequence[str] = (),
        new: bool = False,
    ):
        self.run_id = run_id
        self._new = new
        self._steps: dict[str, set[int]] = {}  # by metric, those that `send_once` knows to be stored
        self._store = store
        self._client = client
        self._buffer: list[tuple[str, float, int, int]] = []  # metric, value, milliseconds, step
        self._nonfinite = dict.fromkeys(nonfinite)  # marks, in the order they came
        self._nonfinite_sent = len(self._nonfinite)

    def buffer(self, metric: str, value: float, step: int = 0) -> None:
        """Keep one number for the next `flush`; one that is not finite becomes `metric@step` in the tag `nonfinite`."""
        if math.isfinite(value):
            self._buffer.append((metric, float(value), int(time.time() * 1000), step))
        else:
            self._nonfinite[f"{metric}@{step}"] = None

    def flush(self) -> None:
        """Send what is buffered. What could not be sent stays buffered.

        Raises:
            StoreError: the store cannot be used.
        """
        from mlflow.entities import Metric

        while self._buffer:
            batch = [Metric(*entry) for entry in self._buffer[:METRICS_A_BATCH]]
            self._call(lambda metrics=batch: self._client.log_batch(self.run_id, metrics=metrics))  # type: ignore[misc]
            del self._buffer[: len(batch)]
        if len(self._nonfinite) > self._nonfinite_sent:
            self.set_tag("nonfinite", _listed(list(self._nonfinite)))
            self._nonfinite_sent = len(self._nonfinite)

    def send_once(self, metrics: Mapping[str, Sequence[float]]) -> None:
        """Send values of steps 0, 1, ... that the store does not have: each is stored once, whatever was cut off.

        Raises:
            StoreError: the store cannot be used; what it got of them is asked for at the next call.
        """
        try:
            for metric, values in metrics.items():
                if metric not in self._steps:
                    self._steps[metric] = set() if self._new else self._stored_steps(metric)
                for step in sorted(set(range(len(values))) - self._steps[metric]):
                    self.buffer(metric, values[step], step)
            self.flush()
        except BaseException:
            self._buffer.clear()
            self._steps.clear()
            self._new = False
            raise
        for metric, values in metrics.items():
            self._steps[metric].update(range(len(values)))

    def _stored_steps(self, metric: str) -> set[int]:
        return {one.step for one in self._call(lambda: self._client.get_metric_history(self.run_id, metric))}

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Send these and what is buffered, now."""
        for metric, value in metrics.items():
            self.buffer(metric, value)
        self.flush()

    def log_params(self, params: Mapping[str, str]) -> None:
        """Send params; a value that MLflow would cut is stored as its hash: the whole is in the spec's file."""
        from mlflow.entities import Param

        entries = [Param(name, whole_or_hash(value, LONGEST_PARAM)) for name, value in params.items()]
        for start in range(0, len(entries), PARAMS_A_BATCH):
            batch = entries[start : start + PARAMS_A_BATCH]
            self._call(lambda some=batch: self._client.log_batch(self.run_id, params=some))  # type: ignore[misc]

    def log_spec(self, tree: dict[str, Any]) -> None:
        """Store the resolved spec as a file."""
        import yaml

        text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
        self._call(lambda: self._client.log_text(self.run_id, text, SPEC_FILE))

    def log_artifacts(self, folder: Path) -> None:
        """Store every file of a folder, under its path in that folder."""
        self._call(lambda: self._client.log_artifacts(self.run_id, str(folder)))

    def log_file(self, file: Path, folder: str = "") -> None:
        """Store one file, in a folder of the run's artifacts where one is named."""
        self._call(lambda: self._client.log_artifact(self.run_id, str(file), folder or None))

    def set_tag(self, name: str, value: str) -> None:
        """Set one tag."""
        self._call(lambda: self._client.set_tag(self.run_id, name, whole_or_hash(value, LONGEST_TAG)))

    def mark_running(self) -> None:
        """Show the run as running again."""
        self._call(lambda: self._client.update_run(self.run_id, status="RUNNING"))

    def finish(self, status: str) -> None:
        """Send what is buffered and end the run: FINISHED, FAILED or KILLED.

        Raises:
            StoreError: the store cannot be used; the run is still RUNNING in it.
        """
        assert status in STATUSES, status
        self.flush()
        end = self._end_time() if status == "FINISHED" else None
        self._call(lambda: self._client.set_terminated(self.run_id, status, end))

    def _end_time(self) -> int:
        """Milliseconds since 1970, but later than of any finished run: the newest is last, whatever the clock did."""
        experiment = self._call(lambda: self._client.get_run(self.run_id)).info.experiment_id
        last = self._call(
            lambda: self._client.search_runs(
                [experiment], "attributes.status = 'FINISHED'", max_results=1, order_by=["attributes.end_time DESC"]
            )
        )
        return max([int(time.time() * 1000), *((run.info.end_time or 0) + 1 for run in last)])

    def _call(self, call: Callable[[], T]) -> T:
        return patiently(self._store, call)


def flatten(tree: Mapping[str, Any]) -> dict[str, str]:
    """A nested spec as dotted keys; strings as they are, other values as JSON (`true`, `null`, `0.1`, `["m3w"]`)."""

    def leaves(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
        for key, value in node.items():
            if isinstance(value, Mapping) and value:
                yield from leaves(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)

    return dict(leaves(tree, ""))


def whole_or_hash(value: str, longest: int) -> str:
    """The value, or where MLflow would cut it without an error, its length and hash."""
    if len(value) <= longest:
        return value
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()} of {len(value)} characters, whole in {SPEC_FILE}"


def _listed(marks: list[str]) -> str:
    """As many as a tag holds, then how many more."""
    text = " ".join(marks)
    if len(text) <= LONGEST_TAG:
        return text
    kept = text[: LONGEST_TAG - 40].rsplit(" ", 1)[0]
    return f"{kept} and_{len(marks) - len(kept.split())}_more"
