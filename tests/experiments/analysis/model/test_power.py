"""Power of a table that is not run yet: which difference it would show, and how many seeds a difference takes."""

import pytest

from experiments.analysis.model import power


@pytest.mark.parametrize(("seeds", "expected"), [(3, 3.2), (5, 2.4), (10, 1.7)])
def test_the_detectable_difference_of_the_published_tables_size(seeds: int, expected: float) -> None:
    """17 rows, in residual standard deviations: 3.2, 2.4 and 1.7 at 3, 5 and 10 seeds."""
    assert power.detectable(1.0, rows=17, seeds=seeds) == pytest.approx(expected, abs=0.05)


def test_detectable_and_seeds_answer_the_same_question() -> None:
    """At the seeds that a difference takes it is detectable, and at one less it is not."""
    for difference in (0.7, 1.5, 3.0):
        seeds = power.seeds_to_detect(difference, 1.0, rows=17)
        assert seeds is not None
        at, below = (power.detectable(1.0, rows=17, seeds=number) for number in (seeds, seeds - 1))
        assert at is not None and below is not None and at <= difference < below
    assert power.seeds_to_detect(0.01, 1.0, rows=17) is None
    assert power.detectable(1.0, rows=17, seeds=1) is None
