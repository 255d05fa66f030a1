"""Jobs side by side: the same results as one after the other, failures that stay alone, one Ctrl-C for all."""

import os
import re
import signal
import threading
import time

import pytest

from experiments.jobs import lease
from experiments.jobs.executors.local import lines_to
from experiments.jobs.job import missing_jobs
from experiments.jobs.reconcile import reconcile
from experiments.spec.spec import make_specs
from experiments.store import reader
from flamingo_core.checkpoint import load_tensors
from tests.experiments.commands import QUICK, processes_of, start

FEW_QUERIES = [word for word in QUICK if not word.startswith("train.steps")]


def specs(*words, steps=2):
    """Specs of a quick command."""
    return make_specs([*FEW_QUERIES, f"train.steps={steps}", *words], sweeps=True)


def made(specs, **how):
    """Run what is missing of specs; what failed."""
    return reconcile(specs, lambda *_: None, **how)


def of(spec):
    """A spec's finished run."""
    return reader.find_finished(spec.hash, spec.seed, ablation=spec.name)


@pytest.mark.slow
def test_side_by_side_is_as_one_after_the_other(store_file, tmp_path, monkeypatch):
    """Weights and scores are equal bit for bit, whatever runs beside a job."""
    (row,) = specs("ablation=xattn_every_4th")
    assert made([row], workers=2) == []
    beside = of(row)
    weights = load_tensors(reader.artifact(beside, "weights.safetensors"))[0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other' / 'mlflow.db'}")
    assert made([row], workers=1) == []
    alone = of(row)
    assert alone.run_id != beside.run_id
    theirs = load_tensors(reader.artifact(alone, "weights.safetensors"))[0]
    assert all((weights[name] == theirs[name]).all() for name in weights | theirs)
    for name in beside.metrics.keys() | alone.metrics.keys():
        if "time" not in name:
            assert beside.metrics[name] == alone.metrics[name], name


@pytest.mark.slow
def test_a_failure_stays_alone(store_file, capfd):
    """A job that diverges is reported with its name; the one beside it finishes; nothing runs twice."""
    good, bad = specs("compare=false", "train.lr=0.01,1e30")
    (failure,) = made([bad, good], workers=2)
    assert failure.job.key == (bad.hash, 0)
    assert isinstance(failure.outcome.error, ArithmeticError)
    assert of(good) is not None
    assert of(bad) is None
    told = capfd.readouterr().err
    assert len(re.findall(r"^error: baseline seed 0: the loss is (?:nan|inf)", told, re.M)) == 1
    assert "tried again" not in told, "a loss that is not finite comes again: the seed decides it"
    assert [job.spec.hash for job in missing_jobs([bad, good])] == [bad.hash]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "told"), [(signal.SIGKILL, "was killed by signal 9.*"), (signal.SIGTERM, "was told to stop")]
)
def test_a_killed_process_loses_nothing(sent, told, store_file, capfd):
    """The job goes on from its checkpoint in another process, within the same command, and counts no failure."""
    wanted = specs("compare=false", "seed=0,1", "train.checkpoint_every=1", steps=20)
    folder = store_file.parent / "work" / f"{wanted[0].hash}-0"

    def kill_one() -> None:
        while not list(folder.glob("step-*.safetensors")):
            time.sleep(0.05)
        os.kill(lease.look((wanted[0].hash, 0)).pid, sent)

    killer = threading.Thread(target=kill_one)
    killer.start()
    assert made(wanted, workers=2) == []
    killer.join()
    assert re.search(rf"its process {told}; it goes on from step \d+", capfd.readouterr().err)
    runs = reader.runs(status=None)
    assert [run.status for run in runs] == ["FINISHED"] * 2
    assert sum("resumed_at_step" in run.tags for run in runs) == 1


def wait_until_both_train(command):
    """The command's stderr once each of its two jobs has begun its first step."""
    told, lines = set(), []
    while told != {"baseline", "xattn_every_4th"}:
        lines.append(command.stderr.readline())
        assert command.poll() is None, "".join(lines)
        begun = re.match(r"(\w+) seed 0: step \d", lines[-1])
        told |= {begun[1]} if begun else set()
    return "".join(lines)


# More steps than one job can do before the other, started beside it, has begun its first.
LONG = [*FEW_QUERIES, "ablation=xattn_every_4th", "train.steps=20000", "train.checkpoint_every=20000"]


@pytest.mark.slow
def test_one_ctrl_c_stops_all_and_the_same_command_goes_on(store_file):
    """Both jobs leave a checkpoint, exit 128 + n, no run is left RUNNING; the next command resumes both.

    SIGTERM comes to each process of the command, as batch systems send it: it counts once.
    """
    for sent, resumed in ((signal.SIGINT, 0), (signal.SIGTERM, 2)):
        command = start("experiments.run", *LONG, store=store_file)
        told = wait_until_both_train(command)
        assert told.count("resumed at step") == resumed
        for pid in [command.pid] if sent == signal.SIGINT else processes_of(command):
            os.kill(pid, sent)
        _, told = command.communicate(timeout=60)
        assert command.returncode == 128 + sent, told
        assert "Traceback" not in told
        checkpoints = list(store_file.parent.glob("work/*/step-*.safetensors"))
        assert len({file.parent for file in checkpoints}) == 2, told
        assert {run.status for run in reader.runs(status=None)} == {"KILLED"}
        assert len(checkpoints) == 2 + resumed, "each stop leaves one"
    assert len(reader.runs(status=None)) == 2


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(store_file):
    """SIGKILL of the command leaves no process behind, and checkpoints to go on from."""
    parent = start("experiments.run", *LONG, store=store_file)
    wait_until_both_train(parent)
    parent.kill()
    parent.wait()
    ended = time.monotonic() + 30
    while len({file.parent for file in store_file.parent.glob("work/*/step-*.safetensors")}) < 2:
        assert time.monotonic() < ended, os.listdir(store_file.parent)
        time.sleep(0.2)


def test_what_nobody_reads_any_more_stops_nothing():
    """A worker whose parent was killed prints on until it has left a checkpoint."""
    reads, writes = os.pipe()
    os.close(reads)
    with lines_to(writes) as lines:
        for number in range(3):
            print(f"step {number}", file=lines, flush=True)
    os.close(writes)


def test_a_worker_prints_text_of_any_kind():
    """A name of a file that is no UTF-8 fails no job."""
    reads, writes = os.pipe()
    with os.fdopen(writes, "wb"), lines_to(writes) as output:
        print("a\udcff", file=output)
        assert os.read(reads, 100) == b"a\\udcff\n"
    os.close(reads)
