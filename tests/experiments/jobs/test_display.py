"""The display of a table while it runs: the board tells of every job, lines are passed on as they are."""

import io

import pytest
from rich.console import Console

from experiments.common.progress import Progress, read_line
from experiments.jobs.attempt import Outcome
from experiments.jobs.display import Board, Lines, make_display
from experiments.jobs.executor import Failure
from tests.experiments.jobs.executor_contract import jobs


@pytest.fixture
def board():
    """A board of three jobs, and what stands on it."""
    console = Console(file=io.StringIO(), width=100, force_terminal=True, highlight=False, color_system=None)
    shown = Board(jobs(3), console)

    def text() -> str:
        with console.capture() as capture:
            console.print(shown._progress)
        return capture.get()

    with shown:
        yield shown, text, console.file


def test_a_line_of_progress_is_read_back(capsys):
    """Whatever is printed where there is no terminal can be shown where there is one."""
    with Progress("evaluating baseline seed 0", 40, "query") as progress:
        progress.advance(", coco", by=40)
    readings = [read_line(line) for line in capsys.readouterr().err.splitlines()]
    assert (readings[-1].label, readings[-1].unit) == ("evaluating baseline seed 0", "query")
    assert (readings[-1].count, readings[-1].total) == (40, 40)
    assert read_line("error: query 1/2: no") is None


def test_the_board_counts_jobs_and_shows_those_that_run(board):
    """Bar, step, note and time left of a running job; how many run, wait, are done."""
    shown, text, _ = board
    first, second, _ = jobs(3)
    shown.started(first)
    shown.started(second)
    shown.said(first, "baseline seed 0: step 30/120, loss 1.500  00:10 gone, 00:30 left")
    shown.said(second, "evaluating baseline seed 1: query 7/9, coco  00:01 gone, 00:02 left")
    assert "baseline seed 0" in text()
    assert "step 30/120, loss 1.500, 00:30 left" in text()
    assert "baseline seed 1 evaluating" in text()
    assert "2 running, 1 waiting" in text()
    shown.done(first)
    assert "step 30/120" not in text()
    assert "1 running, 1 waiting, 1 done" in text()


def test_failures_are_told_above_the_board(board):
    """With the reason and the last lines, as text: brackets are no markup."""
    shown, text, printed = board
    (job, *_) = jobs(1)
    shown.started(job)
    shown.failed(Failure(job, Outcome("failed", "no [red]good"), ("last [bold]words",)), again=False)
    assert "error: baseline seed 0: no [red]good" in printed.getvalue()
    assert "| last [bold]words" in printed.getvalue()
    assert "1 failed" in text()


def test_without_a_terminal_lines_are_passed_on(capsys):
    """A log holds what the jobs said, in their order."""
    display = make_display(jobs(1), live=True)
    assert isinstance(display, Lines)
    display.said(jobs(1)[0], "baseline seed 0: step 1/2, loss 1.0  00:10 gone, 00:30 left")
    assert capsys.readouterr().err == "baseline seed 0: step 1/2, loss 1.0  00:10 gone, 00:30 left\n"
