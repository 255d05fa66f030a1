"""A row is what its spec hash says, not what it is called: one design a row, the newest finished one, everywhere."""

import csv
import io
import json
import random
from itertools import permutations

import pytest
import yaml

from dashboard.html_table import html_table
from experiments.analysis import Table
from experiments.analysis.formats import as_text
from experiments.analysis.model.bootstrap import Interval
from experiments.analysis.table import build
from experiments.analysis.table.runs_file import RunsFile, as_runs, joined, read
from experiments.analysis.table.select import select
from experiments.command import tables
from experiments.command.cli import main
from experiments.published.table3 import COLUMNS as SCORES
from experiments.report import report
from experiments.store.names import OVERALL, blind
from experiments.store.stored_run import StoredRun
from tests.experiments.commands import QUICK, run_here
from tests.experiments.stored_runs import COST_METRICS, FakeSpec

NOTHING = RunsFile((), {}, {})


def a_run(row, seed, points, *, design="", ended=1_000, run_id="", baseline="base", overrides="", scale="tiny"):
    """A finished run as a store's reader gives it; `design` stands for the row's spec hash."""
    metrics = {name: points for metric in (*SCORES, OVERALL) for name in (metric, blind(metric))}
    tags = {"scale": scale, "ablation": row, "seed": str(seed), "baseline_hash": baseline, "overrides": overrides}
    tags["spec_hash"] = baseline if row == "baseline" and not design else f"{row}{design}"
    name = run_id or "".join(filter(str.isalnum, f"{row}{tags['spec_hash']}{seed}{ended}{overrides}"))
    return StoredRun(name, "FINISHED", 500, ended, "", tags, {}, {**metrics, **COST_METRICS})


def edited():
    """A baseline on three seeds; a row on three, whose YAML was edited before it ran again on one."""
    return [
        *(a_run("baseline", seed, 60.0 + seed) for seed in range(3)),
        *(a_run("lowlr", seed, 10.0 + seed, design="-old", ended=2_000 + seed) for seed in range(3)),
        a_run("lowlr", 1, 50.0, design="-new", ended=3_000),
        *(a_run("resampler_mlp", seed, 61.5 + seed * 1.1) for seed in range(3)),
    ]


