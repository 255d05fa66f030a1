"""The only reader of stored runs: which there are, and their files. Imports no torch.

Of a sqlite file the tables themselves are read (`sqlite_runs`), of a server what MLflow answers.
"""

import atexit
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from experiments.store import artifacts, damage, sqlite_reader
from experiments.store.connection import exists, import_mlflow, open_for_reading
from experiments.store.digests import file_hash
from experiments.store.locate import Store, locate
from experiments.store.names import CERTIFICATE_FILE, DIGESTS, PREDICTION_COLUMNS, PREDICTIONS_FOLDER, loss
from experiments.store.patience import errors, patiently
from experiments.store.places import may_write
from experiments.store.stored_run import FINISHED, newest_first
from experiments.store.stored_run import StoredRun as StoredRun

if TYPE_CHECKING:
    import pandas as pd

PAGE = 1000  # runs asked for at once


def runs(*, status: str | None = FINISHED, **tags: str) -> list[StoredRun]:
    """Stored runs with these tags, the newest first: the one that ended last.

    One that cannot be what was stored is told of and left out: it counts as not stored.

    Raises:
        StoreError: the store is there and cannot be read.
    """
    store = locate()
    found = _from_tables(store, status, tags)
    if found is None:
        found = _from_mlflow(store, status, tags)
    sound = []
    for run in found:
        reason = damage.fault(run)
        if reason is None:
            sound.append(run)
        else:
            damage.left_out(run, store.shown_uri if store.file is None else str(store.file), reason)
    return newest_first(sound)


def run_ids() -> set[str] | None:
    """Runs of the store that are not deleted; None where only reading all of them would tell."""
    store = locate()
    if store.file is None or not exists(store):
        return None
    with errors(store):
        return sqlite_reader.run_ids(store.file)


def find_finished(spec_hash: str, seed: int, **tags: str) -> StoredRun | None:
    """The newest finished run of a job, that has these further tags.

    A row's key given as an override makes the same spec under another name: ask for `ablation` to tell them apart.
    """
    return next(filter(is_whole, runs(spec_hash=spec_hash, seed=str(seed), **tags)), None)


def finished_jobs(scales: Iterable[str]) -> dict[tuple[str, int, str, str], StoredRun]:
    """The newest finished run of every job of these scales, by spec hash, seed, row and baseline hash.

    A row that sets what was edited in the baseline is the same spec, of another baseline: no table takes the old run.
    """
    newest: dict[tuple[str, int, str, str], StoredRun] = {}
    wanted = set(scales)
    for run in runs():  # all of them: of one that is damaged, its scale may be what is
        if run.tags["scale"] in wanted:
            newest.setdefault((*run.job, run.row, run.baseline_hash), run)
    return newest


def find_trained(train_hash: str, seed: int) -> list[StoredRun]:
    """The finished runs whose training was the same, however they were evaluated, the newest first."""
    return runs(train_hash=train_hash, seed=str(seed))


def is_whole(run: StoredRun) -> bool:
    """Whether what a run says of its spec can be read and is what was stored; one of which it is not is told of."""
    try:
        len(run.params)
    except damage.Damaged as error:
        damage.tell(f"{error}; it counts as not stored\nhint: the command of its row makes it again")
        return False
    return True


def losses(run: StoredRun) -> dict[str, list[float]]:
    """A run's training losses by data set, one a step."""
    store = locate()
    opened = open_for_reading(store)
    assert opened is not None, "a run was read from this store"
    client, _ = opened
    prefix = loss("")
    with errors(store):
        return {
            metric.removeprefix(prefix): [
                entry.value
                for entry in sorted(client.get_metric_history(run.run_id, metric), key=lambda entry: entry.step)
            ]
            for metric in run.metrics
            if metric.startswith(prefix)
        }


def artifact(run: StoredRun, path: str) -> Path | None:
    """A file of a run on this machine, fetched from the server where it is not here; None where it is not stored.

    Raises:
        Damaged: it is not what was stored.
    """
    digests = damage.digests_of(run.tags)
    expected = None if digests is None else digests.files.get(path)
    file = _find(run, path)
    if expected is None or file is None:
        if expected is not None:
            damage.not_there(run, path, "is not there any more")
        return file
    if _hash_of(file) in expected:
        return file
    if _local_folder(locate(), run) is None:
        file.unlink()  # our own copy of a server's file
        file = _find(run, path)
    # another command may have added to the run since it was read
    if file is None or _hash_of(file) not in [*expected, *_expected_now(run, path)]:
        raise _not_as_stored(run, path, file)
    return file


def intact(run: StoredRun, path: str) -> Path | None:
    """A file of a run; None where it is not stored, or is not what was stored, which is told of."""
    try:
        return artifact(run, path)
    except damage.Damaged as error:
        damage.tell(f"{error}; it counts as not there\nhint: {damage.makes_again(run, stored=True)}")
        return None


def _hash_of(file: Path) -> str | None:
    """The sha256 of a file; None where it cannot be read."""
    try:
        return file_hash(file)
    except OSError:
        return None


def _expected_now(run: StoredRun, path: str) -> list[str]:
    """What a run says by now of one of its files."""
    again = runs(status=None, spec_hash=run.spec_hash, seed=str(run.seed))
    fresh = next((one for one in again if one.run_id == run.run_id), None)
    digests = None if fresh is None else damage.digests_of(fresh.tags)
    return [] if digests is None else digests.files.get(path, [])


def _not_as_stored(run: StoredRun, path: str, file: Path | None) -> damage.Damaged:
    return damage.Damaged(f"{path} of run {run.run_id} cannot be read: it is not what was stored ({file})")


