"""`python -m experiments.run` as a command: what it does not do twice, how it stops, fails, goes on and reports."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from experiments.common.progress import Progress
from experiments.evaluation.benchmark import published
from experiments.store import names, patience, reader
from flamingo_core.checkpoint import load_tensors
from tests.experiments.commands import ONE_PROCESS, QUICK, left_in_work, run_here, start


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
    before = {run.run_id for run in reader.runs()}
    assert run_here(*command, "rerun=true", "compare=false") == 0
    (again,) = {run.run_id for run in reader.runs()} - before
    old = reader.find_finished(reader.runs()[0].tags["spec_hash"], 0)
    assert old.run_id == again
    one, other = (run for run in reader.runs() if run.row == "xattn_every_4th")
    for metric in ("overall", "coco_cider", "blind_overall"):
        assert one.metrics[metric] == other.metrics[metric]
    weights = [load_tensors(reader.artifact(run, names.WEIGHTS_FILE))[0] for run in (one, other)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def test_other_shots_evaluate_the_stored_weights(store_file, capsys):
    """Nothing is trained again; the new run has the same weights and losses, and its own scores and prompts."""
    command = ("compare=false", *QUICK)
    assert run_here(*command) == 0
    capsys.readouterr()
    assert run_here(*command, "eval.shots=0") == 0
    err = capsys.readouterr().err
    assert "trained the same, so its weights are evaluated" in err
    assert "step" not in err
    none, four = reader.runs()
    assert none.tags["spec_hash"] != four.tags["spec_hash"]
    assert reader.losses(none) == reader.losses(four)
    batches = [reader.certificate(run)["batches"] for run in (none, four)]
    assert batches[0] == batches[1], "trained on what the run was whose weights these are"
    weights = [load_tensors(reader.artifact(run, names.WEIGHTS_FILE))[0] for run in (none, four)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    prompts = [reader.load_predictions(run, "vqav2")["prompt"][0].count("<image>") for run in (none, four)]
    assert prompts == [1, 5]


def test_a_row_given_as_an_override_is_stored_under_its_own_name_too(store_file, capsys):
    """The same spec twice, once as baseline with overrides: the row's own run is made, from the same weights."""
    assert run_here("model.xattn.placement=every_2nd", "compare=false", *QUICK) == 0
    assert run_here("ablation=xattn_every_2nd", "compare=false", *QUICK) == 0
    row, override = reader.runs()
    assert row.tags["spec_hash"] == override.tags["spec_hash"]
    assert (row.row, override.row) == ("xattn_every_2nd", "baseline")
    assert "trained the same" in capsys.readouterr().err


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
    (run,) = reader.runs()
    assert run.row == "xattn_vanilla"
    assert "step_time_ratio" not in run.metrics
    assert "step_time_s" in run.metrics


def test_scores_do_not_depend_on_the_evaluation_batch_size(store_file, capsys):
    """Answer for answer, greedy and with beams, blind twins too; the longest prompt may share a batch or be alone."""
    trained = ("scale=tiny", "train.steps=60", "data.world.queries=18")
    for beams in (1, 3):
        for size in (1, 7):
            assert run_here(*trained, f"eval.batch_size={size}", f"eval.beams={beams}") == 0
        large, small = reader.runs()[:2]
        answers = set()
        for benchmark in published():
            one, other = (reader.load_predictions(run, benchmark.name) for run in (large, small))
            for column in ("answer", "blind_answer", "score"):
                assert one[column].tolist() == other[column].tolist()
            answers |= set(one["answer"])
        assert len(answers) > 5, "a model that always says the same proves nothing"
    assert len(reader.runs()) == 4


def test_a_loss_that_is_not_finite_fails_the_run_and_says_where(store_file, capsys):
    """Exit 1, one line with step, data set and examples; the run is stored as failed, the others still run."""
    assert run_here("-m", "train.lr=1e30,1e-3", "train.warmup_steps=0", *QUICK) == 1
    err = capsys.readouterr().err
    assert re.search(r"error: baseline seed 0: the loss is (nan|inf) at step 1, data set `m3w`, examples? m3w/\d+", err)
    assert "Traceback" not in err
    assert sorted(run.status for run in reader.runs(status=None)) == ["FAILED", "FINISHED"]


def wait_for(process, pattern):
    """Read stderr until a line matches."""
    seen = []
    for line in process.stderr:
        seen.append(line)
        if re.search(pattern, line):
            return "".join(seen)
    raise AssertionError("".join(seen))


def test_ctrl_c_stops_at_a_step_and_the_same_command_goes_on_to_the_same_end(store_file, tmp_path, monkeypatch, capsys):
    """Exit 130 and a KILLED run; resumed, it ends with the weights and scores of a run that was never stopped."""
    steps = ("scale=tiny", "train.steps=60", "data.world.queries=18", "compare=false", "eval.max_new_tokens=4")
    process = start("experiments.run", *steps, ONE_PROCESS, store=store_file)
    wait_for(process, r"step 0/60")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err.strip().endswith("stopped")
    (run,) = reader.runs(status=None)
    assert run.status == "KILLED"

    assert run_here(*steps) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^baseline seed 0: step 60/60, loss \d+\.\d+ .*left$", err, re.M)
    assert "step 60/60" not in out, "progress is for stderr alone"
    resumed_at = int(re.search(r"resumed at step (\d+)", err)[1])
    assert 0 < resumed_at < 60
    (resumed,) = reader.runs(status=None)
    assert resumed.run_id == run.run_id
    assert resumed.tags["resumed_at_step"] == str(resumed_at)
    with sqlite3.connect(store_file) as database:
        stored = database.execute(
            "select key, count(*), count(distinct step) from metrics where key like 'loss/%' group by key"
        ).fetchall()
    assert {(count, distinct) for _, count, distinct in stored} == {(60, 60)}
    assert left_in_work(store_file) == []

    straight = tmp_path / "straight" / "mlflow.db"
    straight.parent.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{straight}")
    assert run_here(*steps) == 0
    (never_stopped,) = reader.runs()
    for metric, value in never_stopped.metrics.items():
        if "time" not in metric:
            assert resumed.metrics[metric] == value, metric
    ours = load_tensors(reader.artifact(never_stopped, names.WEIGHTS_FILE))[0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store_file}")
    theirs = load_tensors(reader.artifact(resumed, names.WEIGHTS_FILE))[0]
    assert all((ours[name] == theirs[name]).all() for name in ours)