def lay(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def nested(overrides):
    """`a.b=1` as YAML has it."""
    tree = {}
    for key, _, value in (override.partition("=") for override in overrides):
        *parents, last = key.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = yaml.safe_load(value)
    return tree


def loaded(runs, **arguments):
    return Table.load("tiny", finished=runs, evidence=NOTHING.evidence, **arguments)


def row_of(built, name):
    return next(row for row in built["rows"] if row["row"] == name)


def test_an_edited_row_is_the_new_one_and_the_old_ones_are_named():
    """Only the newest spec's runs are in the row; what its other seeds take is said, what was left out is counted."""
    built = loaded(edited()).table
    row = row_of(built, "lowlr")
    assert (row["n"], row["overall"]["mean"]) == (1, 50.0)
    assert built["seeds"] == [0, 1, 2]
    assert row["missing"] == [f"python -m experiments.run ablation=lowlr scale=tiny seed={seed}" for seed in (0, 2)]
    assert built["left_out"] == {
        "not_comparable": 0,
        "other_designs": [{"row": "lowlr", "runs": 3, "older": True}],
    }
    assert built["method"].endswith("; left out: 3 runs of an older `lowlr`")


def test_seeds_that_only_an_older_spec_has_are_missing():
    """Where no other row has them, too."""
    stored = loaded([run for run in edited() if run.row != "resampler_mlp"])
    assert stored.table["seeds"] == [0, 1, 2]
    assert stored.fill_command("lowlr") == "python -m experiments.run -m ablation=lowlr scale=tiny seed=0,2"


@pytest.mark.parametrize("format_", ["md", "brief", "latex", "html", "json"])
def test_every_format_names_what_was_left_out(format_):
    """And prints the newest alone."""
    text = as_text(loaded(edited()), format_).replace("\\", "")
    assert "left out: 3 runs of an older `lowlr`" in text
    assert "50.0" in text


def test_a_spreadsheet_and_the_dashboard_name_it_too():
    """A column of the CSV, the caption of the screen; the runs written to a file are those of the table."""
    stored = loaded(edited())
    counted = {line["row"]: line["other_design_runs"] for line in csv.DictReader(io.StringIO(as_text(stored, "csv")))}
    assert counted["lowlr"] == "3" and {number for row, number in counted.items() if row != "lowlr"} == {"0"}
    assert "left out: 3 runs of an older `lowlr`" in html_table(stored, show="score")
    specs = {line["spec_hash"] for line in csv.DictReader(io.StringIO(as_runs(stored))) if line["ablation"] == "lowlr"}
    assert specs == {"lowlr-new"}


def test_a_table_of_two_designs_in_one_row_is_refused():
    """Whoever builds one has to select first; two runs of one seed are no row either."""
    with pytest.raises(ValueError, match=r"row `lowlr` has runs of 2 specs: lowlr-new, lowlr-old; select first"):
        build.build(edited(), scale="tiny", seeds=[0])
    with pytest.raises(ValueError, match="row `baseline` has two runs of seed 0"):
        build.build([a_run("baseline", 0, 1.0), a_run("baseline", 0, 2.0, ended=5)], scale="tiny", seeds=[0])


def test_what_is_left_out_is_counted_once_and_nothing_goes_unsaid():
    """Runs with overrides, of another baseline, of another spec: each job once; what was run again counts as one."""
    runs = [
        *edited(),
        a_run("baseline", 0, 1.0, ended=5),  # was run again
        a_run("lowlr", 0, 1.0, design="-old", ended=6),  # as well
        a_run("baseline", 0, 1.0, baseline="before", ended=7),
        a_run("lowlr", 0, 1.0, design="-old", baseline="before", ended=8),
        a_run("lowlr", 0, 1.0, design="-other", overrides="train.lr=1", ended=9),
        a_run("lowlr", 0, 1.0, scale="desk"),
    ]
    found = select("tiny", runs)
    assert found.left_out == 3
    assert sorted(run.seed for run in found.other_designs) == [0, 1, 2]
    assert len(found.runs) == 7


def test_a_spec_that_has_two_names_is_in_both_rows():
    """The same keys as a published row's, or as an override: neither hides the other."""
    spec = {"spec_hash": "same"}
    named, other, override = (
        a_run("xattn_every_4th", 0, 1.0, ended=10),
        a_run("my_4th", 0, 1.0, ended=11),
        a_run("baseline", 0, 1.0, overrides="model.xattn.placement=every_4th", ended=12),
    )
    for run in (named, other, override):
        run.tags.update(spec)
    found = select("tiny", [a_run("baseline", 0, 60.0), named, other, override])
    assert {run.row for run in found.runs} == {"baseline", "xattn_every_4th", "my_4th"}
    assert found.left_out == 1


def test_the_order_of_runs_changes_no_table():
    """Neither of those given, nor of the lines of a file, nor of the files; ends at the same time are settled."""
    runs = [
        *edited(),
        *(a_run("lowlr", seed, 30.0, design="-third", ended=3_000) for seed in range(3)),  # ends with the newest
        a_run("resampler_mlp", 0, 99.0, run_id="twin"),  # ends with another run of the same job
        a_run("baseline", 0, 1.0, baseline="before", ended=7),
        a_run("xattn_every_4th+lowlr", 0, 42.0),
        a_run("lowlr", 0, 1.0, overrides="train.lr=1"),
    ]
    shuffle = random.Random(0).shuffle
    expected = loaded(runs)
    for _ in range(4):
        shuffle(runs)
        found = loaded(runs)
        assert found.table == expected.table
        assert as_runs(found) == as_runs(expected)


def test_the_order_of_files_and_of_their_lines_changes_no_table(tmp_path, capsys):
    """Two people's rows of one name, a run that two files tell of differently: the same table, its left out named."""
    mine = [run for run in edited() if run.row != "resampler_mlp" and run.spec_hash != "lowlr-new"]
    theirs = [run for run in edited() if run.spec_hash != "lowlr-old"]
    again = [StoredRun(**{**vars(run), "metrics": {**run.metrics, "train_step_time_s": 1.0}}) for run in mine[:2]]
    texts = []
    for runs, certificate in ((mine, "equal"), (theirs, "differs"), (again, None)):
        evidence = RunsFile((), {run.run_id: certificate for run in runs}, {}).evidence
        texts.append(as_runs(Table.load("tiny", finished=runs, evidence=evidence)).splitlines(keepends=True))
    seen = set()
    for place, order in enumerate(permutations(range(3))):
        files = [tmp_path / f"{place}-{which}.csv" for which in order]
        for file, which in zip(files, order, strict=True):
            heads, *lines = texts[which]
            random.Random(place).shuffle(lines)
            file.write_text(heads + "".join(lines))
        assert main(report, ["--from", ",".join(map(str, files)), "--format", "json"]) == 0
        seen.add(capsys.readouterr().out)
        assert joined([read(file) for file in files]) == joined([read(file) for file in reversed(files)])
    (only,) = seen
    built = json.loads(only)
    assert row_of(built, "lowlr")["overall"]["mean"] == 50.0
    assert built["left_out"]["other_designs"] == [{"row": "lowlr", "runs": 3, "older": True}]


def test_of_what_two_files_say_of_a_run_the_worse_certificate_and_the_fuller_line_count():
    """In either order."""
    one = a_run("lowlr", 0, 1.0)
    fuller = StoredRun(**{**vars(one), "metrics": {**one.metrics, "step_time_ratio": 0.5}})
    files = [
        RunsFile((one,), {one.run_id: "differs"}, {one.run_id: {OVERALL: Interval(-1.0, 1.0)}}),
        RunsFile((fuller,), {one.run_id: "equal"}, {}),
        RunsFile((one,), {one.run_id: None}, {}),
    ]
    for order in permutations(files):
        both = joined(order)
        assert both.runs[0].metrics == fuller.metrics
        assert both.certificates == {one.run_id: "differs"} and both.over_examples[one.run_id][OVERALL].high == 1.0


def test_a_command_that_sweeps_a_row_prints_a_table_for_each_spec(store_file):
    """A key of the row's own part makes two designs under one name and one baseline: never one row."""
    base = a_run("baseline", 0, 60.0)
    done = []
    for design, points in (("-64", 50.0), ("-128", 40.0)):
        run = a_run("resampler_mlp", 0, points, design=design, overrides=f"model.resampler.mlp.width={design}")
        spec = FakeSpec(name="resampler_mlp", hash=run.spec_hash, baseline_hash="base")
        done.append((spec, run, base))
    made = tables.tables_of(done)
    assert [row_of(built, "resampler_mlp")["overall"]["mean"] for built in made] == [50.0, 40.0]
    assert all(row_of(built, "baseline")["n"] == 1 for built in made)


def test_a_command_says_the_same_of_a_row_as_a_report(store_file):
    """Its interval counts the same runs, whichever rows the command names, and what is left out is named."""
    runs = [
        *(run for run in edited() if run.spec_hash != "lowlr-new"),
        *(a_run("lowlr", seed, 49.0 + seed * 0.7, design="-new", ended=4_000) for seed in range(3)),
        *(a_run("my_row", seed, 58.0 + seed * seed) for seed in range(3)),
    ]
    expected = row_of(loaded(runs).table, "lowlr")
    new = [run for run in runs if run.spec_hash == "lowlr-new"]
    base = {run.seed: run for run in runs if run.row == "baseline"}
    done = [
        (FakeSpec(name="lowlr", seed=run.seed, hash=run.spec_hash, baseline_hash="base"), run, base[run.seed])
        for run in new
    ]
    (built,) = tables.tables_of(done, runs)
    assert row_of(built, "lowlr")["overall"] == expected["overall"]
    assert "3 runs of an older `lowlr`" in built["method"]
    assert row_of(loaded(runs, rows=["lowlr"]).table, "lowlr") == expected


@pytest.fixture
def ran(store_file, tmp_path, capsys):
    """Run a row of one's own at a quick scale of one's own, at the learning rates of both, and say what was printed."""
    conf = tmp_path / "conf"

    def run(rate, *more, baseline=0.01):
        keys = yaml.safe_dump({"defaults": ["tiny", "_self_"], **nested((*QUICK[1:], f"train.lr={baseline}"))})
        lay(conf / "scale" / "quick.yaml", f"# @package _global_\n{keys}")
        text = f"# @package _global_\nchanges: {{lowlr: [train.lr]}}\ntrain: {{lr: {rate}}}\n"
        lay(conf / "ablation" / "lowlr.yaml", text)
        assert run_here("scale=quick", "ablation=lowlr", "--config-dir", str(conf), *more) == 0
        return capsys.readouterr().out

    return run


def reported(capsys):
    """The table of that scale as `report` gives it."""
    assert main(report, ["scale=quick", "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_row_that_was_edited_and_run_again_is_the_new_one_everywhere(ran, capsys):
    """`run` and `report` print the same; run once more as it was before, a row says that tables show another."""
    old = row_of(json.loads(ran(0.3, "--json")), "lowlr")
    new = row_of(json.loads(ran(0.02, "--json")), "lowlr")
    assert old["run_ids"] != new["run_ids"]
    table_now = reported(capsys)
    assert row_of(table_now, "lowlr") == new
    assert "1 run of an older `lowlr`" in table_now["method"] and "1 run of an older `lowlr`" in ran(0.02)
    text = ran(0.3)
    assert "left out: 1 run of a newer `lowlr`   (tables show the newest)" in text
    assert f"{old['overall']['mean']:.1f}" in text


def test_a_row_whose_baseline_was_edited_can_be_had_again(ran, capsys):
    """It is the same spec beside another baseline: its weights are evaluated for the new table, which then holds it."""
    before = row_of(json.loads(ran(0.02, "--json")), "lowlr")
    after = row_of(json.loads(ran(0.02, "--json", baseline=0.03)), "lowlr")
    found = reported(capsys)
    assert row_of(found, "lowlr") == after and after["run_ids"] != before["run_ids"]
    assert after["overall"]["mean"] == before["overall"]["mean"]
    assert found["left_out"] == {"not_comparable": 2, "other_designs": []}
