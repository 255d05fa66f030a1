"""The comparison of a table's rows is the classical one where there is a classical one, and says what it cannot say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.analysis.model import differences, power
from experiments.analysis.model.more_seeds import Plan
from experiments.analysis.significance import COLUMNS, compare, detectable, noise, seeds_to_detect, verdict
from tests.experiments.score_tables import BASELINE, as_array, as_frame, drawn, name_of, stacked

FIGURES = ["mean", "difference", "low", "high", "p", "seeds_needed"]


def alike(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are judged by the pooled variance, without the baseline."""
    return table[~table["own_variance"]].drop(index=BASELINE, errors="ignore")


# ---------------------------------------------------------------- against known answers


@pytest.mark.parametrize(("rows", "seeds"), [(2, 3), (4, 3), (7, 5), (18, 10)])
def test_unpaired_and_balanced_it_is_dunnetts_test(rows: int, seeds: int) -> None:
    """Statistic, p and interval of `scipy.stats.dunnett`, as far as its own random integration is exact."""
    scores = drawn(rows, seeds, effects={1: 1.5}, rng_seed=rows)
    found = compare(scores, BASELINE, paired=False).drop(index=BASELINE)
    table = as_array(scores)
    classical = stats.dunnett(*table[1:], control=table[0], rng=np.random.default_rng(0))
    interval = classical.confidence_interval(0.95)
    pooled = np.sqrt(table.var(axis=1, ddof=1).mean() * 2 / seeds)
    assert found["difference"].to_numpy() / pooled == pytest.approx(classical.statistic, rel=1e-10)
    assert found["p"].to_numpy() == pytest.approx(classical.pvalue, abs=5e-4)
    reach = (interval.high - interval.low) / 2
    assert (found["high"] - found["difference"]).to_numpy() == pytest.approx(reach, rel=2e-3)
    assert not found["own_variance"].any()


@pytest.mark.parametrize("baseline_seeds", [2, 9])
def test_unpaired_and_unbalanced_it_is_dunnetts_test(baseline_seeds: int) -> None:
    """Rows of other sizes than the baseline: the correlation follows the sizes."""
    scores = drawn(5, 9, rng_seed=1)
    scores = scores[(scores["seed"] < 5) | (scores["row"] == BASELINE)]
    scores = scores[(scores["seed"] < baseline_seeds) | (scores["row"] != BASELINE)]
    groups = {name: group.to_numpy() for name, group in scores.groupby("row")["score"]}
    control = groups.pop(BASELINE)
    classical = stats.dunnett(*groups.values(), control=control, rng=np.random.default_rng(0))
    found = compare(scores, BASELINE, paired=False).drop(index=BASELINE)
    assert found["p"].to_numpy() == pytest.approx(classical.pvalue, abs=5e-4)
    assert found["low"].to_numpy() == pytest.approx(classical.confidence_interval().low, rel=2e-3)


@pytest.mark.parametrize("seed_sd", [0.0, 3.0])
@pytest.mark.parametrize(("rows", "seeds"), [(4, 5), (18, 5), (18, 10)])
def test_paired_and_balanced_it_is_the_block_analysis(rows: int, seeds: int, seed_sd: float) -> None:
    """The residual of the two-way analysis, its (rows - 1) (seeds - 1) degrees of freedom, correlations of one half."""
    scores = drawn(rows, seeds, seed_sd=seed_sd, rng_seed=4)
    table = as_array(scores)
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    df = (rows - 1) * (seeds - 1)
    se = np.sqrt((residual**2).sum() / df * 2 / seeds)
    shape = np.full((rows - 1, rows - 1), 0.5) + 0.5 * np.eye(rows - 1)
    found = alike(compare(scores, BASELINE))
    assert len(found) >= rows - 3
    assert found["difference"].to_numpy() == pytest.approx(
        [table[int(name[-2:])].mean() - table[0].mean() for name in found.index]
    )
    for low, high, p, difference in found[["low", "high", "p", "difference"]].to_numpy():
        for statistic, adjusted in (((high - low) / 2 / se, 0.05), (abs(difference) / se, p)):
            limits = np.full(rows - 1, statistic)
            inside = stats.multivariate_t(shape=shape, df=df, seed=1).cdf(limits, lower_limit=-limits)
            assert 1 - inside == pytest.approx(adjusted, abs=1e-3)


