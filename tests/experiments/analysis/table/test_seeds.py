"""A table over several seeds: verdicts, intervals and parts come from one model; at one seed from examples alone."""

import pytest

from experiments.analysis import Table
from experiments.analysis.formats import as_text
from experiments.analysis.formats.wording import own_caption
from experiments.analysis.significance import compare
from experiments.analysis.table.row_words import answer, over
from experiments.analysis.table.seeds import effects
from experiments.published.table3 import COLUMNS as SCORES
from experiments.store import reader
from experiments.store.names import OVERALL, blind

# Overall and its blind twin by row and seed: the noise within a seed is about 0.1 points.
OVERALL_POINTS = {
    "baseline": [(60.0, 6.0), (61.0, 6.2), (59.5, 6.1)],
    "xattn_every_4th": [(55.1, 5.9), (56.0, 6.3), (54.4, 6.0)],
    "resampler_mlp": [(60.1, 6.1), (61.0, 6.1), (59.6, 6.2)],
    "xattn_vanilla": [(60.6, 6.0), (62.1, 6.2), (59.4, 6.1)],
}


@pytest.fixture
def three_seeds(store_run):
    for row, values in OVERALL_POINTS.items():
        for seed, (score, its_blind) in enumerate(values):
            metrics = {OVERALL: score, blind(OVERALL): its_blind}
            metrics |= {name: score for metric in SCORES for name in (metric, blind(metric))}
            store_run(row, seed=seed, metrics=metrics)
    return Table.load("tiny")


def rows_of(table):
    return {row["row"]: row for row in table.table["rows"] if row["n"]}


def test_verdicts_are_those_of_the_model(three_seeds):
    """Every figure of the table is the model's of the same scores, for the whole published family."""
    import pandas as pd

    scores = pd.DataFrame(
        [
            {"row": row, "seed": seed, "score": score}
            for row, values in OVERALL_POINTS.items()
            for seed, (score, _) in enumerate(values)
        ]
    )
    model = compare(scores, "baseline", family=17)
    rows = rows_of(three_seeds)
    assert rows.keys() == OVERALL_POINTS.keys()
    for name, row in rows.items():
        if name == "baseline":
            assert row["overall"]["verdict"] is None
            assert row["overall"]["difference"] is None
            continue
        for key in ("difference", "low", "high"):
            assert row["overall"][key] == pytest.approx(model.loc[name, key], abs=1e-9)
        assert row["overall"]["verdict"] == model.loc[name, "verdict"]
    assert rows["xattn_every_4th"]["overall"]["verdict"] == "hurts"


def test_undecided_rows_say_how_many_seeds_it_would_take(three_seeds):
    """Decided ones do not."""
    rows = rows_of(three_seeds)
    undecided = [row["overall"] for row in rows.values() if row["overall"]["verdict"] == "undecided"]
    assert undecided, "the noise was chosen so"
    assert all(one["seeds_needed"] is None or one["seeds_needed"] > 3 for one in undecided)
    assert rows["xattn_every_4th"]["overall"]["seeds_needed"] is None


def test_parts_add_up_exactly(three_seeds):
    """Vision and language part of each difference, to the last bit."""
    for name, row in rows_of(three_seeds).items():
        for score in (*row["scores"].values(), row["overall"]):
            if name != "baseline":
                assert score["vision"]["difference"] + score["language"]["difference"] == score["difference"]
                assert score["language"]["low"] < score["language"]["difference"] < score["language"]["high"]


def test_the_caption_says_how_it_was_done(three_seeds):
    """Which rows share the confidence, how many there are, and what the table could have seen."""
    method = three_seeds.table["method"]
    assert "simultaneous for 17 rows of Table 3 (one model: " in method
    assert "harmless: within 1 Overall points" in method
    assert f"a difference of {three_seeds.table['detectable']:.1f} Overall would have been seen" in method


def test_the_caption_says_what_the_seeds_do_not_hold(three_seeds, store_run):
    """The sentences on few seeds and on looking again; at three of the baseline, what a noisy one would do."""
    method = three_seeds.table["method"]
    assert "decided with 80% probability, if the true difference and noise are those seen here" in method
    assert "seeds added after looking: the error over the family is higher than 5%" in method
    assert "with 3 seeds of a baseline that is 3 times noisier than the rows 11% of tables hold an error" in method
    assert "no verdict" not in method
    store_run(seed=3, metrics={OVERALL: 60.2, blind(OVERALL): 6.0})
    assert "3 times noisier" not in Table.load("tiny").table["method"]


