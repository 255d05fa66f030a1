"""`python -m experiments.table3`: only what is missing runs, and a wrong command runs nothing."""

import json

import pytest

from experiments.command.cli import main
from experiments.store import reader
from experiments.table3 import table3
from tests.experiments.commands import QUICK


def run_table(*arguments: str) -> int:
    return main(table3, [*arguments, "--workers=1"])


def test_only_what_is_missing_is_run(store_file, capsys):
    """Rows x seeds against what is stored: a second seed adds its runs, repeats none; a deleted run is made again."""
    rows = ("--rows", "xattn_every_4th,resampler_mlp")
    assert run_table(*rows, *QUICK) == 0
    capsys.readouterr()
    first = {run.run_id for run in reader.runs(status=None)}
    assert len(first) == 3
    assert run_table(*rows, "--seeds", "2", "--json", *QUICK) == 0
    table = json.loads(capsys.readouterr().out)
    assert [(row["row"], row["n"], row["missing"]) for row in table["rows"]] == [
        ("baseline", 2, []),
        ("xattn_every_4th", 2, []),
        ("resampler_mlp", 2, []),
    ]
    every = {run.run_id for run in reader.runs(status=None)}
    assert first < every and len(every) == 6
    from mlflow import MlflowClient

    from experiments.store.connection import use_store

    gone = next(run for run in reader.runs() if run.row == "resampler_mlp" and run.seed == 1)
    MlflowClient(use_store()).delete_run(gone.run_id)
    assert run_table(*rows, "--seeds", "2", *QUICK) == 0
    printed = capsys.readouterr().out
    after = {run.run_id for run in reader.runs(status=None)}
    assert len(after - every) == 1 and every - after == {gone.run_id}
    assert printed.count("published") == 3 and "missing" not in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rows", "xattn_every_4rd"), ("`--rows` is `xattn_every_4rd`", "did you mean `xattn_every_4th`?")),
        (("--seeds", "0"), ("`--seeds` is `0`",)),
        (
            ("--seeds", "many", "--executor", "ray"),
            ("`--seeds` is `many`", "`--executor` is `ray`; allowed: in_process, local"),
        ),
        (("seed=1", "ablation=xattn_vanilla"), ("did you mean `--seeds`?", "did you mean `--rows`?")),
        (("scale=huge",), ("`scale` is `huge`", "allowed: desk, smol, tiny")),
    ],
)
def test_a_wrong_command_names_all_that_is_wrong_and_runs_nothing(arguments, said, store_file, capsys):
    """Exit 2, one message, nothing stored."""
    assert run_table(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(text in captured.err for text in said)
    assert reader.runs(status=None) == []


def test_a_dry_run_says_what_is_missing_and_runs_nothing(store_run, capsys):
    """Jobs in their order; how long is known once something of the scale has run."""
    few = ("--rows", "xattn_every_4th", "--dry-run", *QUICK)
    assert run_table(*few) == 0
    assert capsys.readouterr().out.splitlines() == [
        "baseline seed 0  time unknown, nothing of this scale is stored",
        "xattn_every_4th seed 0  time unknown, nothing of this scale is stored",
        "jobs: 2, side by side: 1, together: time unknown, nothing of this scale is stored; timing passes come after",
    ]
    store_run(scale="tiny")
    assert run_table(*few, "--json") == 0
    forecast = json.loads(capsys.readouterr().out)
    assert [(job["row"], job["seed"], job["step"]) for job in forecast["jobs"]] == [
        ("baseline", 0, 0),
        ("xattn_every_4th", 0, 0),
    ]
    assert forecast["expected_s"] == sum(job["expected_s"] for job in forecast["jobs"])
    assert len(reader.runs(status=None)) == 1


def test_more_seeds_of_the_baseline(store_file, capsys):
    """As many as are asked for, the rows' seeds among them."""
    few = ("--rows", "xattn_every_4th", "--seeds", "2", "--dry-run", "--json", *QUICK)
    assert run_table(*few, "--baseline-seeds", "4") == 0
    jobs = json.loads(capsys.readouterr().out)["jobs"]
    assert [job["seed"] for job in jobs if job["row"] == "baseline"] == [0, 1, 2, 3]
    assert [job["seed"] for job in jobs if job["row"] == "xattn_every_4th"] == [0, 1]


def test_fail_fast_stops_at_the_first_failure(store_file, capsys):
    """Exit 1, and what had not begun is not begun."""
    few = ("--rows", "xattn_every_4th,resampler_mlp", "--fail-fast", "train.lr=1e30", *QUICK)
    assert run_table(*few) == 1
    assert [run.status for run in reader.runs(status=None)] == ["FAILED"]
    assert "error: baseline seed 0: the loss is" in capsys.readouterr().err