def test_one_row_in_pairs_is_the_paired_t_test() -> None:
    """With one row beside the baseline the model has nothing else to go by than the pairs."""
    scores = drawn(2, 6, effects={1: 1.0})
    table = as_array(scores)
    classical = stats.ttest_rel(table[1], table[0])
    interval = classical.confidence_interval()
    row = compare(scores, BASELINE).loc[name_of(1)]
    assert row["p"] == pytest.approx(classical.pvalue, rel=1e-5)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), rel=1e-5)


# ---------------------------------------------------------------- what must not matter


@pytest.mark.parametrize("missing", [(), ((1, 2), (3, 0), (0, 4))])
def test_the_order_of_the_rows_changes_nothing(missing: tuple[tuple[int, int], ...]) -> None:
    """To the last bit; and rows come out in the order in which they went in."""
    scores = drawn(8, 5, effects={2: 5.0}, missing=missing)
    shuffled = scores.sample(frac=1, random_state=3)
    once, again = compare(scores, BASELINE), compare(shuffled, BASELINE)
    assert list(again.index) == list(shuffled["row"].unique())
    pd.testing.assert_frame_equal(again.loc[once.index], once, check_exact=True)


def test_a_good_seed_for_all_rows_changes_no_difference() -> None:
    """Paired and balanced, what is added to a seed's scores in every row is the seed's, not the rows'."""
    scores = drawn(6, 5, effects={1: 2.0})
    moved = scores.assign(score=scores["score"] + 100.0 * (scores["seed"] == 2))
    once, again = compare(scores, BASELINE), compare(moved, BASELINE)
    for column in ("difference", "low", "high", "p"):
        assert again[column].to_numpy() == pytest.approx(once[column].to_numpy(), rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_units_scale_through(factor: float, paired: bool) -> None:
    """Scores in other units give differences and intervals in these units, and the same p."""
    scores = drawn(6, 5, missing=((2, 2),))
    once = compare(scores, BASELINE, paired=paired)
    again = compare(scores.assign(score=factor * scores["score"]), BASELINE, paired=paired)
    for column in ("difference", "low", "high"):
        assert again[column].to_numpy() == pytest.approx(factor * once[column].to_numpy(), rel=1e-5, nan_ok=True)
    assert again["p"].to_numpy() == pytest.approx(once["p"].to_numpy(), rel=1e-4, nan_ok=True)


def test_a_true_difference_moves_an_interval_and_leaves_its_width() -> None:
    """What is added to one row's scores is added to its difference and both ends of its interval, and to no other's."""
    once = compare(drawn(8, 5), BASELINE)
    moved = compare(drawn(8, 5, effects={3: 7.0}), BASELINE)
    expected = once[["difference", "low", "high"]].copy()
    expected.loc[name_of(3)] += 7.0
    assert moved[["difference", "low", "high"]].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-8, nan_ok=True)


# ---------------------------------------------------------------- what must matter


def test_extra_baseline_seeds_count_where_seeds_differ_little() -> None:
    """Without a seed effect more seeds of the baseline alone narrow every row's interval."""
    few = drawn(8, 5, seed_sd=0.0, rng_seed=2)
    more = pd.DataFrame({"row": BASELINE, "seed": range(5, 20), "score": 40 + np.random.default_rng(9).normal(size=15)})
    narrow, wide = compare(stacked([few, more]), BASELINE), compare(few, BASELINE)
    both = alike(narrow).index.intersection(alike(wide).index)
    assert len(both) >= 5
    assert ((narrow["high"] - narrow["low"])[both] < 0.9 * (wide["high"] - wide["low"])[both]).all()
    assert narrow.loc[BASELINE, "n"] == 20


def test_extra_baseline_seeds_count_for_little_where_seeds_differ_much() -> None:
    """With a large seed effect a baseline seed that no row has says nearly nothing about any row."""
    few = drawn(8, 5, seed_sd=30.0, rng_seed=2)
    more = pd.DataFrame({"row": BASELINE, "seed": range(5, 8), "score": [10.0, 40.0, 90.0]})
    once, again = compare(few, BASELINE), compare(stacked([few, more]), BASELINE)
    assert again["difference"].to_numpy() == pytest.approx(once["difference"].to_numpy(), abs=0.05, nan_ok=True)


