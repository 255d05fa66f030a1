"""Writing to one run in MLflow: metrics, params, tags, files.

Metrics are buffered and sent in batches, so that nothing here takes time inside a timed step. MLflow never receives a
value that it would change: NaN and infinity become a tag, and a param that it would cut is replaced by its hash.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from experiments.store import artifacts
from experiments.store.digests import ALGORITHM, Digests, file_hash, metrics_digest, params_hash, tags_hash
from experiments.store.locate import Store
from experiments.store.names import DIGESTS, HASHED, SPEC_FILE
from experiments.store.patience import alone, patiently

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

STATUSES = ("FINISHED", "FAILED", "KILLED")

# Limits of MLflow for one request and for one value: a server refuses more, or silently cuts it.
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
        digests: str | None = None,
        new: bool = False,
        ended: bool = False,
    ):
        """`digests` is the tag with the hashes of the run's files so far; `ended`: the run is finished already."""
        self.run_id = run_id
        self._new = new
        self._ended = ended
        self._digests = _read_digests(digests) or Digests()
        self._steps: dict[str, set[int]] = {}  # by metric, steps that `send_once` knows to be stored
        self._store = store
        self._client = client
        self._buffer: list[tuple[str, float, int, int]] = []  # metric, value, milliseconds, step
        self._nonfinite = dict.fromkeys(nonfinite)  # marks, in order of arrival
        self._nonfinite_sent = len(self._nonfinite)

    def buffer(self, metric: str, value: float, step: int = 0) -> None:
        """Buffer one number for the next `flush`; NaN or infinity becomes `metric@step` in the tag `nonfinite`."""
        if math.isfinite(value):
            self._buffer.append((metric, float(value), int(time.time() * 1000), step))
        else:
            self._nonfinite[f"{metric}@{step}"] = None

    def flush(self) -> None:
        """Send the buffered metrics; those that could not be sent stay buffered.

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
        """Send the values of steps 0, 1, ... that are not stored yet: each is stored once, despite interruptions.

        Raises:
            StoreError: the store cannot be used; the next call asks which values it has received.
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
        """Send these metrics and the buffered ones now."""
        with self._recorded(metrics=metrics):
            for metric, value in metrics.items():
                self.buffer(metric, value)
            self.flush()

    def log_params(self, params: Mapping[str, str]) -> None:
        """Send params; a value that MLflow would cut is replaced by its hash, and is complete in the spec's file."""
        from mlflow.entities import Param

        entries = [Param(name, whole_or_hash(value, LONGEST_PARAM)) for name, value in params.items()]
        for start in range(0, len(entries), PARAMS_A_BATCH):
            batch = entries[start : start + PARAMS_A_BATCH]
            self._call(lambda some=batch: self._client.log_batch(self.run_id, params=some))  # type: ignore[misc]

    def log_spec(self, tree: dict[str, Any]) -> None:
        """Store the resolved spec as a file."""
        with TemporaryDirectory() as folder:
            file = Path(folder, SPEC_FILE)
            file.write_text(spec_text(tree), encoding="utf-8")
            self.log_file(file)

    def log_artifacts(self, folder: Path, paths: Iterable[str] | None = None) -> None:
        """Store files of a folder, by default all, under their paths in that folder.

        One by one: MLflow's own walk silently skips a folder that it cannot list.
        """
        if paths is None:
            paths = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
        hashes = {path: file_hash(folder / path) for path in sorted(paths)}
        with self._recorded(files=hashes):
            repository = self._call(self._files)
            for path in hashes:
                parent = path.rpartition("/")[0] or None
                self._call(lambda file=folder / path, to=parent: repository.log_artifact(str(file), to))  # type: ignore[misc]

    def log_file(self, file: Path, folder: str = "") -> None:
        """Store one file, in the named folder of the run's artifacts."""
        with self._recorded(files={f"{folder}/{file.name}".lstrip("/"): file_hash(file)}):
            self._call(lambda: self._files().log_artifact(str(file), folder or None))

    def set_tag(self, name: str, value: str) -> None:
        """Set one tag."""
        self._call(lambda: self._client.set_tag(self.run_id, name, whole_or_hash(value, LONGEST_TAG)))

    def mark_running(self) -> None:
        """Set the status back to RUNNING."""
        self._call(lambda: self._client.update_run(self.run_id, status="RUNNING"))

    def finish(self, status: str) -> None:
        """Send buffered metrics and end the run as FINISHED, FAILED or KILLED.

        Raises:
            StoreError: the store cannot be used; the run is still RUNNING in it.
        """
        assert status in STATUSES, status
        self.flush()
        end = None
        if status == "FINISHED":
            run = self._call(lambda: self._client.get_run(self.run_id))
            end = self._end_time(run.info.experiment_id)
            self._seal(run, end)
        self._call(lambda: self._client.set_terminated(self.run_id, status, end))

    def end_unfinished(self, status: str) -> None:
        """End the run as FAILED or KILLED, unless it has finished: then the error came after it.

        Raises:
            StoreError: the store cannot be used.
        """
        if self._call(lambda: self._client.get_run(self.run_id)).info.status != "FINISHED":
            self.finish(status)

    def _seal(self, run: "Run", end: int) -> None:
        """Record the hashes of the run as it is in the store; readers compare it with them."""
        digests = self._digests
        digests.metrics = [metrics_digest(run.data.metrics)]
        digests.tags, digests.params = [tags_hash(run.data.tags)], [params_hash(run.data.params)]
        digests.times = [run.info.start_time, end]
        self._write(digests)

    @contextmanager
    def _recorded(
        self, *, files: Mapping[str, str] = MappingProxyType({}), metrics: Mapping[str, float] = MappingProxyType({})
    ) -> Iterator[None]:
        """Context for a write whose content is added to the run's hashes.

        The hashes of a run that has ended are in the store. New ones are announced there before the write, one process
        at a time, and replace the old ones after it. A run without hashes, or a damaged one, gets none.
        """
        if not self._ended:
            self._digests.files |= {path: [digest] for path, digest in files.items()}
            yield
            return
        with alone(self._store):
            run = self._call(lambda: self._client.get_run(self.run_id))
            digests = _read_digests(run.data.tags.get(DIGESTS))
            if digests is None or digests.what_differs(tags=run.data.tags, metrics=run.data.metrics) is not None:
                yield
                return
            names = {name for names, _ in digests.metrics for name in names.split()}
            named = {name: value for name, value in run.data.metrics.items() if name in names}
            finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
            before = digests.metrics, digests.files
            after = [metrics_digest({**named, **finite})], {path: [digest] for path, digest in files.items()}
            digests.metrics = [*before[0], *after[0]]
            digests.files = {**before[1], **{path: [*before[1].get(path, []), *new] for path, new in after[1].items()}}
            self._write(digests)
            yield
            digests.metrics, digests.files = after[0], {**before[1], **after[1]}
            self._write(digests)

    def _write(self, digests: Digests) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(HASHED, ALGORITHM), RunTag(DIGESTS, digests.text())]  # 3,000 characters of the 8,000 there are
        self._call(lambda: self._client.log_batch(self.run_id, tags=tags))

    def _end_time(self, experiment: str) -> int:
        """Milliseconds since 1970, later than any finished run, so that a clock set back does not change the order."""
        last = self._call(
            lambda: self._client.search_runs(
                [experiment], "attributes.status = 'FINISHED'", max_results=1, order_by=["attributes.end_time DESC"]
            )
        )
        return max([int(time.time() * 1000), *((run.info.end_time or 0) + 1 for run in last)])

    def _files(self) -> "ArtifactRepository":
        """The repository of the run's files; for a sqlite store beside it, wherever it was when the run started."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        uri = self._client.get_run(self.run_id).info.artifact_uri
        if self._store.file is not None:
            uri = artifacts.home_of(self._store.file, self._store.places, self.run_id, uri)
        return get_artifact_repository(uri, tracking_uri=self._store.uri)

    def _call(self, call: Callable[[], T]) -> T:
        return patiently(self._store, call)


def flatten(tree: Mapping[str, Any]) -> dict[str, str]:
    """A nested spec as dotted keys; strings unchanged, other values as JSON (`true`, `null`, `0.1`, `["m3w"]`)."""

    def leaves(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
        for key, value in node.items():
            if isinstance(value, Mapping) and value:
                yield from leaves(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)

    return dict(leaves(tree, ""))


def spec_text(tree: Mapping[str, Any]) -> str:
    """A resolved spec as YAML, as it is stored."""
    import yaml

    return yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True)


def _read_digests(text: str | None) -> Digests | None:
    """Parse a run's hashes; None if it has none, or they are damaged."""
    try:
        return None if text is None else Digests.read(text)
    except (ValueError, TypeError):
        return None


def whole_or_hash(value: str, longest: int) -> str:
    """The value, or its length and hash if MLflow would cut it silently."""
    if len(value) <= longest:
        return value
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()} of {len(value)} characters, whole in {SPEC_FILE}"


def _listed(marks: list[str]) -> str:
    """As many marks as a tag can hold, then the number of further ones."""
    text = " ".join(marks)
    if len(text) <= LONGEST_TAG:
        return text
    kept = text[: LONGEST_TAG - 40].rsplit(" ", 1)[0]
    return f"{kept} and_{len(marks) - len(kept.split())}_more"
