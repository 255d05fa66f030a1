"""`python -m experiments.run`, end to end at the tiny scale: what it runs, stores, prints, and does not do twice."""

import json
import re
import signal
import sqlite3
import subprocess

import pytest
from mlflow import MlflowClient

from experiments import published, record
from experiments.analysis import results
from experiments.compose import known
from experiments.tracking import use_store
from experiments.training import timing
from flamingo_core.checkpoint import load_tensors
from flamingo_core.flamingo import Flamingo
from tests.experiments.commands import QUICK, run_here, start

ROWS = [name for name in known("ablation") if name != published.BASELINE]
COMBINATIONS = ["[xattn_every_4th,resampler_mlp]", "[lm_unfrozen_pretrained,data_laion]"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory, empty_database):
    """A store in which every row and two combinations were really run beside the baseline, and what each printed."""
    import contextlib
    import io
    import shutil

    file = tmp_path_factory.mktemp("rows") / "mlflow.db"
    shutil.copy(empty_database, file)
    printed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
        patch.setattr(timing, "ROUNDS", 3)
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
    return {run.row: run for run in results.runs()}


def test_every_row_trains_evaluates_and_is_stored(rows):
    """All 18 rows and two combinations, once each, the baseline run once for all of them."""
    combined = {"xattn_every_4th+resampler_mlp", "data_laion+lm_unfrozen_pretrained"}
    assert set(rows) == set(published.rows()) | combined
    assert len(results.runs(status=None)) == len(rows)


def test_every_run_records_what_the_contract_names(rows):
    """All tags, all metrics, all files; the baseline alone has no ratio."""
    from experiments.record import BENCHMARKS, COSTS, OVERALL, SCORES, TAGS

    for name, run in rows.items():
        assert set(TAGS) <= run.tags.keys()
        scores = [*SCORES, OVERALL]
        expected = {*COSTS, *scores, *map(record.blind, scores)}
        if name == published.BASELINE:
            expected -= {"step_time_ratio", "step_time_ratio_low", "step_time_ratio_high"}
        assert expected <= run.metrics.keys(), name
        for benchmark in BENCHMARKS:
            frame = results.load_predictions(run, benchmark.name)
            assert len(frame) == 18
            assert frame["score"].mean() == pytest.approx(run.metrics[benchmark.metric])
            assert frame["blind_score"].mean() == pytest.approx(run.metrics[record.blind(benchmark.metric)])
        for path in (record.SPEC_FILE, record.CERTIFICATE_FILE, record.WEIGHTS_FILE):
            assert results.artifact(run, path).is_file()


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
        against = results.certificate(run)["against"]
        if name == published.BASELINE:
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
            history = client.get_metric_history(run.info.run_id, record.loss(dataset))
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
    model = Flamingo.from_pretrained(results.artifact(run, record.WEIGHTS_FILE))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == run.metrics["params_trainable"]
    assert [layer.index for layer in model.conditioned_layers()] == [0]


def test_the_printed_row_stands_beside_the_published_one(stored):
    """Own rows, the paper's, the difference of both, the pairing and the next command."""
    text = stored[1]["xattn_every_4th"]
    assert re.search(r"^baseline +\d+\.\d+K", text, re.M)
    assert re.search(r"^published Every 4th +2\.3B +- +1\.02 s +0\.59 +82\.3 +42\.7", text, re.M)
    assert "next: " in text
    assert ".cache/pictures/" in text


