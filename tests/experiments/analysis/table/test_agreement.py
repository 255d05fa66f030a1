"""How far a table goes the way of the paper's."""

import math

import pytest
from scipy.stats import spearmanr

from experiments.analysis import Table
from experiments.analysis.table.agreement import agreement, agreement_in_words
from experiments.analysis.table.runs_file import read
from experiments.common.checkout import ROOT
from experiments.published import table3

PAPER = table3.rows()
DIFFERENCES = {name: row.overall - PAPER["baseline"].overall for name, row in PAPER.items() if name != "baseline"}


def table_of(differences, half_width=0.1):
    """The agreement of a table with these differences of Overall; None: no interval is known."""
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


@pytest.fixture(scope="module")
def desk():
    """The table of the committed runs at the desk scale."""
    runs = read(ROOT / "docs" / "results" / "desk" / "runs.csv")
    return Table.load("desk", finished=runs.runs, evidence=runs.evidence).table


def test_by_kind_of_row_and_without_the_pair_it_depends_on(desk):
    """On the committed runs: +.36 over all rows, -.80 over the data rows, +.01 over ten of the twelve components."""
    found = agreement(desk)
    data, components = found.parts
    assert found.rank_correlation == pytest.approx(0.36, abs=0.005)
    assert (data.name, data.num_rows, components.name, components.num_rows) == ("data", 4, "components", 12)
    assert data.rank_correlation == pytest.approx(-0.8) and data.hangs_on == () and data.without_them is None
    assert set(components.hangs_on) == {"vision_nfnet_f0", "lm_unfrozen_random"}
    left = [row for row in DIFFERENCES if PAPER[row].group not in ("i", "ii") and row not in components.hangs_on]
    ours = {row["row"]: row["overall"]["difference"] for row in desk["rows"]}
    expected = spearmanr([ours[row] for row in left], [DIFFERENCES[row] for row in left]).statistic
    assert len(left) == 10 and expected == pytest.approx(0.01, abs=0.005)
    assert components.without_them == pytest.approx(expected)
    words = agreement_in_words(desk)
    assert "over 4 rows of data (i) rank correlation -0.80" in words
    assert "over 12 rows of components (iii to viii) rank correlation +0.37, +0.01 without vision_nfnet_f0 and" in words
    assert "over all rows, rank correlation +0.36 [-0.16, +0.73]" in words


def test_the_pair_is_chosen_by_what_it_takes_away():
    """Whatever the rows are called, and where the correlation is negative: the pair that carries it is named."""
    components = [name for name in DIFFERENCES if PAPER[name].group not in ("i", "ii")]
    ranked = sorted(components, key=DIFFERENCES.__getitem__)
    for sign in (1, -1):
        # No order among ten, and two extremes that agree (or disagree) with the paper.
        ours = {name: float(place % 5) for place, name in enumerate(ranked)}
        ours |= {ranked[0]: -sign * 100.0, ranked[-1]: sign * 100.0}
        (part,) = agreement(table_of(ours)).parts
        assert set(part.hangs_on) == {ranked[0], ranked[-1]}
        assert abs(part.without_them) < sign * part.rank_correlation
    few = agreement(table_of({name: DIFFERENCES[name] for name in components[:6]}))
    assert few.parts[0].hangs_on == () and few.parts[0].without_them is None
