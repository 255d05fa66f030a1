"""A file of runs makes the table again that it was written from, to the last bit, without the store."""

import csv
import io
import json

import pytest

from experiments.analysis import Table
from experiments.analysis.model.bootstrap import Interval
from experiments.analysis.table.runs_file import RunsFile, as_runs
from experiments.command.cli import main
from experiments.published.table3 import COLUMNS as SCORES
from experiments.report import FORMATS, report
from experiments.store.names import OVERALL, blind
from experiments.store.stored_run import StoredRun
from tests.experiments.stored_runs import BAD, COST_METRICS, RATIO, a_certificate

ROW, OTHER = "xattn_every_4th", "resampler_mlp"
POINTS = {"baseline": [60.0, 61.0, 59.5], ROW: [55.1, 56.03, 54.4], OTHER: [60.1, 61.0 + 1 / 3, 59.6]}


def metrics_of(row, points):
    """All scores, their blind twins, and what a run costs."""
    scores = {name: points for metric in (*SCORES, OVERALL) for name in (metric, blind(metric))}
    return {**scores, **COST_METRICS, **({} if row == "baseline" else RATIO)}


def a_run(row, seed, points):
    """A run as a store's reader gives it."""
    tags = {"scale": "tiny", "ablation": row, "seed": str(seed), "spec_hash": f"hash of {row}", "baseline_hash": "hash"}
    tags["spec_hash"] = "hash" if row == "baseline" else tags["spec_hash"]
    return StoredRun(f"{row}-{seed}", "FINISHED", 1_000, 61_234 + seed, "", tags, {}, metrics_of(row, points))


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A table's runs as a file, one of which is not paired; there is no store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/mlflow.db")
    runs = [a_run(row, seed, points) for row, values in POINTS.items() for seed, points in enumerate(values)]
    certificates = {run.run_id: "equal" for run in runs if run.row != "baseline"} | {f"{OTHER}-2": "differs"}
    kept = RunsFile(tuple(runs), certificates, {f"{ROW}-0": {OVERALL: Interval(-7.25, -0.5)}})
    path = tmp_path / "runs.csv"
    path.write_text(as_runs(Table.load("tiny", finished=runs, evidence=kept.evidence)))
    return path


def same_from_a_file(tmp_path, monkeypatch, capsys):
    """What each format prints of the store, which is what it prints of the file, runs file included."""
    file = tmp_path / "runs.csv"
    assert main(report, ["scale=tiny", "--format", "runs", "--out", str(file)]) == 0
    expected = {}
    for format_ in FORMATS:
        assert main(report, ["scale=tiny", "--format", format_]) == 0
        expected[format_] = capsys.readouterr().out
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/mlflow.db")
    before = sorted(tmp_path.rglob("*"))
    for format_ in FORMATS:
        assert main(report, ["--from", str(file), "--format", format_]) == 0
        assert capsys.readouterr().out == expected[format_]
    assert sorted(tmp_path.rglob("*")) == before
    return expected


def test_every_format_is_the_same_from_the_file(store_run, tmp_path, monkeypatch, capsys):
    """As from the store: figures, intervals, verdicts, certificates; the scale is the file's. Nothing is written."""
    for row, values in POINTS.items():
        for seed, points in enumerate(values):
            certificate = a_certificate()
            if (row, seed) == (OTHER, 2):
                certificate["prompts"] = "other prompts"
            store_run(row, seed=seed, metrics=metrics_of(row, points), certificate=certificate)
    expected = same_from_a_file(tmp_path, monkeypatch, capsys)
    assert all("NOT PAIRED" in expected[format_] for format_ in ("md", "html"))
    assert all("hurts" in expected[format_] for format_ in ("md", "brief", "csv", "json", "latex", "html", "svg"))


def test_one_seed_has_its_intervals_over_examples_from_the_file_too(store_row, tmp_path, monkeypatch, capsys):
    """They are worked out from answers, which are not in the file: it holds what came out."""
    store_row()
    store_row(ROW, BAD)
    expected = same_from_a_file(tmp_path, monkeypatch, capsys)
    row = next(row for row in json.loads(expected["json"])["rows"] if row["row"] == ROW)
    assert all(score["low"] < score["high"] for score in (row["overall"], *row["scores"].values()))


