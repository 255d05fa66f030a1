"""Text from outside is text wherever it is shown: no control of a terminal, no turned order, no formula."""

import csv
import io
import json
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from dashboard.html_details import html_details
from dashboard.html_table import html_table
from dashboard.views.table import plain
from experiments.analysis import Table
from experiments.analysis.formats import as_text
from experiments.analysis.formats.terminal import printed_row, printed_table
from experiments.analysis.model.bootstrap import Interval
from experiments.analysis.table.build import build
from experiments.analysis.table.runs_file import RunsFile, as_runs, read
from experiments.command.cli import main
from experiments.common.plain_text import INVISIBLE, inert, read_back, visible, written
from experiments.common.problems import UserError, wrong_value
from experiments.jobs.attempt import Outcome
from experiments.jobs.display import Board, Lines
from experiments.jobs.executor import Failure
from experiments.published.table3 import COLUMNS as SCORES
from experiments.report import FORMATS
from experiments.store.error import StoreError
from experiments.store.names import OVERALL, blind
from experiments.store.stored_run import StoredRun
from tests.experiments.jobs.executor_contract import jobs

CONTROLS = {
    "colour": ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    "title": ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
    "link": ("\x1b]8;;http://x\x1b\\here\x1b]8;;\x1b\\", "\\x1b]8;;http://x\\x1b\\here"),
    "C1": ("\x9b31m\x85\x90", "\\x9b31m\\x85\\x90"),
    "overwritten": ("good\rbad\x08\x08\x7f\x00", "good\\rbad\\x08\\x08\\x7f\\x00"),
    "bidirectional": ("a\u202eb\u202c\u2066c\u2069\u200e\u200f\u061c", "a\\u202eb\\u202c\\u2066c\\u2069\\u200e"),
    "unseen": ("a\u200bb\u2060c\ufeffd\u00ad\U000e0041", "a\\u200bb\\u2060c\\ufeffd\\xad\\U000e0041"),
    "lines": ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
}
ALL = "".join(raw for raw, _ in CONTROLS.values())
FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "-5"]
HARMLESS = ["xattn_every_4th", "a+b", "1-2", "caf\u00e9", "\u8868 \u4e00", "\U0001f600", "it's", "'quoted'", "a b"]


def shows(text: str) -> bool:
    """Whether nothing in a text acts on a terminal or a page; lines end as lines do."""
    return not any(unicodedata.category(c) in INVISIBLE and c not in "\n\t" for c in text)


def a_table(*names: str) -> Table:
    """A baseline and rows of these names, whose other tags say the same; there is no store."""
    runs = []
    for name in ("baseline", *names):
        tags = {"scale": "tiny", "ablation": name, "seed": "0", "spec_hash": name, "baseline_hash": "baseline"}
        if name != "baseline":
            tags |= {"config_dir": name, "components": name, "git_commit": name}
        metrics = {one: 50.0 for metric in (*SCORES, OVERALL) for one in (metric, blind(metric))}
        runs.append(StoredRun(f"id of {name}", "FINISHED", 1000, 2000, "", tags, {}, metrics))
    kept = RunsFile(tuple(runs), {}, {f"id of {name}": {OVERALL: Interval(-1.0, 1.0)} for name in names})
    return Table.load("tiny", finished=runs, evidence=kept.evidence)


@pytest.mark.parametrize("case", CONTROLS)
def test_what_does_not_show_is_spelled_out(case: str) -> None:
    """Each character by its number; what shows stays as it is, in any script."""
    raw, spelled = CONTROLS[case]
    assert visible(raw).startswith(spelled) and shows(visible(raw))
    assert [visible(text) for text in HARMLESS] == HARMLESS


@pytest.mark.parametrize("format_", FORMATS)
def test_no_format_passes_them_on(format_: str) -> None:
    """Names and tags of a store, in every format; JSON's own escapes are read back to the letter."""
    text = as_text(a_table(ALL, *FORMULAS), format_)
    assert shows(text)
    if format_ == "json":
        assert {row["row"] for row in json.loads(text)["rows"]} >= {ALL, *FORMULAS}
    else:
        assert format_ == "latex" or "\\x1b]0;owned\\x07" in text.replace("\\\\", "\\").replace("\\]", "]")


