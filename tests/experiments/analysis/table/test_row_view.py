"""Everything that formats and screens show of a row, worked out in one place."""

import copy
import dataclasses

import pytest

from experiments.analysis import Table
from experiments.analysis.table.row_view import views
from experiments.analysis.table.runs_file import RunsFile
from experiments.published import table3
from experiments.published.table3 import COLUMNS as SCORES
from experiments.store.names import OVERALL
from tests.experiments.analysis.table.test_select import a_run

ROW, OWN, MISSING, BROKEN, ONE_RUN = "xattn_every_4th", "my_row", "resampler_mlp", "xattn_vanilla", "xattn_grafting"
NOTHING = RunsFile((), {}, {})


@pytest.fixture(scope="module")
def stored():
    """Three seeds of the baseline, of a row of the paper and of one's own; one row is short, one cannot be read."""
    points = {"baseline": 60.0, ROW: 50.0, OWN: 61.0, BROKEN: 40.0}
    runs = [
        a_run(name, seed, one + seed + 0.1 * (seed * len(name) % 3))
        for name, one in points.items()
        for seed in range(3)
    ]
    table = Table.load("tiny", finished=[*runs, a_run(ONE_RUN, 0, 20.0)], evidence=NOTHING.evidence)
    found = copy.deepcopy(table.table)
    for row in found["rows"]:
        if row["row"] == BROKEN:
            row.update(n=0, run_ids=[])
    kept = {name: of_row for name, of_row in table.runs.items() if name != BROKEN}
    return dataclasses.replace(table, table=found, runs=kept, broken={BROKEN: "cut short"})


@pytest.fixture(scope="module")
def by_name(stored):
    return {view.name: view for view in stored.views()}


def test_the_rows_are_the_tables(stored, by_name):
    """In its order, with the baseline that they are compared with."""
    assert list(by_name) == [row["row"] for row in stored.table["rows"]]
    assert [name for name, view in by_name.items() if view.is_baseline] == ["baseline"]
    assert all(view.baseline is by_name["baseline"] for name, view in by_name.items() if name != "baseline")
    assert by_name["baseline"].baseline is None


@pytest.mark.parametrize("name", [*table3.rows(), OWN])
def test_published_differences_are_from_the_papers_baseline(name, by_name):
    """In every column and in costs; the baseline has none, nor has a row that the paper does not have."""
    paper, base, view = table3.rows().get(name), table3.rows()["baseline"], by_name[name]
    if paper is None:
        assert view.published is None and view.published_difference is None
        return
    found = {score.metric: (score.level, score.difference) for score in view.published.all_scores}
    levels, of_base = ({**one.scores, OVERALL: one.overall} for one in (paper, base))
    assert list(found) == [*SCORES, OVERALL]
    for metric, level in levels.items():
        assert found[metric] == (level, None if paper is base else level - of_base[metric])
    assert view.published_difference == found[OVERALL][1]
    assert view.published.step_time_ratio == paper.step_time_s / base.step_time_s
    costs = (view.published.params_difference_b, view.published.step_time_difference_s)
    known = (paper.params_b - base.params_b, paper.step_time_s - base.step_time_s)
    assert costs == ((None, None) if paper is base else known)


def test_scores_are_the_objects(stored, by_name):
    """The figures that `--json` prints, column by column, and half an interval."""
    for view in by_name.values():
        for score, known in zip(view.all_scores, (*view.row["scores"].values(), view.row["overall"]), strict=True):
            assert {key: getattr(score, key) for key in ("mean", "difference", "low", "high", "blind")}.items() <= (
                known.items()
            )
            expected = None if score.low is None else (score.high - score.low) / 2
            assert score.half_width == expected
    overall = by_name[ROW].overall
    assert overall.difference == pytest.approx(-10.0, abs=0.3) and overall.low < overall.difference < overall.high


def test_words(by_name):
    """Heading, label, answer, what intervals are over, pairing: where there is nothing to say, nothing."""
    view, baseline, own = by_name[ROW], by_name["baseline"], by_name[OWN]
    assert (view.heading, view.label) == ("(v) Cross-attention frequency: Every \u2192", "Every 4th")
    assert view.answer == view.verdict == "hurts" and view.over == "95% over seeds"
    assert view.pairing == "no certificate" and not view.is_unpaired
    assert (baseline.answer, baseline.over, baseline.pairing, baseline.verdict) == ("", "", "", None)
    assert (own.heading, own.label) == ("Combinations and rows of our own", "")
    assert by_name[MISSING].answer == by_name[MISSING].pairing == ""


def test_flags_and_what_to_do(by_name):
    """Stored, short of seeds, one run in the noise of others, missing, broken: each with its command."""
    states = {name: (by_name[name].is_stored, by_name[name].is_short) for name in (ROW, ONE_RUN, MISSING, BROKEN)}
    assert states == {ROW: (True, False), ONE_RUN: (True, True), MISSING: (False, True), BROKEN: (False, True)}
    assert by_name[ONE_RUN].has_borrowed_noise and not by_name[ROW].has_borrowed_noise
    assert by_name[ONE_RUN].missing_seeds == [1, 2] and by_name[ROW].missing_seeds == []
    assert by_name[ROW].command is None and by_name[MISSING].command.endswith("seed=0,1,2")
    assert by_name[BROKEN].broken == "cut short" and "rerun=true" in by_name[BROKEN].command
    assert by_name[ROW].unverified == [run.run_id for run in by_name[ROW].stored.runs[ROW].values() if not run.verified]


def test_costs_are_beside_the_baselines(stored):
    """Parameters more or less than its; a step time of other rounds is not set beside it."""
    table = copy.deepcopy(stored.table)
    base, row = (next(one for one in table["rows"] if one["row"] == name) for name in ("baseline", ROW))
    base.update(params_total=2_000_000, params_trainable=1_000_000, step_time_s=0.4)
    row.update(params_total=1_500_000, params_trainable=None, step_time_s=0.9)
    view = next(one for one in views(table) if one.name == ROW)
    assert (view.params_difference, view.trained_difference) == (-500_000, None)
    assert view.step_time_s is None and view.baseline_step_time_s == 0.4
    row.update(paired_baseline_step_time_s=0.6, step_time_difference_s=-0.3)
    assert view.step_time_s == pytest.approx(0.3) and view.baseline_step_time_s == 0.6