def signalled(monkeypatch, *signals, at="loss"):
    """Send signals to this process whenever progress is noted so."""
    advance = Progress.advance

    def signalling(self, note="", **how):
        advance(self, note, **how)
        if note.startswith(at):
            for number in signals:
                os.kill(os.getpid(), number)

    monkeypatch.setattr(Progress, "advance", signalling)


FEW = ("compare=false", "train.steps=5", *(word for word in QUICK if not word.startswith("train.steps")))


def left_by(store_file):
    """Checkpoints, and how runs stand."""
    checkpoints = sorted(file.name for file in store_file.parent.glob("work/*/step-*"))
    return checkpoints, [run.status for run in reader.runs(status=None)]


@pytest.mark.parametrize(
    "sent",
    [
        (signal.SIGINT,),
        (signal.SIGTERM,),
        (signal.SIGHUP, signal.SIGHUP),  # the shell and the kernel tell of one closed terminal
        (signal.SIGUSR1, signal.SIGUSR1),
        (signal.SIGHUP, signal.SIGTERM),
        (signal.SIGUSR1, signal.SIGINT),  # in either order, where it is sent to all processes
    ],
    ids=lambda sent: "-".join(number.name for number in sent),
)
def test_a_stop_just_after_a_step_leaves_a_checkpoint_too(sent, store_file, monkeypatch):
    """Between the end of a step and the next one: the next step is done, saved, and the last; exit 128 + n."""
    signalled(monkeypatch, *sent)
    assert run_here(*FEW) == 128 + sent[0]
    assert left_by(store_file) == (["step-00000002.safetensors"], ["KILLED"])


@pytest.mark.parametrize(("first", "second"), [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT)])
def test_a_second_signal_stops_at_once(first, second, store_file, monkeypatch):
    """Without another step; what was asked first gives the code."""
    signalled(monkeypatch, first, second)
    assert run_here(*FEW) == 128 + first
    assert left_by(store_file) == ([], ["KILLED"])


def test_a_signal_that_was_ignored_on_entry_stays_ignored(store_file, monkeypatch):
    """As under `nohup`: a closed terminal stops nothing, and handlers are as they were afterwards."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        signalled(monkeypatch, signal.SIGHUP)
        assert run_here(*FEW) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
    assert left_by(store_file) == ([], ["FINISHED"])


def test_a_stop_while_timing_keeps_the_run(store_file, monkeypatch, capsys):
    """It is finished and lacks its timing, which the same command makes."""
    advance = Progress.advance

    def signalling(self, note="", **how):
        advance(self, note, **how)
        if "timing" in self._bar.desc:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "advance", signalling)
        assert run_here("compare=false", *QUICK) == 143
    assert left_by(store_file) == ([], ["FINISHED"])
    assert run_here("compare=false", *QUICK) == 0
    (run,) = reader.runs()
    assert "step_time_s" in run.metrics
    assert "step 1/" not in capsys.readouterr().err.rpartition("stopped")[2]


def test_a_command_that_waits_for_the_store_stops_too(store_file, monkeypatch, capsys):
    """SIGTERM while another process holds the store's lock is answered long before the wait would be over."""
    monkeypatch.setattr(patience, "LOCK_WAIT_S", 3600.0)
    monkeypatch.setattr(patience, "TURN_S", 0.1)
    with contextlib.closing(sqlite3.connect(store_file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        sender = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGTERM))
        sender.start()
        assert run_here("compare=false", *QUICK) == 143
        sender.join()
    assert capsys.readouterr().err == "stopped\n"


def test_a_command_that_waits_for_a_job_stops_too(store_file, monkeypatch, capsys):
    """SIGTERM while another command is on its job: nothing is begun."""
    waits = threading.Event()

    def taken(*_):
        waits.set()

    @contextlib.contextmanager
    def nobody(*_):
        yield None

    monkeypatch.setattr("experiments.jobs.lease.look", taken)
    monkeypatch.setattr("experiments.jobs.lease.hold", nobody)
    sender = threading.Thread(target=lambda: waits.wait(60) and os.kill(os.getpid(), signal.SIGTERM))
    sender.start()
    assert run_here("compare=false", *QUICK) == 143
    sender.join()
    assert capsys.readouterr().err.endswith("baseline seed 0 waits: another process is running it\nstopped\n")
    assert left_by(store_file) == ([], [])


def test_the_default_store_is_the_repositorys_wherever_one_stands(tmp_path, monkeypatch):
    """Without MLFLOW_TRACKING_URI the store is `mlruns/mlflow.db` beside the code."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    from experiments.common.checkout import ROOT
    from experiments.store.locate import locate

    assert locate().file == ROOT / "mlruns" / "mlflow.db"
    done = subprocess.run(["git", "-C", str(ROOT), "check-ignore", "-q", "mlruns/mlflow.db"], check=False)
    assert done.returncode in (0, 128), "the local store stays out of git"
