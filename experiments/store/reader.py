"""The only reader of stored runs and their files. Imports no torch.

A sqlite file is read through its tables (`sqlite_reader`), a server through MLflow.
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

PAGE = 1000  # runs per request


def runs(*, status: str | None = FINISHED, **tags: str) -> list[StoredRun]:
    """Stored runs with these tags, newest first, by their ends.

    A damaged run is reported and left out: it counts as not stored.

    Raises:
        StoreError: the store exists and cannot be read.
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
    """Ids of all runs that are not deleted; None if they cannot be listed without reading the runs."""
    store = locate()
    if store.file is None or not exists(store):
        return None
    with errors(store):
        return sqlite_reader.run_ids(store.file)


def find_finished(spec_hash: str, seed: int, **tags: str) -> StoredRun | None:
    """The newest finished run of a job with these further tags; None if there is none.

    A row's key given as an override makes the same spec under another name: pass `ablation` to tell them apart.
    """
    return next(filter(is_whole, runs(spec_hash=spec_hash, seed=str(seed), **tags)), None)


def finished_jobs(scales: Iterable[str]) -> dict[tuple[str, int, str, str], StoredRun]:
    """The newest finished run of every job of these scales, by spec hash, seed, row and baseline hash.

    After an edit of the baseline, a row that sets the edited key is the same spec with another baseline hash, and no
    table takes its old run.
    """
    newest: dict[tuple[str, int, str, str], StoredRun] = {}
    wanted = set(scales)
    for run in runs():  # all of them, because the damaged tag of a run may be its scale
        if run.tags["scale"] in wanted:
            newest.setdefault((*run.job, run.row, run.baseline_hash), run)
    return newest


def find_trained(train_hash: str, seed: int) -> list[StoredRun]:
    """Finished runs with the same training, however evaluated, newest first."""
    return runs(train_hash=train_hash, seed=str(seed))


def is_whole(run: StoredRun) -> bool:
    """Whether the params of a run are what was stored; a run with damaged params is reported."""
    try:
        len(run.params)
    except damage.Damaged as error:
        damage.tell(f"{error}; it counts as not stored\nhint: the command of its row makes it again")
        return False
    return True


def losses(run: StoredRun) -> dict[str, list[float]]:
    """A run's training losses by data set, one per step."""
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
    """A file of a run, downloaded from the server if necessary; None if it is not stored.

    Raises:
        Damaged: the file is not what was stored.
    """
    digests = damage.digests_of(run.tags)
    expected = None if digests is None else digests.files.get(path)
    file = _find(run, path)
    if expected is None or file is None:
        if expected is not None:
            damage.not_there(run, path, "is missing")
        return file
    if _hash_of(file) in expected:
        return file
    if _local_folder(locate(), run) is None:
        file.unlink()  # our copy of a server's file
        file = _find(run, path)
    # another command may have added to the run since its tags were read
    if file is None or _hash_of(file) not in [*expected, *_expected_now(run, path)]:
        raise _not_as_stored(run, path, file)
    return file


def intact(run: StoredRun, path: str) -> Path | None:
    """A file of a run; None if it is not stored, or is damaged, which is reported."""
    try:
        return artifact(run, path)
    except damage.Damaged as error:
        damage.tell(f"{error}; it counts as missing\nhint: {damage.makes_again(run, stored=True)}")
        return None


def _hash_of(file: Path) -> str | None:
    """The sha256 of a file; None if it cannot be read."""
    try:
        return file_hash(file)
    except OSError:
        return None


def _expected_now(run: StoredRun, path: str) -> list[str]:
    """The hashes that a run has now for one of its files."""
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
    """Stamps that change when files of a run do; None for a missing file. A server's files count as constant."""
    folder = _local_folder(locate(), run)

    def stamp(path: str) -> list[int] | str | None:
        with suppress(OSError):
            found = os.stat(f"{folder}/{path}")
            return [found.st_size, found.st_mtime_ns]
        return None

    return [stamp(path) if folder is not None else "remote" for path in paths]


def load_predictions(run: StoredRun, benchmark: str) -> "pd.DataFrame | None":
    """A run's answers on one benchmark, one row per example (`names.PREDICTION_COLUMNS`); None if not stored.

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
    """A run's certificate, the hashes of its parts; None if it is not stored, or is damaged, which is reported."""
    file = intact(run, CERTIFICATE_FILE)
    if file is None:
        return None
    try:
        loaded: dict[str, Any] = json.loads(file.read_bytes())
        if not all(isinstance(loaded.get(group, {}), dict) for group in ("weights", "frozen", "environment")):
            raise ValueError("it is not a certificate")
    except (OSError, ValueError, AttributeError) as error:
        damage.not_there(run, CERTIFICATE_FILE, f"cannot be read: {damage.shown(error)}; it counts as missing")
        return None
    return loaded


def ceilings(run: StoredRun) -> dict[str, float]:
    """The ceilings that Overall divides each score by at the run's scale, by metric.

    Raises:
        ValueError: a ceiling is not a positive number.
    """
    prefix = "eval.ceilings."
    found = {name.removeprefix(prefix): float(value) for name, value in run.params.items() if name.startswith(prefix)}
    for metric, ceiling in found.items():
        if not 0 < ceiling < damage.LARGEST:
            raise damage.Damaged(f"the ceiling of {metric} of run {run.run_id} cannot be read: it is {ceiling}")
    return found


def _from_tables(store: Store, status: str | None, tags: Mapping[str, str]) -> list[StoredRun] | None:
    """Read runs from a sqlite file; None for a server, or if the file's schema is unknown."""
    if store.file is None:
        return None
    with errors(store):
        if not exists(store):
            return []
        return sqlite_reader.read(store.file, status=status, tags=tags)


def _from_mlflow(store: Store, status: str | None, tags: Mapping[str, str]) -> list[StoredRun]:
    """Read runs through MLflow, page by page."""
    if any("'" in value for value in tags.values()):
        return []  # no tag of ours has a quote in it, and MLflow's query language cannot express one
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
    """The local folder of a run's files; None if they are on a server."""
    recorded = artifacts.local_path(run.artifact_uri)
    if store.file is None or recorded is None:
        return recorded
    return artifacts.folder_of(store.places, run.run_id, recorded)


def _made(folder: Path) -> bool:
    """Create a folder; returns whether files can be kept in it."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        return may_write(folder)
    return False


@cache
def _until_the_end() -> Path:
    """A temporary folder for downloads that cannot be kept."""
    folder = TemporaryDirectory(prefix="flamingo-artifacts-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _download(store: Store, run: StoredRun, path: str) -> Path | None:
    if not run.run_id.isalnum():  # it comes from a server and becomes part of a path
        raise ValueError(f"`{run.run_id}` is not the id of a run")
    kept = store.places.artifacts / run.run_id / path
    if kept.is_file() and path != CERTIFICATE_FILE:  # the certificate gets its comparison later; other files are final
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
        with TemporaryDirectory(dir=kept.parent) as draft:  # an interrupted download leaves no half of a file
            os.replace(client.download_artifacts(run.run_id, path, draft), kept)
        return kept
