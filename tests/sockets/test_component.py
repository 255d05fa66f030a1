"""A resampler from outside: one file and one YAML in a folder of one's own, and it is shown wherever a row is."""

import re
import shlex

import pytest

from experiments.analysis import formats
from experiments.command.cli import main
from experiments.report import report
from experiments.run import run
from flamingo_core import registry
from tests.dashboard.reading import markup, page
from tests.docs.page import blocks, of_components
from tests.sockets.outside import add_quick_scale, lay, standing_in

MODULE, ROW = "my/module.py", "my_conf/ablation/my_row.yaml"
BLOCKS = blocks(of_components())
EXAMPLE = {path: next(text for name, text in BLOCKS if name == path) for path in (MODULE, ROW)}  # the page's first
WORDS = shlex.split(next(text for name, text in BLOCKS if name == "bash").removeprefix("python -m experiments.run"))


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """The page's files in a folder to stand in; what its module registers is forgotten afterwards."""
    registry.names("resampler")
    monkeypatch.setitem(registry._components, "resampler", dict(registry._components["resampler"]))
    home = lay(tmp_path / "home", EXAMPLE)
    add_quick_scale(home / "my_conf")
    with standing_in(home):
        yield home


def test_it_is_in_help_and_in_every_format_and_screen(at_home, store_file, capsys):
    """By its name among the components of its slot, by its row in every table."""
    assert main(run, ["--help", "components=[my.module]"]) == 0
    listed = re.search(r"^  model\.resampler\.name=.*$", capsys.readouterr().out, re.M)
    assert listed and "mean" in listed[0] and "perceiver" in listed[0]
    assert main(run, [*WORDS, "scale=quick"]) == 0
    printed = capsys.readouterr().out
    assert "my_row" in printed and "paired: " in printed and "NOT PAIRED" not in printed
    for name in formats.found():
        assert main(report, ["scale=quick", "--format", name]) == 0
        assert re.search(r"my.{0,2}_row", capsys.readouterr().out), name
    assert "my_row" in markup(page(scale="quick"))