def test_a_clearly_noisier_row_gets_its_own_variance_and_leaves_the_others_alone() -> None:
    """The others' intervals are as wide as without it; its own is far wider."""
    scores = drawn(10, 8, rng_seed=5)
    noisy = scores["row"] == name_of(4)
    rng = np.random.default_rng(6)
    spoiled = scores.assign(score=scores["score"] + np.where(noisy, 10 * rng.normal(size=len(scores)), 0))
    found, without = compare(spoiled, BASELINE), compare(scores[~noisy], BASELINE)
    width = found["high"] - found["low"]
    assert found.loc[name_of(4), "own_variance"]
    assert width[name_of(4)] > 5 * width[name_of(1)]
    others = alike(without).index.intersection(alike(found).index)
    assert len(others) >= 7
    # One row more in the family makes the limit a little larger; nothing else may change.
    assert width[others].to_numpy() == pytest.approx((without["high"] - without["low"])[others].to_numpy(), rel=0.03)


@pytest.mark.parametrize("missing", [(), ((1, 2), (3, 0))])
def test_a_larger_delta_never_takes_a_verdict_back(missing: tuple[tuple[int, int], ...]) -> None:
    """Growing delta turns undecided rows harmless, and leaves every other verdict."""
    scores = drawn(8, 10, effects={1: 3.0, 2: -4.0}, missing=missing)
    before = None
    for delta in (0.0, 0.5, 1.0, 1.5, 2.0, 5.0):
        now = compare(scores, BASELINE, delta=delta).drop(index=BASELINE)["verdict"]
        if before is not None:
            decided = before != "undecided"
            assert (now[decided] == before[decided]).all()
            assert now[~decided].isin(["undecided", "harmless"]).all()
        before = now
    assert before is not None
    assert before[name_of(1)] == "helps" and before[name_of(2)] == "hurts"
    assert (before.drop([name_of(1), name_of(2)]) == "harmless").all()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-3.0, -0.1, "hurts"),
        (-3.0, 0.0, "undecided"),
        (0.1, 3.0, "helps"),
        (0.0, 3.0, "undecided"),
        (-1.0, 1.0, "harmless"),
        (-1.01, 1.0, "undecided"),
        (-1.0, 1.01, "undecided"),
        (-0.5, -0.1, "hurts"),
        (0.1, 0.5, "helps"),
        (0.0, 0.0, "harmless"),
        (float("nan"), float("nan"), "undecided"),
    ],
)
def test_verdicts_at_their_boundaries(low: float, high: float, expected: str) -> None:
    """Zero itself is not excluded, the margin itself is inside, and a small but sure loss is a loss."""
    assert verdict(low, high, 1.0) == expected


def test_verdict_p_and_interval_agree() -> None:
    """A row hurts or helps exactly where its adjusted p is below one minus the confidence."""
    for rng_seed in range(20):
        scores = drawn(6, 4, effects={1: 2.5, 2: -2.0}, rng_seed=rng_seed)
        found = compare(scores, BASELINE, power=None).drop(index=BASELINE)
        assert (found["verdict"].isin(["hurts", "helps"]) == (found["p"] < 0.05)).all()


# ---------------------------------------------------------------- seeds needed, detectable


def test_seeds_needed_is_given_for_undecided_rows_alone() -> None:
    """More than the row has; null where a row is decided, where it would take over 1,000, and for the baseline."""
    found = compare(drawn(8, 4, effects={1: 6.0, 2: 1.5}), BASELINE)
    undecided = found["verdict"] == "undecided"
    assert undecided.any() and not undecided.all()
    assert found.loc[~undecided, "seeds_needed"].isna().all()
    given = found.loc[undecided, "seeds_needed"].dropna()
    assert (given > 4).all() and (given <= 1000).all() and (given % 1 == 0).all()


@pytest.mark.parametrize("effect", [0.2, 1.2, 1.8])
def test_the_seeds_needed_are_a_plan_for_80_percent(effect: float) -> None:
    """They are `more_seeds`' of this table, more for more power, and none are worked out where none are asked for."""
    scores = _exact_table(5, 4, effect=effect, residual=1.0)
    row = compare(scores, BASELINE).loc[name_of(1)]
    assert row["difference"] == pytest.approx(effect) and row["verdict"] == "undecided"
    table = as_array(scores)
    found = differences.estimate(table, confidence=0.95, paired=True)
    plan = Plan(np.isfinite(table), found.difference, found.variances, 1.0, 0.95, paired=True)
    assert row["seeds_needed"] == plan.seeds_needed(1, power=0.8)
    assert row["seeds_needed"] < compare(scores, BASELINE, power=0.9).loc[name_of(1), "seeds_needed"]
    assert compare(scores, BASELINE, power=None)["seeds_needed"].isna().all()


