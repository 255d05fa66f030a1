"""A format is one file in the folder: nothing else names it."""

import csv
import io
from pathlib import Path

import pytest

from experiments.analysis import formats
from experiments.command.cli import main
from experiments.report import report
from tests.sockets.outside import with_more

FILE = '''"""Names alone."""

from experiments.analysis.formats import Format

FORMAT = Format("{name}", "the names of the rows", lambda stored: " ".join(row.name for row in stored.views()) + "\\n")
'''


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Put files into the package, as far as this test sees it; its store is an empty one."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/mlflow.db")
    folder = tmp_path / "more"
    folder.mkdir()
    with with_more(formats, folder):
        yield lambda file, text: (folder / f"{file}.py").write_text(text)


def test_a_file_in_the_folder_is_a_format(put, capsys):
    """The command prints it, names it in its help and among what is allowed; a file that declares none is no format."""
    put("names_alone", FILE.format(name="names"))
    put("shared_words", '"""What formats share."""')
    assert main(report, ["--rows", "resampler_mlp", "--format", "names"]) == 0
    assert capsys.readouterr().out == "baseline resampler_mlp\n"
    assert main(report, ["--help"]) == 0
    assert "  names  the names of the rows\n" in capsys.readouterr().out
    assert main(report, ["--format", "name"]) == 2
    error = capsys.readouterr().err
    assert "svg, runs, names\n" in error and "did you mean `names`?" in error and "shared_words" not in error


def test_the_first_is_the_default_and_the_order_is_stated(put):
    """Each says its place; of a stranger's that say none the name decides, behind ours."""
    ours = list(formats.found())
    assert ours == ["md", "brief", "csv", "json", "latex", "html", "svg", "runs"]
    put("b_file", FILE.format(name="abc"))
    put("a_file", FILE.format(name="xyz"))
    assert list(formats.found()) == [*ours, "abc", "xyz"]


def test_a_name_means_one_format(put):
    """Two files that take it are both said."""
    put("another_csv", FILE.format(name="csv"))
    with pytest.raises(ValueError, match=r"format csv is declared twice: in .*\.csv_file and .*\.another_csv"):
        formats.found()


def test_what_is_no_format_is_said():
    """Every other file of the folder is named by the package's docstring."""
    files = {file.stem: file.read_text() for file in Path(formats.__file__).parent.glob("*.py") if file.stem[0] != "_"}
    others = [name for name, text in files.items() if "\nFORMAT = " not in text]
    assert len(files) - len(others) == len(formats.found())
    assert [name for name in others if f"`{name}`" not in formats.__doc__] == []


def test_every_format_says_what_it_is_and_is_text(put):
    """A line of help that fits, and the published rows where nothing is stored."""
    stored = formats.found()
    assert all(0 < len(one.about) <= 90 for one in stored.values())
    from experiments.analysis import Table

    text = {name: formats.as_text(Table.load("tiny"), name) for name in stored}
    assert all(one.endswith("\n") for one in text.values())
    assert len(list(csv.reader(io.StringIO(text["csv"])))) == 19
