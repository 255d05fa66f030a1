"""`python -m experiments.report`: what is stored, in formats that say the same; nothing is trained or written."""

import csv
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from experiments.analysis import Table
from experiments.analysis.formats import as_text, latex, markdown, strip
from experiments.analysis.table.load import DEFAULT_SCALE
from experiments.command.cli import main
from experiments.common.checkout import ROOT
from experiments.published import table3
from experiments.published.table3 import COLUMNS as SCORES
from experiments.report import FORMATS, report
from experiments.spec.yaml_files import default_scale
from tests.experiments.commands import start
from tests.experiments.stored_runs import BAD, GOOD

ROW = "xattn_every_4th"
READ = [one for one in FORMATS if one not in ("svg", "runs")]  # those that hold the whole table
HOSTILE = '<img src=x onerror=alert(1)>|`*a*`_$&%#{}~^\\input{x}"\n% --> ]]></script>'


@pytest.fixture
def two_runs(store_row):
    """A baseline and a row that is clearly worse."""
    return store_row(), store_row(ROW, BAD)


def printed(capsys, *arguments):
    """Output of the command at scale tiny, which must end well."""
    assert main(report, ["scale=tiny", *arguments]) == 0
    return capsys.readouterr().out


def cells_of(text):
    """The cells of a Markdown table's lines, by their first, as a reader sees them."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert len({len(row) for row in rows}) == 1, "all lines have the same columns"
    return rows


def test_without_a_format_it_is_markdown(two_runs, capsys):
    """The paper's groups, each row with its difference, blind twin and the published row; commands for the others."""
    text = printed(capsys)
    rows = cells_of(text)
    groups = [row[0].strip("*").split()[0] for row in rows if row[0].startswith("**") and not any(row[1:])]
    assert groups == ["Baseline", "(i)", "(ii)", "(iii)", "(iv)", "(v)", "(vi)", "(vii)", "(viii)"]
    place = next(place for place, row in enumerate(rows) if f"`{ROW}`" in row[0])
    own, difference, blind, paper = rows[place : place + 4]
    assert own[0] == f"**Every 4th `{ROW}`**" and own[1] == "1" and own[-2:] == ["worse", "paired"]
    assert [row[0] for row in (difference, blind, paper)] == ["difference", "blind", "published (difference)"]
    overall = rows[0].index("Overall")
    assert re.fullmatch(r"-\d+\.\d \[-\d+\.\d, -\d+\.\d\]", difference[overall])
    assert paper[overall] == "68.8 (-1.9)"
    assert "- `xattn_vanilla`: `python -m experiments.run ablation=xattn_vanilla scale=tiny seed=0`" in text
    assert ROW not in text.partition("Not stored yet")[2]
    for said in ("scale tiny", "n = 1 (seed 0)", "bootstrap over examples", "one training run"):
        assert said in text.splitlines()[0]


def test_csv_is_one_line_a_row_in_digits_of_every_processor(two_runs, capsys):
    """Read back by pandas it is the object's figures to eight digits, and no more of them are written."""
    frame = pd.read_csv(io.StringIO(printed(capsys, "--format", "csv"))).set_index("row")
    table = json.loads(printed(capsys, "--format", "json"))
    assert list(frame.index) == list(table3.rows())
    for row in table["rows"]:
        for metric in (*SCORES, "overall"):
            score = row["overall"] if metric == "overall" else row["scores"][metric]
            for key in ("mean", "difference", "low", "high", "blind"):
                found = frame.loc[row["row"], f"{metric}_{key}"]
                assert pd.isna(found) if score[key] is None else found == float(f"{score[key]:.8g}")
            assert frame.loc[row["row"], f"published_{metric}"] == row["published"][metric]
        assert row["n"] == frame.loc[row["row"], "n"]
    assert frame.loc["xattn_vanilla", "missing"].startswith("python -m experiments.run")


def test_json_is_the_object_of_all_commands(two_runs, capsys):
    """One object on stdout, the same that a table is made from."""
    assert json.loads(printed(capsys, "--format=json")) == Table.load("tiny").table