def test_a_line_is_a_run(file):
    """One line a run, with the seed's own figures and its own comparison with the baseline."""
    heads, *lines = (line.split(",") for line in file.read_text().splitlines())
    runs = [dict(zip(heads, line, strict=True)) for line in lines]
    rows = "baseline", ROW, OTHER
    assert [(run["ablation"], int(run["seed"])) for run in runs] == [(row, seed) for row in rows for seed in range(3)]
    assert [float(run[OVERALL]) for run in runs] == [points for row in rows for points in POINTS[row]]
    assert {run["started"] for run in runs} == {"1970-01-01T00:00:01.000+00:00"}
    assert [run["certificate"] for run in runs] == ["", "", "", "equal", "equal", "equal", "equal", "equal", "differs"]


def test_rows_and_seeds_can_be_chosen_from_it(file, capsys):
    """As from a store; one seed alone has its interval over examples."""
    assert main(report, ["--from", str(file), "--format", "json", "--rows", ROW, "--seeds", "1"]) == 0
    baseline, row = json.loads(capsys.readouterr().out)["rows"]
    assert (baseline["row"], row["row"], row["n"]) == ("baseline", ROW, 1)
    assert row["overall"]["difference"] == POINTS[ROW][0] - POINTS["baseline"][0]
    assert (row["overall"]["low"], row["overall"]["high"]) == (-7.25, -0.5)


def test_seeds_that_ran_on_two_machines_make_one_table(file, tmp_path, capsys):
    """Two files with one seed in common are the file they were parts of, in either order; so is their own file."""
    heads, *lines = file.read_text().splitlines(keepends=True)
    parts = tmp_path / "one.csv", tmp_path / "other.csv"
    for part, seeds in zip(parts, ({"0", "1"}, {"1", "2"}), strict=True):
        part.write_text(heads + "".join(line for line in lines if line.split(",")[2] in seeds))
    assert main(report, ["--from", str(file), "--format", "json"]) == 0
    whole = capsys.readouterr().out
    together = tmp_path / "together.csv"
    assert main(report, ["--from", ",".join(map(str, parts)), "--format", "runs", "--out", str(together)]) == 0
    assert together.read_text() == file.read_text()
    assert main(report, ["--from", ",".join(map(str, reversed(parts))), "--format", "json"]) == 0
    assert capsys.readouterr().out == whole


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: "", "no column"),
        (lambda text: text.partition("\n")[0] + "\n", "it holds no run"),
        (lambda text: text.replace(",overall,", ",total,"), "no column overall"),
        (lambda text: text[: len(text) // 2], "it is cut short"),
        (lambda text: text.replace("60.0", "sixty", 1), "line 2: could not convert string to float"),
        (lambda text: text.replace("60.0", "nan", 1), "line 2: `coco_cider` is `nan`"),
        (lambda text: text.replace("-7.25,", ",", 1), "line 5: could not convert string to float: ''"),
        (lambda text: text.replace("equal", "alike", 1), "line 5: `certificate` is `alike`"),
        (lambda text: text.replace("tiny,baseline,0", "tiny,baseline,first"), "line 2: a run has a name"),
        (lambda text: text + '"', "unexpected end of data"),
    ],
)
def test_what_is_no_such_file_is_refused(damage, said, file, capsys):
    """Exit 2, what is wrong in which line, nothing on stdout."""
    file.write_text(damage(file.read_text()))
    assert main(report, ["--from", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and "hint: " in err and "--from" in err


def test_a_file_that_is_not_there_is_refused_with_all_else(tmp_path, capsys):
    """Together with other mistakes of the command."""
    files = f"{tmp_path}/none.csv,{tmp_path}/neither.csv"
    assert main(report, ["--from", files, "--seeds", "0"]) == 2
    err = capsys.readouterr().err
    assert "none.csv" in err and "neither.csv" in err and "No such file" in err and "`--seeds` is `0`" in err


def test_a_seed_that_no_run_has_is_refused(file, capsys):
    """More digits than a number has: the line is named."""
    lines = list(csv.DictReader(io.StringIO(file.read_text())))
    lines[0]["seed"] = "1" * 19
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    file.write_text(text.getvalue())
    assert main(report, ["scale=tiny", "--from", str(file)]) == 2
    assert "line 2" in capsys.readouterr().err
