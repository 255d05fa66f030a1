"""A real store for every test: its tables are made once a session and copied, which takes milliseconds."""

import gc
import json
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.evaluation.benchmark import published
from experiments.store.connection import import_mlflow
from experiments.store.lifecycle import Git, start_run
from experiments.store.names import CERTIFICATE_FILE, PREDICTIONS_FOLDER
from experiments.store.places import LOCKS_VARIABLE
from experiments.training import timing
from tests.experiments.stored_runs import COST_METRICS, GOOD, RATIO, FakeSpec, a_certificate, a_tree, answers, scored


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_sessionstart() -> None:
    """Nothing is collected while tests are imported, and commands that they start can be stopped by Ctrl-C.

    A shell that starts tests in the background of a script has it ignored, by them and by all that they start.
    """
    gc.disable()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What they imported stays: the garbage collector would look through all of it again and again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sqlite file with MLflow's tables and nothing of ours in it."""
    file = tmp_path_factory.mktemp("template") / "mlflow.db"
    import_mlflow().MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(scope="session", autouse=True)
def few_rounds() -> Iterator[None]:
    """Timing passes of commands in this process are short: how long a step takes is no test's question."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "ROUNDS", 2)
        yield


@pytest.fixture(scope="session", autouse=True)
def own_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each process of tests is a machine of its own: no timing pass waits for the jobs of another's tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LOCKS_VARIABLE, str(tmp_path_factory.mktemp("machine")))
        yield


@pytest.fixture
def store_file(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sqlite file that this test's store is, in a folder of its own."""
    file = tmp_path / "store" / "mlflow.db"
    file.parent.mkdir()
    shutil.copy(empty_database, file)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    return file


@pytest.fixture
def store_run(store_file: Path, tmp_path: Path) -> Callable[..., str]:
    """Write one run through `tracking` and return its id."""

    def write(
        name: str = "baseline",
        *,
        metrics: Mapping[str, float] | None = None,
        predictions: Mapping[str, pd.DataFrame] | None = None,
        certificate: dict[str, Any] | None = None,
        status: str | None = "FINISHED",
        **spec: Any,
    ) -> str:
        if name != "baseline":
            spec.setdefault("hash", f"{abs(hash(name)):016x}"[:16])
        spec.setdefault("tree", a_tree("every_4th" if "every_4th" in name else "every"))
        run = start_run(FakeSpec(name=name, **spec), git=Git("c" * 40, "false"))
        folder = tmp_path / "files" / run.run_id
        (folder / PREDICTIONS_FOLDER).mkdir(parents=True)
        for benchmark, frame in (predictions or {}).items():
            frame.to_parquet(folder / PREDICTIONS_FOLDER / f"{benchmark}.parquet")
        if certificate is not None:
            (folder / CERTIFICATE_FILE).write_text(json.dumps(certificate))
        run.log_artifacts(folder)
        run.log_metrics({**scored(predictions or {}), **(metrics or {})})
        if status is not None:
            run.finish(status)
        return run.run_id

    return write


@pytest.fixture
def store_row(store_run: Callable[..., str]) -> Callable[..., str]:
    """Write a finished run with all that a table reads of it."""

    def write(name: str = "baseline", scores: Sequence[float] = GOOD, *, broken_pair: bool = False, **spec: Any) -> str:
        certificate = a_certificate()
        certificate["prompts"] = "other prompts" if broken_pair else certificate["prompts"]
        metrics = COST_METRICS if name == "baseline" else {**COST_METRICS, **RATIO}
        predictions = {one.name: answers(list(scores), benchmark=one.name) for one in published()}
        return store_run(name, metrics=metrics, predictions=predictions, certificate=certificate, **spec)

    return write
