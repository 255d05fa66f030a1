"""A table with a benchmark more than the paper has shows it as a column more, in every format and on every screen."""

import copy
import csv
import dataclasses
import io
import json
import re
from html.parser import HTMLParser

import pytest

from dashboard.html_details import html_details
from dashboard.html_table import html_table
from experiments.analysis import Table
from experiments.analysis.formats import as_text
from experiments.analysis.formats.terminal import printed_table
from experiments.analysis.table import columns
from experiments.analysis.table.runs_file import read
from experiments.common.checkout import ROOT
from experiments.published import table3
from experiments.store.columns import Column
from tests.dashboard.reading import read_table

ROW = "xattn_every_4th"
COUNTING = Column("counting", "counting_top1", "COUNT&_1", "top1")
NOTHING = dict.fromkeys(("mean", "difference", "low", "high", "blind", "vision", "language"))
OF_BASELINE = {**NOTHING, "mean": 71.71, "blind": 31.31}
PARTS = {
    "vision": {"difference": -3.03, "low": -3.13, "high": -2.93},
    "language": {"difference": -0.31, "low": -0.41, "high": -0.21},
}
OF_ROW = {"mean": 68.37, "difference": -3.34, "low": -4.94, "high": -1.74, "blind": 31.0, **PARTS}


@pytest.fixture(scope="module")
def desk():
    """The committed runs of the desk scale as a table."""
    runs = read(ROOT / "docs" / "results" / "desk" / "runs.csv")
    return Table.load("desk", finished=runs.runs, evidence=runs.evidence)


@pytest.fixture
def six(desk):
    """That table, with a sixth score of two rows; the others were run before it was there."""
    table = copy.deepcopy(desk.table)
    table["columns"] = columns.plain((*columns.published_columns(), COUNTING))
    of = {"baseline": OF_BASELINE, ROW: OF_ROW}
    for row in table["rows"]:
        if row["row"] in of:
            row["scores"]["counting_top1"] = of[row["row"]]
    return dataclasses.replace(desk, table=table)


def cells(line):
    """Of a line of Markdown."""
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def test_markdown(six):
    """Level, difference with its interval, blind twin; a dash where it is not known, as in the published line."""
    lines = [line for line in as_text(six, "md").splitlines() if line.startswith("| ")]
    place = cells(lines[0]).index(r"COUNT\&\_1 top1")
    assert len({line.count(" | ") for line in lines}) == 1
    first = next(number for number, line in enumerate(lines) if f"`{ROW}`" in line)
    found = [cells(line)[place] for line in lines[first : first + 4]]
    assert found == ["68.4", "-3.3 [-4.9, -1.7]", "31.0", "-"]
    other = next(number for number, line in enumerate(lines) if "`resampler_mlp`" in line)
    assert [cells(line)[place] for line in lines[other : other + 4]] == ["-"] * 4


def test_csv(six):
    """Its figures and those of its parts; what the paper does not have is empty."""
    rows = {line["row"]: line for line in csv.DictReader(io.StringIO(as_text(six, "csv")))}
    found = [rows[ROW][f"counting_top1_{key}"] for key in ("difference", "vision", "vision_low", "language_high")]
    assert found == ["-3.34", "-3.03", "-3.13", "-0.21"]
    assert rows["resampler_mlp"]["counting_top1_mean"] == "" == rows[ROW]["published_counting_top1"]


def test_json(six):
    """The object has it."""
    rows = {row["row"]: row for row in json.loads(as_text(six, "json"))["rows"]}
    assert rows[ROW]["scores"]["counting_top1"] == OF_ROW


def test_latex(six):
    """Macros, and a column in the head, in the table's own list of columns and in every line."""
    text = as_text(six, "latex")
    macros = dict(re.findall(r"^\\newcommand{\\([A-Za-z]+)}{(.*)}$", text, re.M))
    prefix = "DeskXattnEveryFourthCountingTopOne"
    assert macros[f"{prefix}Mean"] == "\\ensuremath{68.4}" and macros[f"{prefix}Published"] == "--"
    declared = re.search(r"\\begin{tabular}{([lr]+)}", text).group(1)
    head = next(line for line in text.splitlines() if line.startswith(" & params"))
    assert "COUNT\\&\\_1" in head
    lines = [re.sub(r"\\&", "", line) for line in text.splitlines() if " & " in line and line.endswith(r"\\")]
    wide = {line.count("&") + sum(int(n) - 1 for n in re.findall(r"\\multicolumn{(\d+)}", line)) for line in lines}
    assert wide == {len(declared) - 1}


