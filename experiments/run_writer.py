"""Writes to one run in MLflow: metrics, params, tags, files.

Metrics are buffered and sent in batches, so that nothing here takes time inside a timed step. What MLflow would change
on the way in never reaches it: NaN and infinity become a tag, a param that it would cut is replaced by its hash.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from experiments import artifacts
from experiments.record import SPEC_FILE
from experiments.store import Store, patiently

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

STATUSES = ("FINISHED", "FAILED", "KILLED")

# What MLflow takes in one request, and at most in one value: more is refused by a server, and cut without an error.
METRICS_A_BATCH = 1000
PARAMS_A_BATCH = 100
LONGEST_PARAM = 6000
LONGEST_TAG = 8000

T = TypeVar("T")


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
        with TemporaryDirectory() as folder:
            file = Path(folder, SPEC_FILE)
            file.write_text(text, encoding="utf-8")
            self.log_file(file)

    def log_artifacts(self, folder: Path) -> None:
        """Store every file of a folder, under its path in that folder."""
        self._call(lambda: self._files().log_artifacts(str(folder)))

    def log_file(self, file: Path, folder: str = "") -> None:
        """Store one file, in a folder of the run's artifacts where one is named."""
        self._call(lambda: self._files().log_artifact(str(file), folder or None))

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

    def _files(self) -> "ArtifactRepository":
        """The run's files: of a sqlite store beside it, wherever it was when the run began."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        uri = self._client.get_run(self.run_id).info.artifact_uri
        if self._store.file is not None:
            uri = artifacts.home_of(self._store.file, self._store.places, self.run_id, uri)
        return get_artifact_repository(uri, tracking_uri=self._store.uri)

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