def test_no_screen_passes_them_on() -> None:
    """The dashboard's table and the block under it, and its messages."""
    stored = a_table(ALL)
    shown = html_table(stored, show="score", row=ALL) + html_details(ALL, stored) + plain(ALL)
    assert shows(shown) and "\\x1b]0;owned\\x07" in shown


def test_no_terminal_gets_them(capsys: pytest.CaptureFixture[str]) -> None:
    """The printed row and table, refusals that list what is stored, a store's faults, errors of any kind."""
    stored = a_table(ALL)
    (row,), (baseline,) = stored.runs[ALL].values(), stored.runs["baseline"].values()
    evidence = stored.evidence
    table = build([baseline, row], scale=ALL, seeds=[0, 1], evidence=evidence)
    row = replace(row, run_id="0", tags={**row.tags, "overrides": ALL})  # an id is part of a path, and checked as such
    assert shows(printed_table(table)) and shows(printed_row(table, row, None))

    def fail(error: Exception) -> Callable[[list[str]], int]:
        def command(_: list[str]) -> int:
            raise error

        return command

    refusal = UserError([wrong_value("--rows", "x", [ALL, "y"])])
    for error in (refusal, StoreError(ALL, ALL), OSError(28, ALL), ValueError(ALL)):
        main(fail(error), [])
    err = capsys.readouterr().err
    assert shows(err) and err.count("\\x1b]0;owned\\x07") >= 5


def test_what_a_job_prints_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    """In lines and on the board, where it is no markup either; also in what a failure repeats."""
    (job,) = jobs(1)
    failure = Failure(job, Outcome("failed", ALL), (ALL,))
    with Lines() as lines:
        lines.said(job, ALL)
        lines.failed(failure, again=False)
    assert shows(capsys.readouterr().err)
    console = Console(file=io.StringIO(), width=400, force_terminal=False, highlight=False)
    with Board([job], console) as board:
        board.started(job)
        board.said(job, ALL)
        board.said(job, f"{job.title}: step 1/2, [bold]{ALL}[/bold]  00:01 gone, 00:01 left")
        board.failed(failure, again=True)
        board.started(job)
        board.said(job, f"{job.title}: step 1/2, [bold]\x1b]0;owned\x07[/bold]  00:01 gone, 00:01 left")
        console.print(board._progress)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b]0" not in text and "\u202e" not in text and "[bold]\\x1b]0;owned\\x07[/bold]" in text


def test_a_spreadsheet_finds_no_formula() -> None:
    """Text that would begin one begins with an apostrophe; figures below zero stay figures."""
    lines = list(csv.DictReader(io.StringIO(as_text(a_table(*FORMULAS), "csv"))))
    text = {cell for line in lines for name, cell in line.items() if name in ("row", "group", "missing", "run_ids")}
    assert not [cell for cell in text if cell[:1] in set("=+-@\t\r\n\uff1d")]
    assert {f"'{name}" for name in FORMULAS if name.isprintable()} <= text
    assert all(float(line["overall_low"]) == -1.0 for line in lines if line["row"].startswith("'="))
    assert [inert(name) for name in HARMLESS] == HARMLESS


def test_a_file_of_runs_neither_injects_nor_loses(tmp_path: Path) -> None:
    """It shows, holds no formula, and is read back to the letter: names that look spelled out already, too."""
    looks_like_it = ["\\x1b", "\\x5cx1b", "\\u202e", "\\", "\\\\x1b", "\\n", "'=1", "''=1", "'", "'a", "\\U0010ffff"]
    names = [*HARMLESS, *FORMULAS, *looks_like_it, ALL, *(raw for raw, _ in CONTROLS.values())]
    file = tmp_path / "runs.csv"
    file.write_text(as_runs(a_table(*names)), encoding="utf-8", newline="")
    text = file.read_text(encoding="utf-8")
    assert shows(text)
    cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
    assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r\n\uff1d") and cell != "-1.0"]
    found = read(file).runs
    assert {run.row for run in found} == {"baseline", *names}
    for run in found:
        assert run.tags.get("config_dir", "baseline") == run.row and run.run_id == f"id of {run.row}"


def test_written_is_read_back_to_the_letter() -> None:
    """Any character in any place; what needs no care is written as it is."""
    for text in [*HARMLESS, *FORMULAS, ALL, "\ud800", *(f"{chr(code)}x{chr(code)}" for code in range(0x3000))]:
        assert read_back(written(text)) == text
    assert [written(name) for name in HARMLESS] == HARMLESS
