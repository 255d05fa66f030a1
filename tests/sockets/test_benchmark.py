"""A benchmark from outside, as docs/components.md adds it: one file and one YAML, no edit in the repository.

It runs end to end, is a column of whatever shows its runs, and is read where its module cannot be imported.
"""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from dashboard.html_details import html_details
from dashboard.html_table import html_table
from experiments.analysis import Table
from experiments.analysis.formats import found
from experiments.analysis.table.columns import columns_of
from experiments.command.cli import main
from experiments.common.checkout import ROOT
from experiments.evaluation.benchmark import BENCHMARKS
from experiments.evaluation.config import default_benchmarks
from experiments.report import report
from experiments.store import reader
from experiments.store.columns import Column, as_tag, further_columns
from experiments.store.lifecycle import RecordedSpec
from tests.docs.page import blocks, section
from tests.experiments.commands import QUICK, run_here, tiny_spec
from tests.experiments.stored_runs import FakeSpec
from tests.sockets.outside import lay, standing_in

BLOCKS = blocks(section("A benchmark"))
FILES = {path: text for path, text in BLOCKS if path != "bash"}
RUN, PROVE = (text for path, text in BLOCKS if path == "bash")
MODULE, SCALE, TEST = "my/module.py", "my_conf/scale/my_scale.yaml", "my/test_module.py"
WORDS = shlex.split(RUN.removeprefix("python -m experiments.run"))
METRIC, LABEL, ROW = "vqav2_lenient", "Lenient", "xattn_every_4th"
COLUMN = Column(name="lenient", metric=METRIC, label=LABEL, measure="top1", in_overall=False)


def quick(scale: str) -> str:
    """The page's scale with as little to do as tests have: no override, so that tables take its runs."""
    tree = yaml.safe_load(scale)
    tree["eval"]["max_new_tokens"] = 4
    tree |= {"train": {"steps": 2}, "data": {"world": {"queries": 18}}}
    return "# @package _global_\n" + yaml.safe_dump(tree, sort_keys=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The page's files."""
    return lay(tmp_path_factory.mktemp("outside"), {**FILES, SCALE: quick(FILES[SCALE])})


@pytest.fixture(scope="module")
def ran(folder, tmp_path_factory, empty_database):
    """What the page's command printed, then as `--json`, then the baseline with another choice; and the store."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    shutil.copy(empty_database, file)
    chosen = ["eval.benchmarks=[coco,lenient]", f"eval.ceilings.{METRIC}=50"]
    commands = [WORDS, [*WORDS, "--json"], [*QUICK, *chosen, "components=[my.module]", "--json"]]
    printed = []
    with standing_in(folder, BENCHMARKS), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
        for words in commands:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                assert run_here(*words) == 0
            printed.append(out.getvalue())
    return file, printed


@pytest.fixture
def store(ran, monkeypatch):
    """That store, read where the module cannot be imported."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{ran[0]}")
    assert "lenient" not in BENCHMARKS.names() and "my.module" not in sys.modules
    return ran[0]


@pytest.fixture
def runs(store):
    """Its runs by scale and row."""
    return {(run.tags["scale"], run.row): run for run in reader.runs()}


def test_help_lists_it_where_its_module_is_named(folder, capsys):
    """Among what `eval.benchmarks` allows; without the module it is not there."""
    for words, more in ((["components=[my.module]"], ["lenient"]), ([], [])):
        with standing_in(folder, BENCHMARKS):
            assert run_here("--help", *words) == 0
        assert f"a list of {', '.join(sorted([*BENCHMARKS.names(), *more]))}\n" in capsys.readouterr().out


def test_the_printed_row_has_a_column_more(ran):
    """Headed with its label and measure, a figure in each line of ours, a dash in the paper's; the others stay."""
    heads, measures, *lines = ran[1][0].splitlines()[1:12]
    assert heads.split()[-7:] == ["COCO", "OKVQA", "VQAv2", "MSVDQA", "VATEX", LABEL, "Overall"]
    assert measures.split()[-1] == "top1"
    end = heads.index(LABEL) + len(LABEL)
    cells = {line[:19].strip(): line[:end].split()[-1] for line in lines}
    for own in ("baseline", ROW, "difference", "blind: baseline", "blind: this row"):
        assert re.fullmatch(r"[+-]?\d+\.\d", cells[own]) or own == "difference", cells
    assert cells["published baseline"] == cells["published Every 4th"] == "-"
    assert "Overall without Lenient." in ran[1][0]


