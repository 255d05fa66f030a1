"""The README says what is so: its query runs, its commands exist, its output is what the command prints."""

import os
import re
import subprocess
import sys

import pytest

from experiments import published, record
from experiments.compose import known
from experiments.record import ROOT
from tests.experiments.commands import QUICK, run_here

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def test_it_is_short():
    """A reader gets through it: 150 lines."""
    assert len(README.splitlines()) <= 150


def test_the_query_answers_step_time_and_parameters_in_a_new_process(store_file, capsys):
    """The README's snippet, as it stands, against a store that a command filled."""
    assert run_here("ablation=xattn_every_4th", *QUICK) == 0
    (snippet,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, cwd=ROOT, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "xattn_every_4th" in done.stdout
    assert "metrics.step_time_s" in done.stdout
    assert "metrics.params_total" in done.stdout
    assert re.search(r"xattn_every_4th +\d\.\d+ +\d+", done.stdout), done.stdout


def test_its_output_is_what_the_command_prints(store_file, capsys):
    """Line for line the same labels and columns; figures differ from machine to machine and scale to scale."""
    assert run_here("ablation=xattn_every_4th", *QUICK) == 0
    printed = capsys.readouterr().out.splitlines()
    shown = next(block for block in blocks("text") if "against baseline" in block).splitlines()
    headings = [line for line in printed if re.match(r" +(params|CIDEr)", line)]
    assert [line for line in shown if re.match(r" +(params|CIDEr)", line)] == headings

    def labels(lines):
        return [line[:19].rstrip() for line in lines if re.match(r"(baseline|xattn_|published|  \S)", line)]

    end = shown.index(next(line for line in shown if line.startswith("paired:")))
    own_end = printed.index(next(line for line in printed if line.startswith("paired:")))
    assert labels(shown[:end]) == labels(printed[:own_end])
    for line in (line for line in printed if line.startswith("published")):
        assert line in shown, "published figures are the same everywhere"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_pages_name_exists(page):
    """Files that are linked, make targets, ablations and scales of commands."""
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"`make ([a-z0-9-]+)", text)) <= targets
    named = set(re.findall(r"ablation=\[?([a-z0-9_,]+)", text))
    allowed = {*known("ablation"), "my_row"}
    assert {name for names in named for name in names.split(",") if name} <= allowed
    assert {name for name in re.findall(r"scale=([a-z0-9_]+)", text)} <= set(known("scale"))


def test_every_published_row_is_a_file():
    """One YAML for each row of the table, and none beside them."""
    assert set(known("ablation")) == set(published.rows())


def test_the_store_is_where_the_readme_says():
    """Experiment and metric names of the README are those of `record`."""
    assert record.EXPERIMENT in README