@pytest.mark.parametrize("metric", ["step_time", "ratio", "params", "trained", "n", "verdict", "okvqa_top_1"])
def test_a_benchmark_may_be_called_as_something_else_is(six, metric):
    """No macro is made twice, and no other column's figures stand in its place."""
    table = copy.deepcopy(six.table)
    table["columns"][-1]["metric"] = metric
    for row in table["rows"]:
        row["scores"][metric] = row["scores"].pop("counting_top1", None)
    called = dataclasses.replace(six, table=table)
    macros = re.findall(r"^\\newcommand{\\([A-Za-z]+)}", as_text(called, "latex"), re.M)
    assert len(macros) == len(set(macros))
    for format_ in ("md", "html", "brief"):
        assert as_text(called, format_) == as_text(six, format_)
    assert printed_table(called.table, width=200) == printed_table(six.table, width=200)
    heads = next(csv.reader(io.StringIO(as_text(called, "csv"))))
    assert len(heads) == len(set(heads)) and f"{metric}_mean" in heads


class Bodies(HTMLParser):
    """The cells of a page's rows, those of its head first; a cell counts as often as it spans columns."""

    def __init__(self, text):
        super().__init__()
        self.lines, self.values = [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "tbody":
            self.values[values["data-row"]] = json.loads(values["data-values"])
        if tag == "tr":
            self.lines.append([])
        if tag in ("td", "th"):
            self.lines[-1] += [""] * int(values.get("colspan") or 1)

    def handle_data(self, data):
        if self.lines and self.lines[-1]:
            self.lines[-1][-1] += data


def test_html(six):
    """A heading that sorts, a cell in each line under it, a value to sort by."""
    page = Bodies(as_text(six, "html"))
    head = page.lines[0]
    place = head.index("COUNT&_1 top1")
    assert {len(values) for values in page.values.values()} == {len(head)}
    assert page.values[ROW][place] == 68.37 and page.values["resampler_mlp"][place] is None
    assert {len(line) for line in page.lines[1:]} == {len(head), len(head) - 1}, "a name spans two lines"
    own = next(line for line in page.lines[1:] if ROW in line[0])
    assert own[place].startswith("68.4-3.3 [-4.9, -1.7]blind 31.0")


def test_terminal(six):
    """A column that is wide enough for its name, in the printed table."""
    lines = printed_table(six.table, width=200).splitlines()
    end = lines[1].index("COUNT&_1") + len("COUNT&_1")
    row = next(number for number, line in enumerate(lines) if line.startswith(f"{ROW} "))
    found = [lines[number][end - 7 : end].split()[-1] for number in (2, row, row + 1, row + 2, row + 3)]
    assert found == ["top1", "68.4", "-3.3", "+-1.6", "-"]


@pytest.mark.parametrize(("show", "said"), [("score", "68.4"), ("delta", "-3.3 \u00b11.6")])
def test_the_dashboards_table(six, show, said):
    """On both sides, a dash on the paper's; a row that is not stored spans it too."""
    rows = read_table(html_table(six, show=show))
    assert rows[ROW]["ours: COUNT&_1 top1"] == said
    assert rows[ROW]["published (Flamingo-3B): COUNT&_1 top1"] == "-"
    assert rows["resampler_mlp"]["ours: COUNT&_1 top1"] == "-"
    empty = dataclasses.replace(
        six, runs={}, table={**six.table, "rows": [{**row, "n": 0} for row in six.table["rows"]]}
    )
    assert len(read_table(html_table(empty, show=show))) == len(table3.rows())


def test_the_dashboards_details(six):
    """Level, difference, interval, both parts, blind twins, each seed."""
    html = html_details(ROW, six)
    assert html.count('<th scope="col">COUNT&amp;_1</th>') == 2
    for said in ("68.4", "-3.3", "-4.9 to -1.7", "-3.0", "-3.1 to -2.9", "71.7"):
        assert f"<td>{said}</td>" in html
    assert "<td>-</td>" in html_details("resampler_mlp", six)


def test_the_frame(six):
    """A line for it; the paper's figure is missing."""
    frame = six.effects().set_index(["row", "metric"])
    assert frame.loc[(ROW, "counting_top1"), "difference"] == -3.34
    assert frame.loc[(ROW, "counting_top1"), ["published", "published_difference"]].isna().all()


def test_no_format_and_no_screen_names_the_benchmarks():
    """They ask the table for its columns."""
    files = [*(ROOT / "experiments" / "analysis" / "formats").glob("*.py"), *(ROOT / "dashboard").rglob("*.py")]
    files.append(ROOT / "experiments" / "analysis" / "table" / "agreement.py")
    named = {file.name for file in files if re.search(r"\b(published\(|SCORES\b)|coco|okvqa", file.read_text())}
    assert len(files) > 20 and named == set()
