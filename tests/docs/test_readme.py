"""The README says what is so: its query runs, its commands exist, its output is what the command prints."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.common.checkout import ROOT
from experiments.published import table3
from experiments.spec.yaml_files import known
from experiments.store.names import EXPERIMENT
from tests.experiments.commands import ONE_PROCESS, QUICK, run_here

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


@pytest.fixture(scope="module")
def ran(empty_database, tmp_path_factory):
    """The store that the README's first command filled, and the lines that it printed."""
    file, out = tmp_path_factory.mktemp("store") / "mlflow.db", io.StringIO()
    shutil.copy(empty_database, file)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
        assert run_here("ablation=xattn_every_4th", *QUICK) == 0
    return file, out.getvalue().splitlines()


def test_it_is_short():
    """A reader gets through it: 150 lines."""
    assert len(README.splitlines()) <= 150


def test_the_query_answers_step_time_and_parameters_in_a_new_process(ran):
    """The README's snippet, as it stands, against a store that a command filled."""
    (snippet,) = (block for block in blocks("python") if "use_store" in block)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{ran[0]}"}
    done = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert "xattn_every_4th" in done.stdout
    assert "metrics.step_time_s" in done.stdout
    assert "metrics.params_total" in done.stdout
    assert re.search(r"xattn_every_4th +\d\.\d+ +\d+", done.stdout), done.stdout


def test_its_three_steps_add_a_component(empty_database, tmp_path_factory):
    """The file, the YAML and the command, as they stand, in a folder of one's own: a paired row, from that module."""
    section = README.partition("\n## Add a component\n")[2].partition("\n## ")[0]
    steps = re.findall(r"^(\d)\. (.*?)\n\n```(\w+)\n(.*?)^```$", section, re.M | re.S)
    assert [(number, language) for number, _, language, _ in steps] == [("1", "python"), ("2", "yaml"), ("3", "bash")]
    folder, file = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("store") / "mlflow.db"
    for _, said, _, text in steps[:2]:
        path = folder / re.findall(r"`([\w/]+\.(?:py|yaml))`", said)[0]
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    shutil.copy(empty_database, file)
    found = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": found, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": f"sqlite:///{file}"}
    command = " ".join([steps[2][3].strip(), *QUICK, ONE_PROCESS])
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("my_row against baseline")
    assert any(line.startswith("paired: ") for line in lines)
    assert any(line.startswith("next: ") and "components=[my.module]" in line for line in lines)


def test_its_output_is_what_the_command_prints(ran):
    """Line for line the same labels and columns; figures differ from machine to machine and scale to scale."""
    printed = ran[1]
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
    allowed = {*known("ablation"), "my_row", "align_of_plates"}  # the last two of docs/components.md
    assert {name for names in named for name in names.split(",") if name} <= allowed
    assert {name for name in re.findall(r"scale=([a-z0-9_]+)", text)} <= {*known("scale"), "my_scale"}


def test_every_published_row_is_a_file():
    """One YAML for each row of the table."""
    assert set(known("ablation")) >= set(table3.rows())


def test_the_store_is_where_the_readme_says():
    """Experiment and metric names of the README are those of `store.names`."""
    assert EXPERIMENT in README