def test_json_has_it_with_all_that_the_others_have(ran):
    """Score, difference, interval over examples, blind twin; what the paper has of it is null; the columns are said."""
    printed = json.loads(ran[1][1])
    baseline, row = printed["rows"]
    assert printed["columns"][-1] == {**vars(COLUMN)}
    assert [one["name"] for one in printed["columns"][:-1]] == default_benchmarks()
    score = row["scores"][METRIC]
    assert score["difference"] == pytest.approx(score["mean"] - baseline["scores"][METRIC]["mean"])
    assert score["low"] <= score["difference"] <= score["high"] and score["blind"] is not None
    assert row["published"][METRIC] is None
    assert list(row["scores"])[-1] == METRIC and len(row["scores"]) == 6


def test_a_run_stores_what_a_reader_needs(runs):
    """Metric, blind twin, answers of every query, the column in a tag; nothing of it in Overall."""
    run = runs["my_scale", ROW]
    assert further_columns(run) == (COLUMN,)
    answers = reader.load_predictions(run, "lenient")
    assert answers is not None and len(answers) == 18
    assert run.metrics[METRIC] == pytest.approx(answers["score"].mean())
    assert run.metrics[f"blind_{METRIC}"] == pytest.approx(answers["blind_score"].mean())
    same = reader.load_predictions(run, "vqav2")
    assert list(answers["id"]) == list(same["id"]), "its role's queries, and the same demonstrations"
    assert list(answers["prompt_hash"]) == list(same["prompt_hash"])
    ceilings = reader.ceilings(run)
    overall = sum(100 * run.metrics[metric] / ceiling for metric, ceiling in ceilings.items()) / 5
    assert METRIC not in ceilings and run.metrics["overall"] == pytest.approx(overall)


def test_results_that_wait_keep_its_column() -> None:
    """Whoever stores them may not be able to import the module; a list that older code wrote has no such entry."""
    said = as_tag([COLUMN])
    recorded = asdict(RecordedSpec.of(FakeSpec(benchmarks=said)))
    assert recorded.pop("benchmarks") == said
    assert RecordedSpec(**recorded).benchmarks is None


def test_it_counts_in_overall_where_ceilings_name_it(ran, runs):
    """There with its own ceiling, beside those of what is run; what is not run is not there."""
    run = runs["tiny", "baseline"]
    expected = (100 * run.metrics["coco_cider"] / 700 + 100 * run.metrics[METRIC] / 50) / 2
    assert run.metrics["overall"] == pytest.approx(expected)
    assert [column.in_overall for column in further_columns(run)] == [True]
    assert "vatex_cider" not in run.metrics and reader.load_predictions(run, "vatex") is None
    (row,) = json.loads(ran[1][2])["rows"]
    assert row["scores"]["vatex_cider"]["mean"] is None and row["scores"][METRIC]["mean"] == run.metrics[METRIC]


def test_other_benchmarks_ask_the_weights_that_are_stored(ran, runs):
    """Which benchmarks there are is no part of training, and of what a spec is: the hashes say so."""
    one, other = runs["my_scale", "baseline"], runs["tiny", "baseline"]
    assert one.tags["train_hash"] == other.tags["train_hash"] and one.spec_hash != other.spec_hash
    plain = tiny_spec(*QUICK[1:])
    assert plain.train_hash == one.tags["train_hash"] and plain.hash not in (one.spec_hash, other.spec_hash)


def test_the_certificate_covers_its_prompts(runs):
    """Other benchmarks, other prompts; row and baseline of one scale share them."""
    one, other = (reader.certificate(runs[key]) for key in (("my_scale", ROW), ("tiny", "baseline")))
    assert one["prompts"] != other["prompts"]
    assert "prompts" in one["against"]["equal"] and one["against"]["unexpected"] == []


