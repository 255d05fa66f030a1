"""A difference's two parts add up to it, and each is the comparison of its own scores."""

import numpy as np
import pandas as pd
import pytest

from experiments.analysis.model.blind_parts import split
from experiments.analysis.significance import compare
from tests.experiments.score_tables import BASELINE, drawn, name_of


def with_twins(*, sees: float = 0.0, says: float = 0.0, missing: tuple[tuple[int, int], ...] = ()) -> pd.DataFrame:
    """A table with blind twins in which row 1 differs by what it sees and what it says."""
    blind = drawn(6, 5, seed_sd=1.0, effects={1: says}, missing=missing, rng_seed=1)
    adds = drawn(6, 5, seed_sd=0.5, effects={1: sees}, missing=missing, rng_seed=2)
    return blind.rename(columns={"score": "blind"}).assign(score=blind["score"] + adds["score"] - 20)


@pytest.mark.parametrize("missing", [(), ((1, 1), (3, 0), (0, 4))])
@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3 / 7])
def test_the_parts_add_up_to_the_last_bit(factor: float, missing: tuple[tuple[int, int], ...]) -> None:
    """The sum of language and vision is the difference, which is `compare`'s."""
    scores = with_twins(sees=-3.0, says=1.0, missing=missing)
    scores[["score", "blind"]] *= factor
    parts = split(scores, BASELINE).drop(index=BASELINE)
    assert (parts["language"] + parts["vision"] == parts["difference"]).all()
    whole = compare(scores[["row", "seed", "score"]], BASELINE).drop(index=BASELINE)
    assert parts["difference"].to_numpy() == pytest.approx(whole["difference"].to_numpy(), abs=1e-11)
    assert parts[["low", "high"]].equals(whole[["low", "high"]])


def test_each_part_is_the_comparison_of_its_own_scores() -> None:
    """In a complete table: blind twins against blind twins, and what the picture adds against what it adds."""
    scores = with_twins(sees=-3.0, says=1.0)
    parts = split(scores, BASELINE)
    for name, values in (("language", scores["blind"]), ("vision", scores["score"] - scores["blind"])):
        alone = compare(scores[["row", "seed"]].assign(score=values), BASELINE)
        for column, expected in ((name, "difference"), (f"{name}_low", "low"), (f"{name}_high", "high")):
            assert parts[column].to_numpy() == pytest.approx(alone[expected].to_numpy(), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(("sees", "says", "lost"), [(-8.0, 0.0, "vision"), (0.0, -8.0, "language")])
def test_a_loss_is_found_in_the_part_it_was_put_in(sees: float, says: float, lost: str) -> None:
    """That part's interval is below zero, the other's covers it."""
    row = split(with_twins(sees=sees, says=says), BASELINE).loc[name_of(1)]
    other = {"vision": "language", "language": "vision"}[lost]
    assert row[f"{lost}_high"] < 0
    assert row[f"{other}_low"] < 0 < row[f"{other}_high"]


def test_the_baseline_and_one_seed_have_no_intervals() -> None:
    """The baseline has no difference; at one seed the parts have no interval and still add up."""
    scores = with_twins()
    assert split(scores, BASELINE).loc[BASELINE].drop("n").isna().all()
    one = split(scores[scores["seed"] == 0], BASELINE).drop(index=BASELINE)
    assert (one["language"] + one["vision"] == one["difference"]).all()
    assert one[["low", "language_low", "vision_high"]].isna().all(axis=None)


def test_twins_that_are_not_there_are_refused() -> None:
    """No column, or one twin missing."""
    scores = with_twins()
    with pytest.raises(ValueError, match="no column blind"):
        split(scores.drop(columns="blind"), BASELINE)
    with pytest.raises(ValueError, match="row_01 at seed 2"):
        split(
            scores.assign(blind=scores["blind"].where((scores["row"] != name_of(1)) | (scores["seed"] != 2))), BASELINE
        )
    assert np.isfinite(split(scores, BASELINE)["vision"].drop(BASELINE)).all()
