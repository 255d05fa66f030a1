"""The timing pass: its interval, and bytes of live tensors."""

import random
from statistics import median

import torch

from experiments.training.memory import LiveBytes
from experiments.training.timing import median_interval, time_rows
from tests.experiments.commands import tiny_spec


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
