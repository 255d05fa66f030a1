"""How far a table goes the way of the paper's."""

import math

import pytest
from scipy.stats import spearmanr

from experiments import published
from experiments.analysis.agreement import agreement, agreement_in_words

PAPER = published.rows()
DIFFERENCES = {name: row.overall - PAPER["baseline"].overall for name, row in PAPER.items() if name != "baseline"}


def table_of(differences, half_width=0.1):
    """What is read of a table with these differences of Overall; None: no interval is known."""
    rows = []
    for row, difference in {"baseline": None, **differences}.items():
        known = difference is not None and half_width is not None
        low, high = (difference - half_width, difference + half_width) if known else (None, None)
        verdict = ("hurts" if high < 0 else "helps" if low > 0 else "undecided") if known else None
        overall = {"difference": difference, "low": low, "high": high, "verdict": verdict, "seeds_needed": None}
        rows.append({"row": row, "overall": overall})
    return {"rows": rows}


def test_the_paper_agrees_with_itself():
    """All signs, all of the order, and every costly row hurts."""
    found = agreement(table_of(DIFFERENCES))
    assert found.num_rows == 17 and len(found.same_sign) == 17
    assert found.rank_correlation == pytest.approx(1.0) and 0.99 < found.low <= found.high <= 1.0
    assert len(found.costly) == 9 and found.costly_hurt == found.costly
    assert all(DIFFERENCES[name] <= -5 for name in found.costly)


def test_order_and_signs_are_told_apart():
    """Half the paper's differences, plus three points: the same order, fewer signs; reversed: the other order."""
    moved = agreement(table_of({name: value / 2 + 3 for name, value in DIFFERENCES.items()}))
    assert moved.rank_correlation == pytest.approx(1.0)
    assert moved.same_sign == tuple(name for name, value in DIFFERENCES.items() if value < -6)


def test_the_interval_is_bonett_and_wrights():
    """By hand: Fisher's z with variance (1 + r^2 / 2) / (n - 3)."""
    rows = ["data_laion", "xattn_vanilla", "xattn_grafting", "xattn_every_2nd", "resampler_mlp", "vision_nfnet_f0"]
    ours = dict(zip(rows, (-1.0, -5.0, -2.0, 0.5, -3.0, -4.0), strict=True))
    found = agreement(table_of(ours))
    expected = spearmanr(list(ours.values()), [DIFFERENCES[name] for name in rows]).statistic
    half = 1.959964 * math.sqrt((1 + expected**2 / 2) / 3)
    assert found.rank_correlation == pytest.approx(expected) and abs(expected) < 0.9
    assert (found.low, found.high) == pytest.approx(
        (math.tanh(math.atanh(expected) - half), math.tanh(math.atanh(expected) + half))
    )


def test_ties_share_their_rank():
    """As scipy has it; where all are equal there is no order."""
    ours = dict(zip(DIFFERENCES, (round(value / 4) for value in DIFFERENCES.values()), strict=True))
    expected = spearmanr(list(ours.values()), list(DIFFERENCES.values())).statistic
    assert len(set(ours.values())) < len(ours) and agreement(table_of(ours)).rank_correlation == pytest.approx(expected)
    assert agreement(table_of(dict.fromkeys(DIFFERENCES, 1.0))) is None


def test_few_rows_say_nothing():
    """No number where it would mean nothing."""
    table = table_of({"data_laion": -1.0, "xattn_vanilla": -2.0, "resampler_mlp": 0.0, "my_row": 3.0, "yours": 0.1})
    assert agreement(table) is None and agreement_in_words(table) == ""


def test_without_intervals_nothing_is_said_of_what_hurts():
    """One seed and no answers: signs and order alone."""
    table = table_of(DIFFERENCES, half_width=None)
    assert agreement(table).costly == ()
    assert agreement_in_words(table).endswith("(Spearman, 95% over rows).")
