"""The table's object: the contract's keys and no others, differences paired by seed, and what is missing."""

import json
import shlex
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.analysis.table import build
from experiments.analysis.table.select import select
from experiments.evaluation.benchmark import published
from experiments.published import table3
from experiments.published.table3 import COLUMNS as SCORES
from experiments.store import commands
from tests.experiments.stored_runs import BASELINE_HASH, a_certificate, a_tree, answers, scored

StoreRun = Callable[..., str]
PUBLISHED_KEYS = {"params_b", "step_time_s", *SCORES, "overall"}
COSTS = {"params_total": 2_250_000.0, "params_trainable": 1_350_000.0, "step_time_s": 0.331}


def predictions(seed: int, shift: float = 0.0) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    return {one.name: answers((rng.uniform(10, 80, 40) + shift).tolist(), benchmark=one.name) for one in published()}


def built(**arguments: Any) -> build.PlainTable:
    selection = select("tiny")
    given = {
        "scale": "tiny",
        "seeds": [0],
        "left_out": selection.left_out,
        "other_designs": selection.other_designs,
        **arguments,
    }
    return build.build(selection.runs, **given)


def by_name(built_table: build.PlainTable) -> dict[str, build.Row]:
    return {row["row"]: row for row in built_table["rows"]}


def keys(value: Any) -> Any:
    """The keys of a JSON value, level by level."""
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in value.items()}
    return None


def test_the_keys_are_those_of_the_contract(store_run: StoreRun) -> None:
    """Level by level, for rows that were run, were not run, and are not the paper's; the object is plain JSON."""
    store_run(metrics=COSTS, predictions=predictions(0), certificate=a_certificate())
    store_run("xattn_every_4th", metrics=COSTS, predictions=predictions(1), certificate=a_certificate())
    store_run("my_own_row")
    rows = ["my_own_row", "vision_nfnet_f0", "xattn_every_4th+resampler_mlp", "xattn_every_4th", "baseline"]
    found = json.loads(json.dumps(built(rows=rows), allow_nan=False))
    leaf = None
    parts = dict.fromkeys(["language", "vision"], leaf)  # ours, beside the contract's
    score = {**dict.fromkeys(["mean", "difference", "low", "high", "blind"], leaf), **parts}
    row = {
        **dict.fromkeys(["row", "group", "n", "params_total", "params_trainable", "step_time_s"], leaf),
        **dict.fromkeys(["step_time_ratio_low", "step_time_ratio_high", "step_time_difference_s", "num_timed"], leaf),
        **dict.fromkeys(["paired_baseline_step_time_s"], leaf),
        **dict.fromkeys(["step_time_ratio", "certificate", "run_ids", "missing"], leaf),
        **dict.fromkeys(["family", "family_size"], leaf),  # ours
        "scores": dict.fromkeys(SCORES, score),
        "overall": {**score, **dict.fromkeys(["verdict", "seeds_needed", "borrowed_noise"], leaf)},
        "published": dict.fromkeys(PUBLISHED_KEYS, leaf),
    }
    assert keys(found) == {
        **dict.fromkeys(["scale", "seeds", "baseline_hash", "delta", "method", "rows"], leaf),
        **dict.fromkeys(["detectable", "unverified"], leaf),  # from here on ours
        "left_out": dict.fromkeys(["not_comparable", "other_designs"], leaf),
    }
    assert [keys(one) for one in found["rows"]] == [row] * len(rows)
    assert [one["row"] for one in found["rows"]] == [
        *("baseline", "xattn_every_4th", "vision_nfnet_f0"),
        *("my_own_row", "xattn_every_4th+resampler_mlp"),
    ]
    assert [one["group"] for one in found["rows"]] == ["baseline", "v", "vii", "my_own_row", "combination"]
    assert found["seeds"] == [0] and found["baseline_hash"] == BASELINE_HASH and found["delta"] == 1.0


def test_figures_are_those_of_the_store(store_run: StoreRun) -> None:
    """At one seed: means, blind twins, costs as stored; the difference is the stored scores'; the interval holds it."""
    base, ours = predictions(0), predictions(1, shift=5)
    base_id = store_run(metrics=COSTS, predictions=base, certificate=a_certificate())
    row_id = store_run(
        "xattn_every_4th",
        metrics={**COSTS, "step_time_s": 0.212, "step_time_ratio": 0.64},
        predictions=ours,
        certificate=a_certificate(),
    )
    rows = by_name(built())
    baseline, row = rows["baseline"], rows["xattn_every_4th"]
    expected, expected_base = scored(ours), scored(base)
    for metric in (*SCORES, "overall"):
        score = row["overall"] if metric == "overall" else row["scores"][metric]
        assert score["mean"] == expected[metric] and score["blind"] == expected[f"blind_{metric}"]
        assert score["difference"] == pytest.approx(expected[metric] - expected_base[metric])
        assert score["low"] < score["difference"] < score["high"]
        of_baseline = baseline["overall"] if metric == "overall" else baseline["scores"][metric]
        assert of_baseline["mean"] == expected_base[metric]
        assert of_baseline["difference"] is of_baseline["low"] is of_baseline["high"] is None
    assert row["params_total"] == 2_250_000 and isinstance(row["params_total"], int)
    assert (row["step_time_s"], row["step_time_ratio"]) == (0.212, 0.64)
    assert baseline["step_time_ratio"] == 1.0
    assert (row["n"], row["run_ids"], row["missing"]) == (1, [row_id], [])
    assert baseline["run_ids"] == [base_id]
    assert row["certificate"] == "equal" and baseline["certificate"] is None
    assert row["overall"]["verdict"] is None and baseline["overall"]["verdict"] is None
    assert "one training run" in built()["method"] and "examples" in built()["method"]


