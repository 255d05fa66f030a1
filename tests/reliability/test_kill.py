"""SIGKILL anywhere: the same command goes on, and ends as if nothing had been."""

import signal
from pathlib import Path

import pytest

from experiments.store import reader
from tests.reliability.stored import Stored, assert_each_step_is_stored_once, assert_nothing_is_left
from tests.reliability.warm import COMMAND, STEPS, Ended, WarmProcess

# Fractions of the calls that a command makes: half of them all along, half of them after training.
POINTS = [
    *(round(0.05 + 0.1 * place, 3) for place in range(10)),
    *(round(0.91 + 0.009 * place, 3) for place in range(10)),
]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_ends_the_same(
    point: float, warm: WarmProcess, undisturbed: tuple[Stored, Ended], store_file: Path
) -> None:
    """Start-up, training, evaluation, storing, timing: same scores and weights, each step once, nothing left over."""
    expected, ended = undisturbed
    killed = warm.run(*COMMAND, store=store_file, kill_at=round(ended.calls * point))
    assert killed.code == -signal.SIGKILL, killed
    again = warm.run(*COMMAND, store=store_file)
    assert again.code == 0, again.err
    (run,) = reader.runs()
    assert reader.runs(status="RUNNING") == []
    Stored.of(run).assert_equal(expected)
    assert_each_step_is_stored_once(store_file, run.run_id, STEPS)
    assert_nothing_is_left(store_file)
