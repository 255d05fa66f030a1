"""The interval over examples covers what it claims to, and knows that questions on one picture go together."""

import numpy as np
import pandas as pd
import pytest

from experiments.analysis.model.bootstrap import intervals, paired, resampled_means
from experiments.evaluation.benchmark import published
from tests.experiments.stored_runs import CEILINGS, answers


def interval_of(row: list[float], baseline: list[float], media: list[str] | None = None) -> tuple[float, float]:
    found = intervals(
        {"vqav2": answers(row, media=media)}, {"vqav2": answers(baseline, media=media)}, CEILINGS, resamples=2000
    )
    assert list(found) == ["vqav2_top1"]
    return found["vqav2_top1"].low, found["vqav2_top1"].high


def test_equal_answers_leave_no_doubt() -> None:
    """Row and baseline score alike on every example: the interval is the point zero."""
    scores = [0.0, 100.0, 30.0, 60.0]
    assert interval_of(scores, scores) == (0.0, 0.0)


def test_a_constant_difference_is_known_exactly() -> None:
    """Every example differs by as much: whichever are drawn, the mean is the same; half the width is zero."""
    low, high = interval_of([11.0, 42.0, 13.0], [10.0, 41.0, 12.0])
    assert low == pytest.approx(1.0) and high == pytest.approx(1.0)


def test_the_interval_covers_the_true_difference() -> None:
    """Over simulated evaluations with a known difference, it covers as often as it says, within Monte-Carlo error."""
    rng = np.random.default_rng(7)
    simulations, pictures, questions, true = 600, 120, 3, 2.0
    covered = 0
    clusters = np.repeat(np.arange(pictures), questions).astype(object)
    for _ in range(simulations):
        of_picture = rng.normal(0, 20, pictures)
        values = true + np.repeat(of_picture, questions) + rng.normal(0, 15, pictures * questions)
        means = resampled_means(values, clusters, rng=rng, resamples=600)
        low, high = np.percentile(means, [2.5, 97.5])
        covered += low <= true <= high
    error = np.sqrt(0.95 * 0.05 / simulations)
    # A percentile interval over 120 pictures and 600 resamples falls short by about half a point of its own.
    assert abs(covered / simulations - 0.95) < 3 * error + 0.005


def test_questions_on_one_picture_widen_the_interval() -> None:
    """Five questions that go right or wrong together tell as little as one: about sqrt(5) times the width."""
    rng = np.random.default_rng(3)
    row = np.repeat(rng.choice([0.0, 100.0], 80), 5).tolist()
    baseline = [50.0] * len(row)
    together = [f"picture/{place // 5}" for place in range(len(row))]
    (low, high), (low_apart, high_apart) = interval_of(row, baseline, together), interval_of(row, baseline)
    assert (high - low) / (high_apart - low_apart) == pytest.approx(np.sqrt(5), rel=0.15)


def test_clusters_of_unequal_size_keep_the_mean() -> None:
    """Resampled means lie about the mean over examples, not about the mean over pictures."""
    values = np.array([0.0] * 30 + [90.0] * 10)
    clusters = np.array([f"many/{place // 3}" for place in range(30)] + [f"one/{place}" for place in range(10)], object)
    means = resampled_means(values, clusters, rng=np.random.default_rng(0), resamples=4000)
    assert means.mean() == pytest.approx(values.mean(), rel=0.05)


def test_the_interval_does_not_depend_on_order_or_chance() -> None:
    """The same stored answers give the same interval, in whichever order the row's were stored."""
    rng = np.random.default_rng(1)
    row, baseline = answers(rng.uniform(0, 100, 50).tolist()), answers(rng.uniform(0, 100, 50).tolist())
    once = intervals({"vqav2": row}, {"vqav2": baseline}, CEILINGS)
    assert intervals({"vqav2": row}, {"vqav2": baseline.sample(frac=1, random_state=0)}, CEILINGS) == once


def test_overall_follows_from_the_five_scores() -> None:
    """Overall's interval: constant differences, each divided by its ceiling; none where a benchmark is missing."""
    baseline = {one.name: answers([10.0, 20.0], benchmark=one.name) for one in published()}
    row = {one.name: answers([10.0 + place, 20.0 + place], benchmark=one.name) for place, one in enumerate(published())}
    expected = np.mean([100 * place / CEILINGS[one.metric] for place, one in enumerate(published())])
    found = intervals(row, baseline, CEILINGS)
    assert found["overall"].low == pytest.approx(expected) and found["overall"].high == pytest.approx(expected)
    assert found["overall"].half_width == pytest.approx(0.0)
    del row["vatex"]
    assert "overall" not in intervals(row, baseline, CEILINGS)


@pytest.mark.parametrize("change", ["one less", "another", "one twice"])
def test_other_examples_are_refused(change: str) -> None:
    """Differences are between answers to the same examples."""
    row = answers([1.0, 2.0, 3.0])
    if change == "one less":
        other = row.iloc[:2]
    elif change == "another":
        other = row.assign(id=["vqav2/0", "vqav2/1", "vqav2/9"])
    else:
        other = pd.concat([row, row.iloc[:1]])
    with pytest.raises(ValueError, match="same examples"):
        paired(row, other)