class Page(HTMLParser):
    """A page's bodies of rows with their cells, and everything that could load something."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.loads, self.tags, self.labels = {}, [], [], []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.loads += [(tag, name, value) for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag == "svg" and values.get("role"):
            self.labels.append(values["aria-label"])
        if tag == "tbody":
            self.rows[values["data-row"]] = [json.loads(values["data-values"])]
        if tag in ("td", "th") and self.rows:
            self.rows[list(self.rows)[-1]].append("")
            self._inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data):
        if self._inside and self.rows:
            self.rows[list(self.rows)[-1]][-1] += f" {data}"


def test_html_is_one_file_that_says_the_same(two_runs, capsys):
    """All rows with figures, words, both strips and the command where nothing is stored; it loads nothing."""
    page = Page(printed(capsys, "--format", "html"))
    assert list(page.rows) == list(table3.rows()) and page.loads == []
    assert not {"link", "img", "iframe"} & set(page.tags)
    text = " ".join(page.rows[ROW][1:])
    for said in ("worse", "paired", "published", "68.8", "-1.9", "blind"):
        assert said in text
    assert "python -m experiments.run ablation=xattn_vanilla" in " ".join(page.rows["xattn_vanilla"][1:])
    assert any(re.fullmatch(r"-\d+\.\d points, 95% from -\d+\.\d to -\d+\.\d", label) for label in page.labels)
    assert len(page.labels) == 1 + 17  # ours, and the paper's


def test_svg_draws_each_row_once(two_runs, capsys):
    """A line a row with what it says in words, the paper's mark in each, ours where it is known; rows are apart."""
    drawn = ElementTree.fromstring(printed(capsys, "--format", "svg"))
    space = "{http://www.w3.org/2000/svg}"
    rows = [group for group in drawn.iter(f"{space}g") if group.find(f"{space}title") is not None]
    assert [row.find(f"{space}title").text.partition(":")[0] for row in rows] == list(table3.rows())[1:]
    by_name = {row.find(f"{space}title").text.partition(":")[0]: row for row in rows}
    texts = [text.text for text in by_name[ROW].iter(f"{space}text")]
    overall = next(row for row in Table.load("tiny").table["rows"] if row["row"] == ROW)["overall"]
    assert texts[0] == "(v) Cross-attention frequency: Every 4th" and texts[1].startswith(
        f"{overall['difference']:.1f} ["
    )
    assert texts[1].endswith("] worse") and "not stored yet" in [t.text for t in by_name["xattn_vanilla"].iter()]
    assert all(len(list(row.iter(f"{space}circle"))) == 1 for row in rows)
    places = [float(row.find(f"{space}svg").get("y")) for row in rows]
    assert all(after - before >= strip.HEIGHT for before, after in itertools.pairwise(places))
    assert max(places) + strip.HEIGHT < float(drawn.get("height"))


def test_latex_has_a_macro_for_each_figure_and_its_runs(two_runs, capsys):
    """Names of letters, all different; run ids and the commands that are missing as comments."""
    text = printed(capsys, "--format", "latex")
    macros = dict(re.findall(r"^\\newcommand{\\([A-Za-z]+)}{(.*)}$", text, re.M))
    assert text.count("\\newcommand") == len(macros)
    overall = next(row for row in Table.load("tiny").table["rows"] if row["row"] == ROW)["overall"]
    assert macros["TinyXattnEveryFourthOverallDifference"] == f"\\ensuremath{{{overall['difference']:+.1f}}}"
    assert macros["TinyXattnEveryFourthOverallPublished"] == "\\ensuremath{68.8}"
    assert f"% {ROW}: runs {two_runs[1]}\n" in text
    assert "% missing: python -m experiments.run ablation=xattn_vanilla scale=tiny seed=0\n" in text
    assert text.count("\\begin{tabular}") == text.count("\\end{tabular}") == 1


def test_macro_names_differ_where_rows_do():
    """Whatever names people give: letters only, no two the same."""
    rows = ["a_b", "a-b", "a+b", "4th", "\u00e9", "__", "a_b "]
    names = latex.macro_names(rows, "flamingo_3b")
    assert len(set(names.values())) == len(rows)
    assert all(re.fullmatch("FlamingoThreeb[A-Za-z]+", name) for name in names.values())


@pytest.mark.parametrize("format_", FORMATS)
def test_names_are_data_in_every_format(format_, store_row, capsys):
    """A row's name with the markup of all formats in it is one row, and its text."""
    store_row()
    store_row(HOSTILE, BAD)
    store_row("my_row", BAD)
    text = printed(capsys, "--format", format_)
    if format_ == "csv":
        assert HOSTILE in [line["row"] for line in csv.DictReader(io.StringIO(text))]
    elif format_ == "json":
        assert HOSTILE in [row["row"] for row in json.loads(text)["rows"]]
    elif format_ == "html":
        page = Page(text)
        assert {HOSTILE, "my_row"} < set(page.rows) and "img" not in page.tags and page.tags.count("script") == 1
        assert "<img" not in text
    elif format_ in ("md", "brief"):
        assert len(cells_of(text)[0]) == {"md": 14, "brief": 8}[format_]
        assert "<img" not in re.sub(r"(`+).*?\1", "", text)
    elif format_ == "svg":
        assert HOSTILE in [
            found.text for found in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")
        ]
    elif format_ == "runs":
        assert HOSTILE in [line["ablation"] for line in csv.DictReader(io.StringIO(text))]
    elif format_ == "latex":
        body = [line for line in text.splitlines() if not line.startswith("%")]
        assert not any("\\input" in line for line in body), "what is a command in TeX is text"
        assert any("\\textbackslash{}input\\{x\\}" in line for line in body)


