"""docs/results/ and the README say of the desk scale what the committed runs say."""

import csv
import os
import re
import runpy
import subprocess
import sys

import pytest

from experiments.command.cli import main
from experiments.common.checkout import ROOT
from experiments.published import table3
from experiments.report import report

SCRIPT = runpy.run_path(str(ROOT / "docs" / "make_results.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_file_is_what_its_script_writes():
    """All formats and the README's table, from runs.csv alone."""
    for path, text in SCRIPT["files"]().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `python docs/make_results.py`"


# Vectors of eight and four numbers, or two: kernels of older processors, where this one has newer.
NARROWER = {
    "avx2": {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL"},
    "sse4.2": {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL X86_V3"},
}


@pytest.mark.parametrize("instructions", NARROWER)
def test_another_processor_writes_the_same_files(instructions):
    """Figures stand in the digits that every processor agrees on: a newcomer's tests pass."""
    code = "import runpy; s = runpy.run_path('docs/make_results.py'); print([p.name for p, t in s['files']().items() "
    code += "if p.read_text(encoding='utf-8') != t])"
    environment = {**os.environ, **NARROWER[instructions]}
    words = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stderr


def test_the_command_above_the_readmes_table_prints_it(tmp_path, monkeypatch, capsys):
    """As it stands there, without a store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/mlflow.db")
    monkeypatch.chdir(ROOT)
    command, shown = re.search(
        r"<!-- python -m experiments\.report (.*?) -->\n(.*?)<!-- end -->", README, re.S
    ).groups()
    assert main(report, command.split()) == 0
    assert capsys.readouterr().out == shown
    assert f"`python -m experiments.report {command}`" in README, "a reader sees the command too"


def test_every_row_is_there_on_the_same_seeds_by_clean_code():
    """All paired, the baseline perhaps on more seeds; of one commit, and of a tree with no changes beside it."""
    with (SCRIPT["FOLDER"] / "runs.csv").open(newline="", encoding="utf-8") as file:
        runs = list(csv.DictReader(file))
    seeds = {row: [run["seed"] for run in runs if run["ablation"] == row] for row in table3.rows()}
    assert sum(map(len, seeds.values())) == len(runs)
    assert all(len(set(of_row)) == len(of_row) >= 3 for of_row in seeds.values())
    of_baseline = set(seeds.pop(table3.BASELINE))
    assert len(set(map(frozenset, seeds.values()))) == 1 and of_baseline >= set(seeds["xattn_vanilla"])
    assert {run["dirty"] for run in runs} == {"false"} and len({run["git_commit"] for run in runs}) == 1
    assert {run["certificate"] for run in runs if run["ablation"] != "baseline"} == {"equal"}