def test_published_figures_stand_beside_ours() -> None:
    """As the paper prints them; a row that it does not have has none."""
    for name, row in table3.rows().items():
        figures = build.published_figures(name)
        assert figures["params_b"] == row.params_b and figures["overall"] == row.overall
        assert {metric: figures[metric] for metric in SCORES} == row.scores
    assert build.published_figures("a+b") == dict.fromkeys(build.published_figures("baseline"))


def test_differences_are_paired_by_seed(store_run: StoreRun) -> None:
    """Over several seeds: the mean difference, in an interval of which most is not the seeds' own ups and downs."""
    for seed, overall in enumerate([40.0, 50.0, 90.0]):
        store_run(seed=seed, metrics={"overall": overall})
    for seed, overall in [(0, 41.0), (1, 54.0), (2, 92.5), (3, 0.0)]:
        store_run("xattn_every_4th", seed=seed, metrics={"overall": overall})
    row = by_name(built(seeds=[0, 1, 2]))["xattn_every_4th"]["overall"]
    assert row["difference"] == pytest.approx(2.5) and row["mean"] == pytest.approx((41 + 54 + 92.5) / 3)
    assert row["low"] < 2.5 < row["high"] < 10
    assert by_name(built(seeds=[0, 1, 2, 3]))["xattn_every_4th"]["n"] == 4
    assert by_name(built(seeds=[3]))["xattn_every_4th"]["overall"]["difference"] is None


def test_what_is_missing_is_the_command_that_makes_it(store_run: StoreRun) -> None:
    """A command for each seed that is not there, as a shell takes it."""
    store_run(seed=0)
    store_run("xattn_every_4th", seed=1)
    combination = "xattn_every_4th+resampler_mlp"
    rows = by_name(built(seeds=[0, 1], rows=["baseline", "xattn_every_4th", combination]))
    run = "python -m experiments.run"
    assert rows["baseline"]["missing"] == [f"{run} scale=tiny seed=1"]
    assert rows["xattn_every_4th"]["missing"] == [f"{run} ablation=xattn_every_4th scale=tiny seed=0"]
    assert [shlex.split(command)[3:] for command in rows[combination]["missing"]] == [
        ["ablation=[xattn_every_4th,resampler_mlp]", "scale=tiny", f"seed={seed}"] for seed in (0, 1)
    ]
    assert rows[combination]["n"] == 0 and rows[combination]["overall"]["mean"] is None


def test_a_command_repeats_the_overrides() -> None:
    """As they were given, quoted where a shell needs it."""
    command = commands.command("baseline", scale="tiny", seeds=[1, 2], overrides="data.mixture=[m3w] 'x=a b'")
    assert shlex.split(command) == [
        *("python", "-m", "experiments.run", "-m", "scale=tiny", "seed=1,2", "data.mixture=[m3w]", "x=a b")
    ]


def test_a_command_names_what_is_not_ours(store_run: StoreRun) -> None:
    """Modules and the folder of YAMLs of a row's own runs; a row without a run has those of a scale that needs them."""
    own = {"tree": a_tree(components=["my.module", "my.other"]), "config_dir": "/home/me/my conf"}
    said = ["components=[my.module,my.other]", "--config-dir", "/home/me/my conf"]
    store_run()
    store_run("my_row", **own)
    rows = by_name(built(seeds=[0, 1], rows=["baseline", "xattn_every_4th", "my_row"]))
    words = {name: shlex.split(row["missing"][-1])[3:] for name, row in rows.items()}
    assert words["my_row"] == ["ablation=my_row", "scale=tiny", "seed=1", *said]
    assert words["xattn_every_4th"] == ["ablation=xattn_every_4th", "scale=tiny", "seed=1"]
    assert words["baseline"] == ["scale=tiny", "seed=1"]
    store_run(scale="my_scale", **own)
    found = build.build(select("my_scale").runs, scale="my_scale", seeds=[0], rows=["xattn_every_4th"])
    assert shlex.split(found["rows"][0]["missing"][0])[3:] == [
        *("ablation=xattn_every_4th", "scale=my_scale", "seed=0"),
        *said,
    ]


def test_runs_left_out_are_counted(store_run: StoreRun) -> None:
    """The table says how many finished runs it could not take."""
    store_run()
    assert "left out" not in built()["method"]
    store_run("xattn_every_4th", overrides=("eval.shots=0",))
    assert "left out: 1 finished" in built()["method"]


def test_a_pair_that_differs_is_marked(store_run: StoreRun) -> None:
    """The certificate of a row with another baseline is `differs`, of one without a certificate unknown."""
    store_run(certificate=a_certificate())
    other = a_certificate()
    other["prompts"] = "other"
    store_run("xattn_every_4th", certificate=other)
    store_run("xattn_every_2nd")
    rows = by_name(built())
    assert rows["xattn_every_4th"]["certificate"] == "differs"
    assert rows["xattn_every_2nd"]["certificate"] is None


def test_an_empty_store_is_a_table_of_what_to_run() -> None:
    """Every published row in the paper's order, nothing known but the paper's figures."""
    found = build.build([], scale="tiny", seeds=[0], rows=list(table3.rows()))
    assert [row["row"] for row in found["rows"]] == list(table3.rows())
    assert all(row["n"] == 0 and len(row["missing"]) == 1 for row in found["rows"])
    assert found["baseline_hash"] is None