def test_under_three_seeds_there_is_no_verdict() -> None:
    """Of the row or of the baseline: neither hurts, helps nor harmless, however sure the interval; three are named."""
    huge = {1: 50.0, 2: -50.0}
    two = compare(drawn(6, 2, effects=huge), BASELINE).drop(index=BASELINE)
    assert (two["verdict"] == "undecided").all() and two["low"].notna().all()
    assert (two.loc[[name_of(1), name_of(2)], "seeds_needed"] == 3).all()
    few = [(row, seed) for row in (0, 3) for seed in range(2, 5)]
    of_baseline = compare(drawn(6, 5, effects=huge, missing=tuple(few[:3])), BASELINE).drop(index=BASELINE)
    assert (of_baseline["verdict"] == "undecided").all()
    of_row = compare(drawn(6, 5, effects={**huge, 3: 50.0}, missing=tuple(few[3:])), BASELINE)
    assert of_row["verdict"][[name_of(1), name_of(2), name_of(3)]].tolist() == ["helps", "hurts", "undecided"]
    without_noise = compare(as_frame(np.full((3, 2), 40.0)), BASELINE).drop(index=BASELINE)
    assert (without_noise["verdict"] == "undecided").all() and (without_noise["seeds_needed"] == 3).all()


def test_a_noisier_baseline_is_told() -> None:
    """Its own standard deviation over that of the others, as far as five seeds of ten rows tell it."""
    rng = np.random.default_rng(3)
    table = rng.normal(size=(10, 5))
    quiet, noisy = (noise(as_frame(table * np.r_[times, np.ones(9)][:, None]), BASELINE) for times in (1.0, 6.0))
    assert quiet is not None and noisy is not None
    assert noisy.baseline_ratio == pytest.approx(6 * quiet.baseline_ratio, rel=0.25)
    alone = noise(drawn(2, 5), BASELINE)
    assert alone is not None and alone.baseline_ratio == 1.0


def test_no_number_of_seeds_decides_a_difference_on_the_margin() -> None:
    """With delta zero, a difference that is nearly zero would take more than 1,000 seeds: null."""
    row = compare(_exact_table(5, 4, effect=0.001, residual=1.0), BASELINE, delta=0.0).loc[name_of(1)]
    assert row["verdict"] == "undecided" and np.isnan(row["seeds_needed"])


def test_a_table_says_what_it_would_have_seen() -> None:
    """The fitted standard deviation, put into the planner, gives what the table itself reports; nothing at one seed."""
    scores = _exact_table(8, 5, effect=0.0, residual=1.7)
    fitted = noise(scores, BASELINE)
    assert fitted is not None
    assert fitted.residual_sd == pytest.approx(1.7) and fitted.df == pytest.approx(28)
    assert detectable(scores, BASELINE) == pytest.approx(power.detectable(1.7, rows=7, seeds=5))
    assert seeds_to_detect(scores, BASELINE, 2.0) == power.seeds_to_detect(2.0, fitted.residual_sd, rows=7)
    one_seed = scores[scores["seed"] == 0]
    assert detectable(one_seed, BASELINE) is None
    assert noise(one_seed, BASELINE) is None
    assert seeds_to_detect(one_seed, BASELINE, 2.0) is None


# ---------------------------------------------------------------- what cannot be said


def test_the_frame_is_the_promised_one() -> None:
    """Columns in order; the baseline has n and mean and nothing else."""
    found = compare(drawn(4, 3), BASELINE)
    assert tuple(found.columns) == COLUMNS and found.index.name == "row"
    baseline = found.loc[BASELINE]
    assert baseline[["difference", "low", "high", "p", "seeds_needed"]].isna().all()
    assert baseline["verdict"] is None and not baseline["own_variance"]
    assert baseline["n"] == 3 and found["n"].dtype.kind == "i" and found["own_variance"].dtype == bool


@pytest.mark.parametrize("paired", [True, False])
def test_one_seed_gives_a_difference_and_no_interval(paired: bool) -> None:
    """No degrees of freedom: interval, p and seeds are null, and every row is undecided."""
    found = compare(drawn(4, 1), BASELINE, paired=paired).drop(index=BASELINE)
    assert found["difference"].notna().all() and (found["verdict"] == "undecided").all()
    assert found[["low", "high", "p", "seeds_needed"]].isna().all(axis=None)


def test_the_baseline_alone_is_a_table() -> None:
    """One row, nothing to compare."""
    found = compare(drawn(1, 4), BASELINE)
    assert list(found.index) == [BASELINE] and found.loc[BASELINE, "n"] == 4
    assert found.loc[BASELINE, "verdict"] is None


