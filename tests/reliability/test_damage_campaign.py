"""Any file of a store flipped, cut or emptied: every command prints what it printed before, or names the damage."""

import contextlib
import io
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from experiments.command.cli import main
from experiments.evaluation.benchmark import published
from experiments.jobs import reconcile
from experiments.jobs.attempt import Outcome
from experiments.report import report
from experiments.run import run
from experiments.spec import spec
from experiments.spec.spec import Spec
from experiments.spec.sweep import Sweep
from experiments.store.lifecycle import Git, start_run
from experiments.store.names import CERTIFICATE_FILE, PREDICTIONS_FOLDER, WEIGHTS_FILE
from experiments.table3 import table3
from tests.experiments.stored_runs import COST_METRICS, RATIO, a_certificate, answers, scored

ROW = "resampler_mlp"
COMMANDS = (
    (report, ("scale=tiny",)),
    (report, ("scale=tiny", "--format", "runs")),
    (table3, ("scale=tiny", "--rows", ROW, "--dry-run")),
    (run, ("scale=tiny", f"ablation={ROW}", "--workers=1")),
)
FLIPS = 24  # of the sqlite file, where something stands in it
SEED = 20_261_128
NAMES_DAMAGE = ("left out", "cannot be used", "cannot be read", "not what was stored", "counts as missing")


def called(command: Callable[[list[str]], int], arguments: Sequence[str]) -> tuple[int, str, str]:
    """A command in this process: exit code, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(command, list(arguments))
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def a_store(store_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A baseline and a row on two seeds, as jobs leave them; a job that would run again fails and says so."""
    composed, specs_of = {}, spec.specs_of

    def remembered(sweep: Sweep) -> list[Spec]:
        key = repr((sweep.scales, sweep.ablations, sorted(sweep.values.items())))
        if key not in composed:
            composed[key] = specs_of(sweep)
        return list(composed[key])

    monkeypatch.setattr(spec, "specs_of", remembered)  # composed once: what they say is in no file of a store
    for one in spec.make_specs([f"ablation=baseline,{ROW}", "scale=tiny", "seed=0,1"], sweeps=True):
        store_as_a_job_does(one, tmp_path / f"{one.name}-{one.seed}")
    monkeypatch.setattr(reconcile, "attempt", lambda job: Outcome("failed", "would run again"))
    monkeypatch.setattr(reconcile, "_complete", lambda job: Outcome("failed", "would be timed again"))
    return store_file


def store_as_a_job_does(one: Spec, files: Path) -> None:
    """A finished run of a real spec, with files of every kind."""
    (files / PREDICTIONS_FOLDER).mkdir(parents=True)
    writer = start_run(one, git=Git("c" * 40, "false"))
    predictions = {}
    for place, benchmark in enumerate(published()):
        media = [f"test/{benchmark.name}/{number}" for number in range(4)]
        scores = [float((one.seed + place) * 7 + 11 * number + 3 * len(one.name)) for number in range(4)]
        predictions[benchmark.name] = answers(scores, media=media, benchmark=benchmark.name)
        predictions[benchmark.name].to_parquet(files / PREDICTIONS_FOLDER / f"{benchmark.name}.parquet")
    certificate = {**a_certificate(), "against": {"run_id": "x", "equal": [], "declared": [], "unexpected": []}}
    (files / CERTIFICATE_FILE).write_text(json.dumps(certificate))
    (files / WEIGHTS_FILE).write_bytes(random.Random(0).randbytes(2000))
    writer.log_artifacts(files)
    writer.log_metrics({**COST_METRICS, **RATIO, **scored(predictions)})
    writer.finish("FINISHED")


def damages(store: Path, rng: random.Random) -> Iterator[tuple[str, Path, bytes]]:
    """Which file is damaged, how, and its content then: the sqlite file often, each other file once."""
    files = sorted(file for file in store.parent.rglob("*") if file.is_file() and file.stat().st_size)
    ways = [(store, "flip")] * FLIPS + [(store, "cut"), (store, "empty")]
    ways += [(file, rng.choice(["flip", "flip", "cut", "empty"])) for file in files if file != store]
    for file, way in ways:
        content = file.read_bytes()
        if way == "flip":
            used = [place for place in rng.choices(range(len(content)), k=500) if content[place]]
            place, bit = used[0], 1 << rng.randrange(8)
            flipped = bytes([content[place] ^ bit])
            yield f"bit {bit} of byte {place}", file, content[:place] + flipped + content[place + 1 :]
        else:
            yield way, file, b"" if way == "empty" else content[: rng.randrange(1, len(content))]


@pytest.mark.slow
def test_whatever_is_damaged_a_command_says_what_it_said_or_names_the_damage(a_store: Path) -> None:
    """No traceback, no other figure, nothing missing without a word."""
    for command in COMMANDS:  # the first time it writes the summary
        assert called(*command)[0] == 0
    before = [called(*command) for command in COMMANDS]
    assert {code for code, _, _ in before} == {0}
    ids = [folder.name for folder in (a_store.parent / "artifacts").iterdir()]
    rng, wrong, num_named = random.Random(SEED), [], 0
    for place, (what, file, content) in enumerate(damages(a_store, rng)):
        whole = file.read_bytes()
        file.write_bytes(content)
        # all commands read the store's file; of another one, each in turn is asked
        asked = range(len(COMMANDS)) if file == a_store else (0, 1 + place % (len(COMMANDS) - 1))
        for number in asked:
            code, out, err = called(*COMMANDS[number])
            if (code, out) == before[number][:2]:
                continue
            names = any(one in err for one in (*ids, str(a_store))) and any(one in err for one in NAMES_DAMAGE)
            if code in (0, 1, 2) and names and "Traceback" not in err and "debug=true" not in err:
                num_named += 1
                continue
            wrong.append(f"{what} of {file.relative_to(a_store.parent)}: {COMMANDS[number][1]}: {code}: {err[-300:]}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(whole)
    assert not wrong, json.dumps(wrong, indent=1)
    assert num_named > 20
    assert [called(*command) for command in COMMANDS] == before