def test_under_three_seeds_no_row_has_a_verdict(store_run):
    """Neither hurts nor helps nor harmless in the table; the interval stays, the caption says which rows and why."""
    for row, seeds, mean in (("baseline", 3, 60.0), ("xattn_every_4th", 2, 20.0), ("resampler_mlp", 3, 30.0)):
        for seed in range(seeds):
            store_run(row, seed=seed, metrics={OVERALL: mean + 0.1 * (-1) ** seed, blind(OVERALL): 5.0})
    table = Table.load("tiny").table
    rows = {row["row"]: row["overall"] for row in table["rows"]}
    assert rows["xattn_every_4th"]["verdict"] == "undecided" and rows["xattn_every_4th"]["high"] < 0
    assert rows["resampler_mlp"]["verdict"] == "hurts"
    assert answer(rows["xattn_every_4th"]) == "undecided, about 3 seeds for 80%"
    assert "no verdict under 3 seeds: xattn_every_4th" in table["method"]
    two = Table.load("tiny", seeds=range(2)).table
    assert {row["overall"]["verdict"] for row in two["rows"] if row["n"]} == {None, "undecided"}
    assert "no verdict: the baseline has 2 of the 3 seeds that a verdict takes" in two["method"]


def test_one_seed_says_nothing_of_other_seeds(store_run):
    """No model, no verdict."""
    for row in ("baseline", "xattn_every_4th"):
        store_run(row, metrics={OVERALL: 50.0, blind(OVERALL): 5.0})
    table = Table.load("tiny")
    (row,) = (row for row in table.table["rows"] if row["row"] == "xattn_every_4th")
    assert row["overall"]["verdict"] is None
    assert row["overall"]["vision"] is None
    assert table.table["detectable"] is None


def test_a_row_of_one_seed_is_judged_by_the_noise_of_the_others(store_run):
    """Where other rows have several seeds, and only then; it has no verdict, and says why."""
    for row, seeds in (("baseline", 3), ("xattn_every_4th", 3), ("resampler_mlp", 1)):
        for seed in range(seeds):
            noise = {"baseline": 0.1, "xattn_every_4th": -0.2, "resampler_mlp": 0.0}[row] * (-1) ** seed
            store_run(row, seed=seed, metrics={OVERALL: 50.0 + noise, blind(OVERALL): 5.0})
    runs: dict = {}
    for run in reader.runs():
        runs.setdefault(run.row, {})[run.seed] = run
    found = effects(runs, OVERALL, delta=1.0)
    one, three = found.rows["resampler_mlp"], found.rows["xattn_every_4th"]
    assert one.high - one.low > three.high - three.low
    assert one.verdict is None and one.seeds_needed is None and three.verdict is not None
    stored = Table.load("tiny")
    row = rows_of(stored)["resampler_mlp"]["overall"]
    assert row["borrowed_noise"] and row["verdict"] is None and row["low"] == one.low
    assert answer(row) == "one run, noise borrowed from other rows" and over(row) == "95% over seeds"
    for format_ in ("md", "brief", "latex", "html", "svg"):
        assert "one run, noise borrowed from other rows" in as_text(stored, format_)
    assert "one training run" not in stored.table["method"]


def test_more_seeds_of_the_baseline_count_and_leave_no_row_incomplete(store_run):
    """They are in its mean and its n; no other row lacks them."""
    for seed in range(4):
        store_run(seed=seed, metrics={OVERALL: 50.0 + seed, blind(OVERALL): 5.0})
    for seed in range(2):
        store_run("xattn_every_4th", seed=seed, metrics={OVERALL: 48.1 + seed, blind(OVERALL): 5.0})
    for table in (Table.load("tiny", seeds=range(2), baseline_seeds=range(4)), Table.load("tiny")):
        rows = rows_of(table)
        assert (rows["baseline"]["n"], rows["baseline"]["overall"]["mean"]) == (4, 51.5)
        assert rows["xattn_every_4th"]["missing"] == []
        assert table.fill_command("baseline") is None
        assert "n = 2 (seeds 0, 1), of the baseline 4; " in own_caption(table.table)


def test_a_baseline_alone_says_which_seeds_rows_lack(store_run):
    """Its own, so that a row's command asks for all of them."""
    for seed in range(2):
        store_run(seed=seed, metrics={OVERALL: 50.0 + seed, blind(OVERALL): 5.0})
    table = Table.load("tiny")
    assert table.table["seeds"] == [0, 1]
    assert "seed=0,1" in table.fill_command("xattn_every_4th")