@pytest.mark.parametrize("name", found())
def test_every_format_has_it_without_the_module(name, store, capsys):
    """The picture shows Overall alone, as does the short answer; every other format has it by label or metric."""
    assert main(report, ["scale=my_scale", "--format", name]) == 0
    out = capsys.readouterr().out
    if name not in ("brief", "svg"):
        assert LABEL in out or METRIC in out or "LenientMean" in out
    if name in ("md", "html", "latex"):
        assert "Overall without Lenient" in out


def test_the_dashboard_has_it_without_the_module(store):
    """In the table, and in the block of a row."""
    table = Table.load("my_scale")
    assert columns_of(table.table)[-1] == COLUMN
    assert LABEL in html_table(table, show="score") and LABEL in html_details(ROW, table)


def test_a_file_of_runs_makes_the_same_table(store, tmp_path, monkeypatch, capsys):
    """Its column, interval and blind twin, from the file alone; an older file beside it has dashes there."""
    file = tmp_path / "runs.csv"
    assert main(report, ["scale=my_scale", "--format", "runs", "--out", str(file)]) == 0
    assert main(report, ["scale=my_scale", "--format", "json"]) == 0
    expected = capsys.readouterr().out
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    assert main(report, ["--from", str(file), "--format", "json"]) == 0
    assert capsys.readouterr().out == expected


def test_a_process_of_its_own_reads_it(store):
    """The real command, in a folder from which there is no such module."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "experiments.report", "scale=my_scale", "--format", "json"]
    done = subprocess.run(command, cwd=store.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["columns"][-1]["label"] == LABEL


def test_it_keeps_the_contract(folder):
    """The page's own test by the page's command."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MINE": str(folder)}
    command = f"{PROVE} -v -p no:cacheprovider"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert len(re.findall(r"my/test_module\.py::\S+ PASSED", done.stdout)) >= 7, done.stdout


