"""SIGKILL anywhere: the same command goes on, and ends as if nothing had been."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.analysis import results
from experiments.store import URI_VARIABLE
from tests.reliability.stored import Stored, assert_each_step_is_stored_once, assert_nothing_is_left
from tests.reliability.warm import WarmProcess

STEPS = 6
# Fractions of the calls that a command makes: half of them all along, half of them after training.
POINTS = [
    *(round(0.05 + 0.1 * place, 3) for place in range(10)),
    *(round(0.91 + 0.009 * place, 3) for place in range(10)),
]
COMMAND = (
    "scale=tiny",
    f"train.steps={STEPS}",
    "train.checkpoint_every=2",
    "data.world.queries=18",
    "eval.max_new_tokens=2",
    "compare=false",
)


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmProcess]:
    process = WarmProcess(COMMAND)
    yield process
    process.close()


@pytest.fixture(scope="module")
def undisturbed(
    warm: WarmProcess, empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Stored, int]:
    """What the command ends with, and how many calls it makes."""
    store = tmp_path_factory.mktemp("undisturbed") / "mlflow.db"
    shutil.copy(empty_database, store)
    ended = warm.run(*COMMAND, store=store, kill_at=0)
    assert ended.code == 0, ended.err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(URI_VARIABLE, f"sqlite:///{store}")
        (run,) = results.runs()
        assert_each_step_is_stored_once(store, run.run_id, STEPS)
        assert_nothing_is_left(store)
        return Stored.of(run), ended.calls


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_ends_the_same(
    point: float, warm: WarmProcess, undisturbed: tuple[Stored, int], store_file: Path
) -> None:
    """Start-up, training, evaluation, storing, timing: same scores and weights, each step once, nothing left over."""
    expected, calls = undisturbed
    killed = warm.run(*COMMAND, store=store_file, kill_at=round(calls * point))
    assert killed.code == -signal.SIGKILL, killed
    print(killed.err[-300:])
    again = warm.run(*COMMAND, store=store_file)
    print(again.err)
    assert again.code == 0, again.err
    (run,) = results.runs()
    Stored.of(run).assert_equal(expected)
    assert_each_step_is_stored_once(store_file, run.run_id, STEPS)
    assert_nothing_is_left(store_file)
