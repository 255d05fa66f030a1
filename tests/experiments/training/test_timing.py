"""The timing pass: its interval, and bytes of live tensors."""

import json
import random
import sqlite3
from contextlib import contextmanager
from statistics import median

import torch

from experiments.jobs import machine_lock, reconcile
from experiments.jobs.complete import complete
from experiments.store import reader
from experiments.store.names import PAIRED_STEP_TIME, TIMING_FILE
from experiments.training.memory import LiveBytes
from experiments.training.timing import median_interval, time_rows
from tests.experiments.commands import QUICK, run_here, tiny_spec


def test_the_interval_covers_the_median_as_often_as_it_says():
    """Over many draws of 15 values, at least 95% of the intervals hold the true median, and not nearly all."""
    draw = random.Random(0)
    covered = 0
    for _ in range(4000):
        values = [draw.expovariate(1.0) for _ in range(15)]
        low, high = median_interval(values)
        assert low <= median(values) <= high
        covered += low <= 0.6931 <= high
    assert 0.955 < covered / 4000 < 0.975  # of 15 values, ranks 4 and 12 cover 96.5%


def test_the_interval_of_fifteen_values_is_the_fourth_from_either_end():
    """Known order statistics; with too few values for 95% it is everything there is."""
    assert median_interval([float(value) for value in range(1, 16)]) == (4.0, 12.0)
    assert median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)


def test_live_bytes_follow_what_is_kept_and_what_is_dropped():
    """Saved activations and gradients count while something refers to them."""
    linear, x = torch.nn.Linear(100, 100, bias=False), torch.randn(10, 100)
    weights, activation = 100 * 100 * 4, 10 * 100 * 4
    with LiveBytes() as live:
        live.follow([*linear.parameters(), x])
        assert live.now == weights + activation
        y = linear(x)
        z = torch.relu(y)
        assert live.now == weights + 3 * activation
        del y  # relu keeps its result alone
        assert live.now == weights + 2 * activation
        z.sum().backward()
        assert live.peak >= 2 * weights + 2 * activation
        del z
        assert live.now == 2 * weights + activation


def test_a_row_with_fewer_blocks_is_smaller_and_both_sides_are_timed():
    """Memory of a step falls with the blocks; each side has its own times, the row alone has no ratio."""
    spec = tiny_spec("ablation=xattn_single_middle")
    row, baseline = time_rows(spec, spec.baseline, torch.device("cpu"))
    assert row.peak_memory_bytes < baseline.peak_memory_bytes
    assert row.step_time_ratio_low <= row.step_time_ratio <= row.step_time_ratio_high
    assert 0 < row.step_time_s <= row.step_time_p90_s
    assert baseline.step_time_ratio is None
    alone, nothing = time_rows(spec, None, torch.device("cpu"))
    assert nothing is None
    assert "step_time_ratio" not in alone.metrics()
    assert alone.peak_memory_bytes == row.peak_memory_bytes


def test_two_commands_at_once_time_a_row_once_and_what_is_stored_fits(store_file, monkeypatch):
    """Who waited for the other's timing asks the store again: each figure is stored once, and all are of one pass."""
    words = ("ablation=xattn_every_4th", *QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "is_complete", lambda spec: True)
        assert run_here(*words) == 0
    spec, alone, waited = tiny_spec(*words[:1], *words[2:]), machine_lock.alone, []

    @contextmanager
    def after_another():
        if not waited:
            waited.append(True)
            complete(spec)
        with alone():
            yield

    monkeypatch.setattr(machine_lock, "alone", after_another)
    complete(spec)
    complete(spec)
    with sqlite3.connect(store_file) as database:
        stored = database.execute(
            "select run_uuid, key, count(*) from metrics where key like '%step_time%' and key not like 'train%' "
            "group by run_uuid, key"
        ).fetchall()
    assert {count for *_, count in stored} == {1}
    runs = {run.row: run for run in reader.runs()}
    row, baseline = runs["xattn_every_4th"], runs["baseline"]
    assert {name for run_id, name, _ in stored if run_id == baseline.run_id} == {"step_time_s", "step_time_p90_s"}
    rounds = json.loads(reader.artifact(row, TIMING_FILE).read_text())
    assert row.metrics["step_time_s"] == median(rounds["row_s"])
    assert row.metrics[PAIRED_STEP_TIME] == median(rounds["baseline_s"]) == baseline.metrics["step_time_s"]
    ratios = [ours / theirs for ours, theirs in zip(rounds["row_s"], rounds["baseline_s"], strict=True)]
    assert row.metrics["step_time_ratio"] == median(ratios)
    assert rounds["cpu"] == reader.certificate(row)["environment"]["cpu"] and rounds["host"] == row.tags["host"]
    assert row.metrics["flops_per_step"] < baseline.metrics["flops_per_step"]