def _find(run: StoredRun, path: str) -> Path | None:
    store = locate()
    folder = _local_folder(store, run)
    if folder is None:
        return _download(store, run, path)
    return folder / path if (folder / path).is_file() else None


def stamps(run: StoredRun, paths: Iterable[str]) -> list[list[int] | str | None]:
    """What changes when files of a run do; None for one that is not stored. A server's are taken not to change."""
    folder = _local_folder(locate(), run)

    def stamp(path: str) -> list[int] | str | None:
        with suppress(OSError):
            found = os.stat(f"{folder}/{path}")
            return [found.st_size, found.st_mtime_ns]
        return None

    return [stamp(path) if folder is not None else "remote" for path in paths]


def load_predictions(run: StoredRun, benchmark: str) -> "pd.DataFrame | None":
    """A run's answers on one benchmark, a row an example (`names.PREDICTION_COLUMNS`); None where none are stored.

    Raises:
        ValueError: the stored file lacks columns.
    """
    file = artifact(run, f"{PREDICTIONS_FOLDER}/{benchmark}.parquet")
    if file is None:
        return None
    import pandas as pd

    frame = pd.read_parquet(file)
    missing = [column for column in PREDICTION_COLUMNS if column not in frame.columns]
    if missing:
        raise ValueError(f"predictions of run {run.run_id} on {benchmark} lack {', '.join(missing)}")
    return frame


def certificate(run: StoredRun) -> dict[str, Any] | None:
    """What a run's parts hashed to; None where it is not stored, or damaged, which is told of."""
    file = intact(run, CERTIFICATE_FILE)
    if file is None:
        return None
    try:
        loaded: dict[str, Any] = json.loads(file.read_bytes())
        if not all(isinstance(loaded.get(group, {}), dict) for group in ("weights", "frozen", "environment")):
            raise ValueError("it holds no certificate")
    except (OSError, ValueError, AttributeError) as error:
        damage.not_there(run, CERTIFICATE_FILE, f"cannot be read: {damage.shown(error)}; it counts as not there")
        return None
    return loaded


def ceilings(run: StoredRun) -> dict[str, float]:
    """What Overall divides each score by at the run's scale, by metric.

    Raises:
        ValueError: one of them is no such number.
    """
    prefix = "eval.ceilings."
    found = {name.removeprefix(prefix): float(value) for name, value in run.params.items() if name.startswith(prefix)}
    for metric, ceiling in found.items():
        if not 0 < ceiling < damage.LARGEST:
            raise damage.Damaged(f"the ceiling of {metric} of run {run.run_id} cannot be read: it is {ceiling}")
    return found


def _from_tables(store: Store, status: str | None, tags: Mapping[str, str]) -> list[StoredRun] | None:
    """From a sqlite file; None for a server, or where the file's schema is not the one we know."""
    if store.file is None:
        return None
    with errors(store):
        if not exists(store):
            return []
        return sqlite_reader.read(store.file, status=status, tags=tags)


def _from_mlflow(store: Store, status: str | None, tags: Mapping[str, str]) -> list[StoredRun]:
    """From whatever MLflow can open, page by page."""
    if any("'" in value for value in tags.values()):
        return []  # no tag of ours has a quote in it, and MLflow's query language could not ask for one
    opened = open_for_reading(store)
    if opened is None:
        return []
    client, experiment = opened
    conditions = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
    if status is not None:
        conditions.append(f"attributes.status = '{status}'")
    found: list[StoredRun] = []
    token = None
    while True:
        page = patiently(
            store,
            lambda after=token: client.search_runs(  # type: ignore[misc]
                [experiment], filter_string=" and ".join(conditions), max_results=PAGE, page_token=after
            ),
        )
        found.extend(_stored(run) for run in page)
        token = page.token
        if not token:
            return found


def _stored(run: Any) -> StoredRun:
    return StoredRun(
        run_id=run.info.run_id,
        status=run.info.status,
        started=run.info.start_time or 0,
        ended=run.info.end_time or 0,
        artifact_uri=run.info.artifact_uri,
        tags=dict(run.data.tags),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        verified=DIGESTS in run.data.tags,
    )


def _local_folder(store: Store, run: StoredRun) -> Path | None:
    """Where a run's files lie on this machine; None where they are a server's."""
    recorded = artifacts.local_path(run.artifact_uri)
    if store.file is None or recorded is None:
        return recorded
    return artifacts.folder_of(store.places, run.run_id, recorded)


def _made(folder: Path) -> bool:
    """Make a folder; whether files can be kept in it."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        return may_write(folder)
    return False


@cache
def _until_the_end() -> Path:
    """Where files are fetched to that cannot be kept."""
    folder = TemporaryDirectory(prefix="flamingo-artifacts-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _download(store: Store, run: StoredRun, path: str) -> Path | None:
    if not run.run_id.isalnum():  # a server says it, and it becomes part of a path
        raise ValueError(f"`{run.run_id}` is no run's id")
    kept = store.places.artifacts / run.run_id / path
    if kept.is_file() and path != CERTIFICATE_FILE:  # which gets its comparison after the end; other files stay
        return kept
    mlflow = import_mlflow()
    with errors(store):
        client = mlflow.MlflowClient(tracking_uri=store.uri)
        parent = path.rpartition("/")[0]
        if path not in {entry.path for entry in client.list_artifacts(run.run_id, parent or None)}:
            return None
        if not _made(kept.parent):
            kept = _until_the_end() / run.run_id / path
            kept.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=kept.parent) as draft:  # a download that is cut off leaves no half of a file
            os.replace(client.download_artifacts(run.run_id, path, draft), kept)
        return kept