REFUSED = {
    "a name that is none": (
        FILES[MODULE],
        ["eval.benchmarks=[coco,leniant]"],
        ["`eval.benchmarks` is `[coco,leniant]`", "allowed: a list of coco, ", "did you mean `lenient`?"],
    ),
    "a name twice": (
        FILES[MODULE],
        ["eval.benchmarks=[coco,lenient,coco]"],
        ["`eval.benchmarks` is", "each at most once", "take out one `coco`"],
    ),
    "no name": (FILES[MODULE], ["eval.benchmarks=[]"], ["`eval.benchmarks` is `[]`", "at least one"]),
    "a source of what is not run": (
        FILES[MODULE],
        ["eval.benchmarks=[coco]", "eval.ceilings={coco_cider: 700}", "eval.lenient.source=mine"],
        ["`eval.lenient.source` is `mine`", "allowed: sources of coco", "run it too"],
    ),
    "no list": (FILES[MODULE], ["eval.benchmarks=lenient"], ["did you mean `[lenient]`?"]),
    "a ceiling of what is not run": (
        FILES[MODULE],
        [f"eval.ceilings.{METRIC}=100"],
        [f"`eval.ceilings.{METRIC}` is `100.0`", "points above 0 for each of coco_cider, ", "vatex,lenient]"],
    ),
    "all ceilings, of more than is run": (
        FILES[MODULE],
        ["eval.benchmarks=[coco,lenient]", "eval.ceilings={coco_cider: 700, vatex_cider: 700}"],
        ["`eval.ceilings.vatex_cider` is `700.0`", f"coco_cider, and for {METRIC} where", "[coco,lenient,vatex]"],
    ),
    "all ceilings, of less than is run": (
        FILES[MODULE],
        ["eval.benchmarks=[coco,lenient]", f"eval.ceilings={{{METRIC}: 100}}"],
        ["`eval.ceilings` is `{vqav2_lenient: 100.0}`", "eval.ceilings.coco_cider=143.3"],
    ),
    "a name for a metric": (
        FILES[MODULE],
        ["eval.benchmarks=[coco,okvqa,vqav2,msvdqa,vatex,lenient]", "eval.ceilings.lenient=9"],
        ["`eval.ceilings.lenient` is `9.0`", f"did you mean `eval.ceilings.{METRIC}`?"],
    ),
    "nothing in Overall": (
        FILES[MODULE],
        ["eval.benchmarks=[lenient]", "eval.ceilings={}"],
        ["`eval.ceilings` is `{}`", f"eval.ceilings.{METRIC}=100"],
    ),
    "a taken name": (
        FILES[MODULE].replace('register("lenient")', 'register("coco")'),
        [],
        ["`components` is `my.module`", "benchmark `coco` is registered twice"],
    ),
    "a taken metric": (
        FILES[MODULE].replace(METRIC, "vqav2_top1"),
        [],
        ["`components` is `my.module`", "its metric `vqav2_top1` is that of `vqav2`"],
    ),
    "a role that nobody has": (
        FILES[MODULE].replace('role = "vqav2"', 'role = "vqav3"'),
        ["eval.benchmarks=[coco,okvqa,vqav2,msvdqa,vatex,lenient]"],
        ["benchmark `lenient` asks for queries of `vqav3`", "allowed: coco, okvqa, vqav2", "`eval.lenient.source`"],
    ),
    "it scores nothing": (
        FILES[MODULE].replace("for answer, annotators in zip", "for answer, annotators in [] and zip"),
        ["eval.benchmarks=[coco,okvqa,vqav2,msvdqa,vatex,lenient]"],
        ["benchmark `lenient` cannot ask or score", "one number each"],
    ),
    "it raises": (
        FILES[MODULE].replace("any(annotated in", "any(nothing in"),
        ["eval.benchmarks=[coco,okvqa,vqav2,msvdqa,vatex,lenient]"],
        ["benchmark `lenient` cannot ask or score", "NameError"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_run_is_refused(case, store_file, tmp_path, capsys):
    """Exit 2, key, value, what is allowed and a hint, no traceback, and nothing written."""
    module, words, said = REFUSED[case]
    with standing_in(lay(tmp_path / "here", {MODULE: module}), BENCHMARKS):
        assert run_here("scale=tiny", "components=[my.module]", *words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert all(text in output.err for text in said), output.err
    assert "hint: " in output.err and "Traceback" not in output.err
    assert reader.runs(status=None) == []


def test_without_its_module_its_name_is_unknown(store_file, capsys):
    """As any name that is none."""
    assert run_here("scale=tiny", "eval.benchmarks=[coco,lenient]") == 2
    assert f"allowed: a list of {', '.join(BENCHMARKS.names())}, each at most once" in capsys.readouterr().err


def test_a_scale_s_ceilings_are_those_of_what_is_run() -> None:
    """A scale has one for whatever may be run, as it has sizes for components; of the rest Overall knows nothing."""
    spec = tiny_spec("eval.benchmarks=[vatex,coco]")
    assert spec.eval.ceilings == {"coco_cider": 700.0, "vatex_cider": 700.0}
    assert spec.overrides == ("eval.benchmarks=[vatex,coco]",)
    assert tiny_spec(f"eval.benchmarks=[{','.join(default_benchmarks())}]").hash == tiny_spec().hash


def test_an_edited_module_is_another_spec_of_the_same_weights(folder, tmp_path):
    """The file of the class counts in what a run is, and not in what was trained; nobody else's runs move."""
    typed = ("components=[my.module]", "eval.benchmarks=[coco,okvqa,vqav2,msvdqa,vatex,lenient]")
    specs = []
    for place, module in enumerate((FILES[MODULE], FILES[MODULE] + "# changed\n")):
        with standing_in(lay(tmp_path / str(place), {MODULE: module}), BENCHMARKS):
            specs.append(tiny_spec(*typed))
            assert tiny_spec(typed[0]).hash == tiny_spec().hash
    assert specs[0].hash != specs[1].hash
    assert specs[0].train_hash == specs[1].train_hash == tiny_spec().train_hash