def test_markdown_and_latex_escape_what_they_must():
    """Text comes through as text."""
    assert markdown.escaped("a|b <c> *d* `e`\nf") == r"a\|b \<c\> \*d\* \`e\` f"
    assert markdown.code("a`b|c") == "``a`b\\|c``"
    assert latex.escaped("50% & $x_1$ #{a}~^\\\n\u2192 \u00e9") == (
        r"50\% \& \$x\_1\$ \#\{a\}\textasciitilde{}\textasciicircum{}\textbackslash{} $\to$ ?"
    )


@pytest.mark.parametrize("format_", READ)
def test_an_empty_store_gives_the_published_table_and_the_command(format_, tmp_path, monkeypatch, capsys):
    """Exit 0, the paper's figures in every format, what to run on stderr; nothing is written."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/mlflow.db")
    assert main(report, ["--format", format_]) == 0
    out, err = capsys.readouterr()
    assert "68.8" in out and "python -m experiments.run" in out
    assert err.startswith(f"no finished baseline is stored at scale {DEFAULT_SCALE}: python -m experiments.run")
    assert list(tmp_path.iterdir()) == []


def test_seeds_that_are_missing_come_with_one_command(store_row, capsys):
    """A row of one seed where others have three: how many of how many, and how to fill it."""
    for seed in range(3):
        store_row(seed=seed)
        store_row("xattn_every_2nd", BAD, seed=seed)
    store_row(ROW, BAD)
    for format_ in ("md", "html", "latex"):
        text = printed(capsys, "--format", format_)
        assert f"python -m experiments.run -m ablation={ROW} scale=tiny seed=1,2" in text
    assert "1 of 3" in printed(capsys) and "seeds 0 to 2" in printed(capsys)
    assert "1 of 3" not in printed(capsys, "--seeds", "1")


def test_rows_are_those_asked_for(two_runs, capsys):
    """The baseline comes with them; nothing else does."""
    table = json.loads(printed(capsys, "--format", "json", "--rows", f"{ROW},resampler_mlp"))
    assert [row["row"] for row in table["rows"]] == ["baseline", ROW, "resampler_mlp"]


def test_runs_left_out_are_counted_where_they_are_missed(two_runs, store_row, capsys):
    """In the caption of what people read."""
    store_row("resampler_mlp", BAD, overrides=("train.lr=1.0",))
    for format_ in ("md", "html", "latex"):
        assert "left out: 1 finished" in printed(capsys, "--format", format_)


def test_rows_that_are_not_paired_say_so(store_row, capsys):
    """In words, or by a mark that the caption explains."""
    store_row()
    store_row(ROW, BAD, broken_pair=True)
    assert "NOT PAIRED" in printed(capsys) and "NOT PAIRED" in printed(capsys, "--format", "html")
    text = printed(capsys, "--format", "latex")
    assert f"Every 4th{latex.UNPAIRED}" in text and "not paired with the baseline" in text


@pytest.mark.parametrize("format_", FORMATS)
def test_a_row_that_cannot_be_read_says_so(format_, two_runs, store_file, capsys):
    """The others stand; what is wrong and how to make it again is said on stderr too."""
    for file in store_file.parent.rglob(f"{two_runs[1]}/**/coco.parquet"):
        file.write_bytes(b"cut short")
    assert main(report, ["scale=tiny", "--format", format_]) == 0
    out, err = capsys.readouterr()
    assert f"{ROW} cannot be read" in err and "rerun=true" in err
    assert format_ in ("json", "runs") or "cannot be read" in out or "cut short" in out or "Parquet" in out
    assert format_ != "runs" or two_runs[1] not in out, "what nothing can be said of is no part of the table"


def test_out_writes_the_file_whole_and_prints_nothing(two_runs, tmp_path, capsys):
    """The same text; a file that is there is replaced, and nothing lies beside it."""
    folder = tmp_path / "out"
    folder.mkdir()
    file = folder / "table.md"
    file.write_text("old")
    expected = printed(capsys)
    assert printed(capsys, "--out", str(file)) == ""
    assert file.read_text() == expected and list(folder.iterdir()) == [file]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--format", "cvs"),
            ("`--format` is `cvs`; allowed: md, brief, csv, json, latex, html, svg, runs", "did you mean `csv`?"),
        ),
        (("--out", "no/such/folder/x.md"), ("`--out` is `no/such/folder/x.md`", "mkdir -p no/such/folder")),
        (("--out", "."), ("`--out` is `.`; allowed: a file",)),
        (("scale=dsk",), ("`scale` is `dsk`; allowed: desk, smol, tiny", "did you mean `desk`?")),
        (("--rows", "xattn_every_4rd"), ("`--rows` is `xattn_every_4rd`", "did you mean `xattn_every_4th`?")),
        (("--seeds", "0", "seed=1"), ("`--seeds` is `0`", "`seed` is `1`", "did you mean `--seeds`?")),
        (("ablation=xattn_vanilla",), ("did you mean `--rows`?",)),
        (("train.lr=1",), ("`train.lr` is `1`", "scale=NAME")),
        (("--jsn",), ("unknown flag `--jsn`",)),
    ],
)
def test_a_wrong_command_is_refused(arguments, said, two_runs, capsys):
    """Exit 2, nothing on stdout, every problem with its hint."""
    assert main(report, list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == "" and all(part in err for part in said) and "hint:" in err and "Traceback" not in err


def test_a_scale_of_ones_own_is_known_where_it_is_stored(store_row, capsys):
    """A scale from another folder is a scale once there are runs of it."""
    store_row(scale="mine")
    assert main(report, ["scale=mine"]) == 0
    assert "scale mine" in capsys.readouterr().out


def test_it_starts_without_torch_or_mlflow(two_runs, store_file):
    """In a new process, in every format."""
    code = (
        "import sys\nfrom experiments.command.cli import main\nfrom experiments.report import FORMATS, report\n"
        "for one in FORMATS: assert main(report, ['scale=tiny', '--format', one, '--out', sys.argv[1]]) == 0\n"
        "print([name for name in ('torch', 'transformers', 'mlflow', 'streamlit') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(store_file.parent / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stderr


def test_help_names_every_format_and_flag(store_file):
    """As a process of its own."""
    process = start("experiments.report", "--help", store=store_file, cwd=ROOT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and not err
    for word in (*FORMATS, "--out", "--rows", "--seeds", "scale="):
        assert word in out


def test_the_default_scale_is_that_of_a_command_that_names_none():
    """For who loads a table without saying which."""
    assert default_scale() == DEFAULT_SCALE


def test_effects_are_the_table_as_a_frame(two_runs):
    """A line a row and score, with the same figures."""
    stored = Table.load("tiny")
    frame = stored.effects().set_index(["row", "metric"])
    assert len(frame) == 18 * 6
    row = next(row for row in stored.table["rows"] if row["row"] == ROW)
    assert frame.loc[(ROW, "overall"), "difference"] == row["overall"]["difference"]
    assert frame.loc[(ROW, "coco_cider"), "low"] == row["scores"]["coco_cider"]["low"]
    assert frame.loc[(ROW, "overall"), "published_difference"] == pytest.approx(-1.9)
    assert pd.isna(frame.loc[("baseline", "overall"), "published_difference"])


@pytest.mark.slow
@pytest.mark.parametrize("use", ["alone", "in a paper"])
def test_latex_compiles(use, store_row, tmp_path, capsys):
    """With a real TeX: the file as it is, and in another document that prints one of its macros."""
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("no pdflatex: apt-get install texlive-latex-base texlive-latex-recommended")
    store_row()
    store_row(ROW, GOOD)
    store_row(HOSTILE, BAD, broken_pair=True)
    (tmp_path / "table.tex").write_text(printed(capsys, "--format", "latex"), encoding="utf-8")
    paper = (
        r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{table}"
        r"\typeout{IT IS \TinyXattnEveryFourthN}\end{document}"
    )
    (tmp_path / "paper.tex").write_text(paper, encoding="utf-8")
    name = "table" if use == "alone" else "paper"
    command = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", f"{name}.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout[-2000:]
    assert Path(tmp_path / f"{name}.pdf").stat().st_size > 10_000
    assert use == "alone" or "IT IS 1" in done.stdout
    assert "Overfull" not in done.stdout and "undefined" not in done.stdout


def test_every_format_of_the_command_is_made():
    """None is offered that there is not, none is there that is not offered."""
    with pytest.raises(ValueError, match="docx"):
        as_text(Table.load("tiny"), "docx")
