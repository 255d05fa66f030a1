"""A format and a screen, as docs/components.md adds them: one file each in its folder, and no other edit."""

from pathlib import Path

import pytest

from dashboard import views
from experiments.analysis import formats
from experiments.command.cli import main
from experiments.report import report
from tests.dashboard.reading import page
from tests.docs.page import blocks, section
from tests.experiments.stored_runs import BAD
from tests.sockets.outside import lay, with_more

FILES = dict(blocks(section("A format or a screen")))
ROW = "xattn_every_4th"


def test_both_stand_where_they_are_looked_for():
    """The paths of the page are those of the folders."""
    folders = {Path(path).parent.as_posix() for path in FILES}
    assert folders == {"experiments/analysis/formats", "dashboard/views"}


@pytest.fixture
def laid(tmp_path):
    """The page's files, in folders that count as the repository's."""
    folder = lay(tmp_path / "page", FILES)
    with (
        with_more(formats, folder / "experiments" / "analysis" / "formats"),
        with_more(views, folder / "dashboard" / "views"),
    ):
        yield


def test_the_format_is_printed_and_in_the_help(laid, store_row, capsys):
    """Of a row that is stored its difference, of another the command; a wrong name is told of it."""
    store_row()
    store_row(ROW, BAD)
    assert main(report, ["scale=tiny", "--format", "lines"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines[ROW].startswith("-") and lines[ROW].endswith("] worse")
    assert lines["xattn_vanilla"].startswith("not stored yet: python -m experiments.run")
    assert main(report, ["--help"]) == 0
    assert "  lines  a line a row: the difference of Overall" in capsys.readouterr().out
    assert main(report, ["--format", "line"]) == 2
    assert "did you mean `lines`?" in capsys.readouterr().err


def test_the_screen_is_in_the_navigation_and_draws_itself(laid, tmp_path, monkeypatch):
    """By its title and address, behind the table; alone on a page it is the rows' costs beside the paper's."""
    assert [(view.title, view.url_path) for view in views.found()] == [("Table", "table"), ("Costs", "costs")]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/mlflow.db")
    monkeypatch.setattr(views, "found", lambda kept=views.found: kept()[1:])
    app = page()
    assert app.header[0].value == "What does each row cost?"
    costs = app.table[0].value
    assert costs[ROW].to_dict() == {"params": "-", "step time, in the baseline's": "-", "published": "0.59"}
