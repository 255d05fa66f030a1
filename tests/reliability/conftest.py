"""One warm process a test worker, and what its command ends with when nothing happens."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.store import reader
from experiments.store.error import URI_VARIABLE
from tests.reliability.stored import Stored
from tests.reliability.warm import COMMAND, Ended, WarmProcess


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmProcess]:
    """A process that has done the command once."""
    process = WarmProcess()
    yield process
    process.close()


@pytest.fixture(scope="session")
def undisturbed(
    warm: WarmProcess, empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Stored, Ended]:
    """The runs that the command stores, and its exit code."""
    file = tmp_path_factory.mktemp("undisturbed") / "mlflow.db"
    shutil.copy(empty_database, file)
    ended = warm.run(*COMMAND, store=file, kill_at=0)
    assert ended.code == 0, ended.err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(URI_VARIABLE, f"sqlite:///{file}")
        (run,) = reader.runs()
        return Stored.of(run), ended


@pytest.fixture(scope="session")
def expected(undisturbed: tuple[Stored, Ended]) -> Stored:
    """The end of an undisturbed command, which every disturbed one must reach."""
    return undisturbed[0]
