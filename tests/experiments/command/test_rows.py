"""Every row of the table, and two combinations, really run end to end: what each stores and prints."""

import contextlib
import io
import re
import shutil

import pytest
from mlflow import MlflowClient

from experiments.evaluation.benchmark import published
from experiments.published import table3
from experiments.published.table3 import COLUMNS as SCORES
from experiments.spec.yaml_files import known
from experiments.store import names, reader
from experiments.store.connection import use_store
from flamingo_core.flamingo import Flamingo
from tests.experiments.commands import QUICK, run_here

ROWS = [name for name in known("ablation") if name != table3.BASELINE]
COMBINATIONS = ["[xattn_every_4th,resampler_mlp]", "[lm_unfrozen_pretrained,data_laion]"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory, empty_database):
    """A store in which every row and two combinations were really run beside the baseline, and what each printed."""
    file = tmp_path_factory.mktemp("rows") / "mlflow.db"
    shutil.copy(empty_database, file)
    printed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
        for name in ROWS + COMBINATIONS:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                assert run_here(f"ablation={name}", *QUICK) == 0
            printed[name] = out.getvalue()
    return file, printed


@pytest.fixture
def rows(stored, monkeypatch):
    """The finished runs of that store by row."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{stored[0]}")
    return {run.row: run for run in reader.runs()}


def test_every_row_trains_evaluates_and_is_stored(rows):
    """All 18 rows and two combinations, once each, the baseline run once for all of them."""
    combined = {"xattn_every_4th+resampler_mlp", "data_laion+lm_unfrozen_pretrained"}
    assert set(rows) == set(table3.rows()) | combined
    assert len(reader.runs(status=None)) == len(rows)


def test_every_run_records_what_the_contract_names(rows):
    """All tags, all metrics, all files; the baseline alone has no ratio."""
    for name, run in rows.items():
        assert set(names.TAGS) <= run.tags.keys()
        scores = [*SCORES, names.OVERALL]
        expected = {*names.COSTS, *scores, *map(names.blind, scores)}
        if name == table3.BASELINE:
            expected -= {"step_time_ratio", "step_time_ratio_low", "step_time_ratio_high"}
        assert expected <= run.metrics.keys(), name
        for benchmark in published():
            frame = reader.load_predictions(run, benchmark.name)
            assert len(frame) == 18
            assert frame["score"].mean() == pytest.approx(run.metrics[benchmark.metric])
            assert frame["blind_score"].mean() == pytest.approx(run.metrics[names.blind(benchmark.metric)])
        for path in (names.SPEC_FILE, names.CERTIFICATE_FILE, names.WEIGHTS_FILE):
            assert reader.artifact(run, path).is_file()


def test_tags_name_row_group_and_hashes(rows):
    """Combinations are joined in the table's order; all rows share the baseline's hash and no two their own."""
    assert rows["xattn_every_4th"].tags["group"] == "v"
    assert rows["xattn_every_4th+resampler_mlp"].tags["group"] == "combination"
    assert len({run.tags["baseline_hash"] for run in rows.values()}) == 1
    assert len({run.tags["spec_hash"] for run in rows.values()}) == len(rows)
    assert rows["baseline"].tags["spec_hash"] == rows["baseline"].tags["baseline_hash"]
    assert rows["baseline"].tags["overrides"] == "data.world.queries=18 eval.max_new_tokens=4 train.steps=2"


def test_every_row_is_paired_with_the_baseline(rows, stored):
    """What a row does not touch starts equal, bit for bit, and sees the same data and prompts: nothing unexpected."""
    for name, run in rows.items():
        against = reader.certificate(run)["against"]
        if name == table3.BASELINE:
            assert against is None
            continue
        assert against["unexpected"] == [], name
        assert against["run_id"] == rows["baseline"].run_id
        assert "prompts" in against["equal"]
        assert "data" in against["equal"]
    assert all("\npaired: " in text for text in stored[1].values())


def test_every_loss_of_every_step_is_stored_once(rows):
    """Two steps, each data set of the row's mixture once a step."""
    client = MlflowClient(use_store())
    for name, mixture in (("baseline", "m3w align ltip vtp"), ("data_without_m3w", "align ltip vtp")):
        run = client.get_run(rows[name].run_id)
        assert {key for key in run.data.metrics if key.startswith("loss/")} == {f"loss/{x}" for x in mixture.split()}
        for dataset in mixture.split():
            history = client.get_metric_history(run.info.run_id, names.loss(dataset))
            assert [(entry.step) for entry in history] == [0, 1]


def test_costs_move_as_the_rows_say(rows):
    """Fewer blocks are fewer parameters and FLOPs; an unfrozen language model trains more of the same total."""
    metrics = {name: run.metrics for name, run in rows.items()}
    for cost in ("params_total", "flops_per_step", "peak_memory_bytes"):
        blocks = ("xattn_every_4th", "xattn_every_2nd", "baseline")
        one, two, four = (metrics[name][cost] for name in blocks)
        assert one < two < four, cost
    assert metrics["lm_unfrozen_random"]["params_total"] == metrics["baseline"]["params_total"]
    assert metrics["lm_unfrozen_random"]["params_trainable"] > metrics["baseline"]["params_trainable"]


def test_the_stored_weights_are_a_model(rows):
    """`from_pretrained` reads the artifact: the trained part of the row, at the row's size."""
    run = rows["xattn_every_4th"]
    model = Flamingo.from_pretrained(reader.artifact(run, names.WEIGHTS_FILE))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == run.metrics["params_trainable"]
    assert [layer.index for layer in model.conditioned_layers()] == [0]


def test_the_printed_row_stands_beside_the_published_one(stored):
    """Own rows, the paper's, the difference of both, the pairing and the next command."""
    text = stored[1]["xattn_every_4th"]
    assert re.search(r"^baseline +\d+\.\d+K", text, re.M)
    assert re.search(r"^published Every 4th +2\.3B +- +1\.02 s +0\.59 +82\.3 +42\.7", text, re.M)
    assert "next: " in text
    assert ".cache/pictures/" in text
