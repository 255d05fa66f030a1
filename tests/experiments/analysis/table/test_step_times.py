"""Step times of a row: ms and ratio of the same rounds, one interval over all timings, and how many there are."""

import math

import pytest

from experiments.analysis.table.load import Table
from experiments.analysis.table.runs_file import OPTIONAL, RunsFile, as_runs, read
from experiments.analysis.table.step_times import pooled_interval, shown_step_time_s, step_times
from experiments.store.names import PAIRED_STEP_TIME
from experiments.store.stored_run import StoredRun
from tests.experiments.analysis.table.test_runs_file import a_run


def timed(ratio, own=None, base=None, *, width=0.05):
    """A run of a row that was timed beside its baseline, by code that stored the baseline's time or did not."""
    metrics = {"step_time_ratio": ratio, "step_time_ratio_low": ratio - width, "step_time_ratio_high": ratio + width}
    known = {"step_time_s": own, PAIRED_STEP_TIME: base}
    metrics |= {name: value for name, value in known.items() if value is not None}
    return StoredRun(f"at {ratio}", "FINISHED", 0, 0, "", {}, {}, metrics)


def test_one_timing_keeps_its_interval_and_more_have_one_that_is_narrower():
    """Four that agree: half as wide on the log scale, around the median."""
    assert pooled_interval([(0.6, 0.5, 0.72)]) == (0.5, 0.72)
    low, high = pooled_interval([(0.6, 0.5, 0.72)] * 4)
    assert math.log(high / low) == pytest.approx(math.log(0.72 / 0.5) / 2)
    assert low < 0.6 < high


def test_timings_that_disagree_make_it_wider():
    """It is never narrower than what they differ by says, and always holds the ratio that is printed."""
    close = pooled_interval([(ratio, ratio - 0.01, ratio + 0.01) for ratio in (0.80, 0.80, 0.80)])
    apart = pooled_interval([(ratio, ratio - 0.01, ratio + 0.01) for ratio in (0.70, 0.80, 0.90)])
    assert apart[1] - apart[0] > 5 * (close[1] - close[0])
    assert apart[0] < 0.80 < apart[1]


def test_an_interval_that_one_timing_lacks_is_not_made_up():
    """None, whichever lacks it; and of nothing nothing."""
    assert pooled_interval([(0.6, 0.5, 0.7), (0.6, None, None)]) == (None, None)
    assert pooled_interval([]) == (None, None)


def test_ms_are_of_the_rounds_that_the_ratio_is_of():
    """The timing in the middle speaks for itself; medians of several machines are never subtracted."""
    found = step_times([timed(0.9, 0.9, 1.0), timed(0.8, 8.0, 10.0), timed(0.5, 0.2, 0.4)], is_baseline=False)
    assert found["step_time_ratio"] == 0.8 and found["num_timed"] == 3
    assert found[PAIRED_STEP_TIME] == 10.0 and found["step_time_difference_s"] == -2.0
    assert shown_step_time_s(found, is_baseline=False) == 8.0
    assert found["step_time_s"] == 8.0, "every time in the row is of the same rounds"


def test_without_the_baselines_time_there_are_ratios_only():
    """One timing of older code is enough: its ratio is in the median, and its ms are not known."""
    found = step_times([timed(0.8, 0.4, 0.5), timed(0.7, 0.3)], is_baseline=False)
    assert found["step_time_ratio"] == 0.75 and found["step_time_ratio_low"] is not None
    assert found[PAIRED_STEP_TIME] is found["step_time_difference_s"] is None
    assert shown_step_time_s(found, is_baseline=False) is None


def test_a_file_of_runs_has_the_column_where_a_run_has_the_figure(tmp_path, monkeypatch):
    """It comes back from the file; a file without it is read, and written again without it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/mlflow.db")
    runs = [a_run("baseline", 0, 60.0), a_run("xattn_every_4th", 0, 55.0)]
    for expected in (None, 0.5):
        runs[1].metrics.pop(PAIRED_STEP_TIME, None)
        if expected is not None:
            runs[1].metrics[PAIRED_STEP_TIME] = expected
        kept = RunsFile(tuple(runs), {}, {})
        (tmp_path / "runs.csv").write_text(as_runs(Table.load("tiny", finished=runs, evidence=kept.evidence)))
        assert all((name in (tmp_path / "runs.csv").read_text()) is (expected is not None) for name in OPTIONAL)
        back = read(tmp_path / "runs.csv")
        assert {run.row: run.metrics.get(PAIRED_STEP_TIME) for run in back.runs}["xattn_every_4th"] == expected
        again = as_runs(Table.load("tiny", finished=back.runs, evidence=back.evidence))
        assert again == (tmp_path / "runs.csv").read_text()


def test_fewer_timings_than_runs_are_said(tmp_path, monkeypatch):
    """Two of three runs were timed: the caption says so, the interval is of both. Where all were, nothing is said."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/mlflow.db")
    runs = [a_run(row, seed, 60.0 + seed) for row in ("baseline", "xattn_every_4th") for seed in range(3)]
    kept = RunsFile(tuple(runs), {}, {})
    whole = Table.load("tiny", finished=runs, evidence=kept.evidence).table
    assert "timings" not in whole["method"]
    untimed = next(run for run in runs if run.row != "baseline")
    for name in [name for name in untimed.metrics if name.startswith("step_time")]:
        del untimed.metrics[name]
    built = Table.load("tiny", finished=runs, evidence=kept.evidence).table
    assert "step time ratios: 2 timings a row" in built["method"]
    row = next(row for row in built["rows"] if row["row"] == "xattn_every_4th")
    assert (row["n"], row["num_timed"]) == (3, 2)
    assert row["step_time_ratio_low"] < row["step_time_ratio"] < row["step_time_ratio_high"]


def test_of_an_even_number_of_timings_both_in_the_middle_count():
    """The ratio is the mean of two, so are the times: they fit each other."""
    found = step_times([timed(0.7, 0.28, 0.4), timed(0.8, 0.32, 0.4)], is_baseline=False)
    assert found["step_time_s"] / found[PAIRED_STEP_TIME] == pytest.approx(found["step_time_ratio"])
    assert found["step_time_difference_s"] == pytest.approx(-0.1)
