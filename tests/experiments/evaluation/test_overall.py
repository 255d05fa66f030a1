"""Overall: the published rows come out of it, and it refuses to average over gaps."""

import pytest

from experiments.evaluation.overall import overall
from experiments.published.table3 import CEILINGS, rows
from experiments.published.table3 import COLUMNS as SCORES


def test_every_published_overall_is_reproduced() -> None:
    """All 18 rows of Table 3 within 0.17, the sum of the roundings of what is printed and of what is remembered."""
    differences = {name: overall(row.scores, CEILINGS) - row.overall for name, row in rows().items()}
    assert len(differences) == 18
    assert {name: difference for name, difference in differences.items() if abs(difference) > 0.17} == {}


def test_scores_at_their_ceilings_are_100() -> None:
    """And half of each is 50, whatever the ceilings."""
    assert overall(CEILINGS, CEILINGS) == pytest.approx(100.0, rel=1e-12)
    assert overall({metric: ceiling / 2 for metric, ceiling in CEILINGS.items()}, CEILINGS) == pytest.approx(50.0)


@pytest.mark.parametrize("metric", SCORES)
def test_each_score_counts_a_fifth_of_its_ceiling(metric: str) -> None:
    """One ceiling's worth of one score is 20 points of Overall."""
    nothing = dict.fromkeys(SCORES, 0.0)
    assert overall({**nothing, metric: CEILINGS[metric]}, CEILINGS) == pytest.approx(20.0, rel=1e-12)


def test_order_of_the_scores_does_not_matter() -> None:
    """Scores are matched to ceilings by name."""
    scores = rows()["baseline"].scores
    assert overall(dict(reversed(scores.items())), CEILINGS) == overall(scores, CEILINGS)


@pytest.mark.parametrize("metric", SCORES)
def test_a_missing_score_is_named(metric: str) -> None:
    """Overall is never a mean over fewer scores."""
    scores = {name: 1.0 for name in SCORES if name != metric}
    with pytest.raises(ValueError, match=f"`{metric}` has no score"):
        overall(scores, CEILINGS)


def test_everything_wrong_is_named_at_once() -> None:
    """An unknown score and ceilings of zero or less stand in one message; no scores at all are refused too."""
    with pytest.raises(ValueError) as caught:
        overall({**CEILINGS, "blind_overall": 1.0}, {**CEILINGS, SCORES[0]: 0.0, SCORES[1]: float("nan")})
    assert all(f"`{metric}`" in str(caught.value) for metric in ("blind_overall", SCORES[0], SCORES[1]))
    assert f"`{SCORES[2]}`" not in str(caught.value)
    with pytest.raises(ValueError, match="no scores"):
        overall({}, {})