def test_a_finished_run_is_reported_not_run_again(store_file, capsys):
    """The second command trains nothing, says so, prints the same row; `rerun=true` runs the row again."""
    command = ("ablation=xattn_every_4th", *QUICK)
    assert run_here(*command) == 0
    first = capsys.readouterr()
    assert run_here(*command) == 0
    second = capsys.readouterr()
    assert first.out == second.out
    assert "step 2/2" in first.err
    assert "step" not in second.err
    assert second.err.count("is stored, nothing is run") == 2
    before = {run.run_id for run in results.runs()}
    assert run_here(*command, "rerun=true", "compare=false") == 0
    (again,) = {run.run_id for run in results.runs()} - before
    old = results.find_finished(results.runs()[0].tags["spec_hash"], 0)
    assert old.run_id == again
    one, other = (run for run in results.runs() if run.row == "xattn_every_4th")
    for metric in ("overall", "coco_cider", "blind_overall"):
        assert one.metrics[metric] == other.metrics[metric]
    weights = [load_tensors(results.artifact(run, record.WEIGHTS_FILE))[0] for run in (one, other)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def test_json_is_one_object_and_nothing_else(store_file, capsys):
    """A sweep over seeds: both rows, both seeds, differences from the baseline."""
    assert run_here("-m", "ablation=tanh_gating_off", "seed=0,1", "--json", *QUICK) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["seeds"] == [0, 1]
    assert [row["row"] for row in table["rows"]] == ["baseline", "tanh_gating_off"]
    assert [row["n"] for row in table["rows"]] == [2, 2]
    assert table["rows"][0]["overall"]["difference"] is None
    assert table["rows"][1]["overall"]["difference"] is not None


def test_without_comparison_the_row_runs_alone(store_file, capsys):
    """`compare=false` runs no baseline and stores no ratio."""
    assert run_here("ablation=xattn_vanilla", "compare=false", *QUICK) == 0
    (run,) = results.runs()
    assert run.row == "xattn_vanilla"
    assert "step_time_ratio" not in run.metrics
    assert "step_time_s" in run.metrics


@pytest.mark.parametrize("beams", [1, 3])
def test_scores_do_not_depend_on_the_evaluation_batch_size(beams, store_file, capsys):
    """Answer for answer, greedy and with beams, blind twins too; the longest prompt may share a batch or be alone."""
    for size in (1, 5, 18):
        command = ("train.steps=120", "data.world.queries=18", f"eval.batch_size={size}", f"eval.beams={beams}")
        assert run_here(*command) == 0
    runs = results.runs()
    assert len(runs) == 3
    for benchmark in record.BENCHMARKS:
        frames = [results.load_predictions(run, benchmark.name) for run in runs]
        for frame in frames[1:]:
            assert frame["answer"].tolist() == frames[0]["answer"].tolist()
            assert frame["blind_answer"].tolist() == frames[0]["blind_answer"].tolist()
            assert frame["score"].tolist() == frames[0]["score"].tolist()
    answers = {
        answer
        for benchmark in record.BENCHMARKS
        for answer in results.load_predictions(runs[0], benchmark.name)["answer"]
    }
    assert len(answers) > 5, "a model that always says the same proves nothing"


def test_a_loss_that_is_not_finite_fails_the_run_and_says_where(store_file, capsys):
    """Exit 1, one line with step, data set and examples; the run is stored as failed, the others still run."""
    assert run_here("-m", "train.lr=1e30,1e-3", "train.warmup_steps=0", *QUICK) == 1
    err = capsys.readouterr().err
    assert re.search(r"error: baseline seed 0: the loss is (nan|inf) at step 1, data set `m3w`, examples? m3w/\d+", err)
    assert "Traceback" not in err
    assert sorted(run.status for run in results.runs(status=None)) == ["FAILED", "FINISHED"]


def wait_for(process, pattern):
    """Read stderr until a line matches."""
    seen = []
    for line in process.stderr:
        seen.append(line)
        if re.search(pattern, line):
            return "".join(seen)
    raise AssertionError("".join(seen))


def test_ctrl_c_stops_at_a_step_and_the_same_command_goes_on_to_the_same_end(store_file, tmp_path, monkeypatch):
    """Exit 130 and a KILLED run; resumed, it ends with the weights and scores of a run that was never stopped."""
    steps = ("train.steps=150", "data.world.queries=18", "compare=false", "eval.max_new_tokens=4")
    process = start("experiments.run", *steps, store=store_file)
    wait_for(process, r"step 0/150")
    import time

    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err.strip().endswith("stopped")
    (run,) = results.runs(status=None)
    assert run.status == "KILLED"

    again = start("experiments.run", *steps, store=store_file)
    _, err = again.communicate(timeout=240)
    assert again.returncode == 0, err
    resumed_at = int(re.search(r"resumed at step (\d+)", err)[1])
    assert 0 < resumed_at < 150
    (resumed,) = results.runs(status=None)
    assert resumed.run_id == run.run_id
    assert resumed.tags["resumed_at_step"] == str(resumed_at)
    with sqlite3.connect(store_file) as database:
        stored = database.execute(
            "select key, count(*), count(distinct step) from metrics where key like 'loss/%' group by key"
        ).fetchall()
    assert {(count, distinct) for _, count, distinct in stored} == {(150, 150)}
    assert not list((store_file.parent / "work").glob("*/*"))

    straight = tmp_path / "straight" / "mlflow.db"
    straight.parent.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{straight}")
    assert run_here(*steps) == 0
    (never_stopped,) = results.runs()
    for metric, value in never_stopped.metrics.items():
        if "time" not in metric:
            assert resumed.metrics[metric] == value, metric
    ours = load_tensors(results.artifact(never_stopped, record.WEIGHTS_FILE))[0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store_file}")
    theirs = load_tensors(results.artifact(resumed, record.WEIGHTS_FILE))[0]
    assert all((ours[name] == theirs[name]).all() for name in ours)


def test_progress_says_step_loss_and_time_left(store_file):
    """Lines on stderr, nothing of them on stdout."""
    process = start("experiments.run", "compare=false", *QUICK, store=store_file)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert re.search(r"^baseline: step 2/2, loss \d+\.\d+ .*left$", err, re.M)
    assert "step 2/2" not in out


def test_the_default_store_is_the_repositorys_wherever_one_stands(tmp_path, monkeypatch):
    """Without MLFLOW_TRACKING_URI the store is `mlruns/mlflow.db` beside the code."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    from experiments.store import ROOT, locate

    assert locate().file == ROOT / "mlruns" / "mlflow.db"
    done = subprocess.run(["git", "-C", str(ROOT), "check-ignore", "-q", "mlruns/mlflow.db"], check=False)
    assert done.returncode in (0, 128), "the local store stays out of git"