@pytest.mark.parametrize("paired", [True, False])
def test_scores_without_noise_leave_no_doubt(paired: bool) -> None:
    """All equal: the interval is the point zero and harmless; a constant difference is known exactly."""
    table = np.full((4, 3), 40.1)
    table[2] += 0.3
    found = compare(as_frame(table), BASELINE, paired=paired)
    assert found.loc[name_of(1), ["difference", "low", "high", "p"]].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert found.loc[name_of(1), "verdict"] == "harmless"
    assert found.loc[name_of(2), "verdict"] == "helps" and found.loc[name_of(2), "p"] == 0.0
    assert found.loc[name_of(2), ["low", "high"]].tolist() == pytest.approx([0.3, 0.3])


def test_rows_that_differ_alike_in_every_seed_leave_no_doubt() -> None:
    """Seeds differ, rows by the same amount in each: known exactly, with cells missing too."""
    table = np.array([[10.0, 20.0, 35.0], [10.5, 20.5, np.nan], [9.0, np.nan, 34.0], [10.0, 20.0, 35.0]])
    found = compare(as_frame(table), BASELINE, delta=2.0)
    assert found["difference"].to_numpy()[1:] == pytest.approx([0.5, -1.0, 0.0], abs=1e-9)
    assert found["low"].equals(found["high"])


def test_rows_that_share_no_seed_are_compared_without_pairs() -> None:
    """Nothing tells seeds from residuals: the analysis is the unpaired one."""
    scores = drawn(3, 12, seed_sd=0.0)
    apart = scores[[int(name[-2:]) == seed // 4 if name != BASELINE else seed < 4 for name, seed in _cells(scores)]]
    paired, unpaired = compare(apart, BASELINE), compare(apart, BASELINE, paired=False)
    pd.testing.assert_series_equal(paired["difference"], unpaired["difference"])
    with_pairs, without_pairs = noise(apart, BASELINE), noise(apart, BASELINE, paired=False)
    assert with_pairs is not None and without_pairs is not None
    assert replace(with_pairs, baseline_ratio=1.0) == without_pairs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda scores: scores.drop(columns="seed"), "no column seed"),
        (lambda scores: scores[scores["row"] != BASELINE], "baseline baseline is not among the rows: row_01, row_02"),
        (lambda scores: scores.iloc[:0], "there are none"),
        (lambda scores: stacked([scores, scores.iloc[[4]]]), "more than one score: row_01 at seed 1"),
        (lambda scores: scores.assign(score=scores["score"].where(scores.index != 7)), "row_02 at seed 1"),
        (lambda scores: scores.assign(score=np.inf), "not a finite score: baseline at seed 0"),
        (lambda scores: scores.assign(seed=scores["seed"].where(scores.index != 7)), "without its row or seed"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(change, message: str) -> None:
    """The message says which row and seed."""
    with pytest.raises(ValueError, match=message):
        compare(change(drawn(3, 3)), BASELINE)


@pytest.mark.parametrize(
    "wrong", [{"delta": -1.0}, {"delta": float("nan")}, {"confidence": 0.0}, {"confidence": 1.0}, {"power": 1.0}]
)
def test_wrong_settings_are_refused_with_their_value(wrong: dict[str, float]) -> None:
    """Delta below zero, a confidence that is none."""
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        compare(drawn(3, 3), BASELINE, **wrong)


def _cells(scores: pd.DataFrame) -> list[tuple[str, int]]:
    return list(zip(scores["row"], scores["seed"], strict=True))


def _exact_table(rows: int, seeds: int, *, effect: float, residual: float) -> pd.DataFrame:
    """A table whose fitted difference and residual standard deviation are exactly these, all rows alike."""
    rng = np.random.default_rng(rows + seeds)
    noise = rng.normal(size=(rows, seeds))
    for _ in range(200):  # towards equal square sums in every row, means of zero in rows and seeds
        noise -= noise.mean(axis=1, keepdims=True)
        noise -= noise.mean(axis=0)
        noise /= np.sqrt((noise**2).mean(axis=1, keepdims=True))
    noise -= noise.mean(axis=1, keepdims=True)
    noise -= noise.mean(axis=0)
    noise *= residual / np.sqrt((noise**2).sum() / ((rows - 1) * (seeds - 1)))
    table = 40 + noise + 3 * rng.normal(size=seeds)
    table[1] += effect
    return as_frame(table)
