"""The command line: flags, sweeps, what is printed in place of a run, and exit codes."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from experiments.command.cli import main, read_run
from experiments.command.help import KEYS
from experiments.common.checkout import ROOT
from experiments.published.table3 import rows
from experiments.report import report
from experiments.spec.spec import make_spec
from experiments.spec.yaml_files import known
from experiments.store import reader
from experiments.store.error import StoreError
from flamingo_core import registry
from tests.experiments.commands import QUICK, run_here

# The keys that design and documentation promise.
CONTRACT_KEYS = (
    *("seed", "device", "compare", "rerun", "components"),
    *("model.vision.name", "model.resampler.name", "model.resampler.perceiver.num_latents"),
    *("model.xattn.name", "model.xattn.placement", "model.xattn.gated.tanh_gating"),
    *("model.lm.freeze", "model.lm.weights", "model.lm.path"),
    *("train.steps", "train.lr", "train.lr_lm", "train.objective", "train.checkpoint_every"),
    *("data.mixture", "eval.shots", "eval.batch_size", "eval.beams"),
)

MODULE = '''
"""A resampler of one's own."""
from dataclasses import dataclass
import torch
from flamingo_core.registry import register

@dataclass(kw_only=True, slots=True)
class MeanConfig:
    scale_by: float = 1.0

@register("resampler", "mean_token", config=MeanConfig)
class Mean(torch.nn.Module):
    def __init__(self, config, *, in_width, out_width):
        super().__init__()
        self.out = torch.nn.Linear(in_width, out_width)
    def num_tokens(self, num_frames, num_features):
        return 1
    def forward(self, features):
        return self.out(features.mean(dim=(1, 2)))[:, None]
print("a module that talks")
'''


@pytest.fixture
def own_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module that registers a component, and an ablation that chooses it; unregistered afterwards."""
    (tmp_path / "own_resampler.py").write_text(MODULE)
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation" / "resampler_mean.yaml").write_text(
        "# @package _global_\n# The mean of all features.\n"
        "changes: {resampler_mean: [model.resampler.name]}\nmodel: {resampler: {name: mean_token}}\n"
    )
    registry.names("resampler")
    monkeypatch.setitem(registry._components, "resampler", dict(registry._components["resampler"]))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_resampler", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    "typed",
    [
        "--cfg job --json ablation=xattn_every_4th seed=3",
        "seed=3 --json ablation=xattn_every_4th --cfg job",
        "--cfg=job seed=3 ablation=xattn_every_4th --json",
        "ablation=xattn_every_4th --json seed=3 --cfg job scale=desk",
    ],
)
def test_flags_may_stand_anywhere_among_overrides(typed: str) -> None:
    """Their place changes nothing."""
    request = read_run(typed.split(" "))
    assert request.json and not request.multirun
    assert request.reply is not None
    assert json.loads(request.reply) == make_spec("ablation=xattn_every_4th", "seed=3").tree


def test_cfg_job_is_the_resolved_spec_as_yaml() -> None:
    """What is printed reads back as the spec; without --cfg there is nothing to print before the run."""
    request = read_run(["--cfg", "job", "ablation=tanh_gating_off", "train.lr=2e-3"])
    assert request.reply is not None
    assert yaml.safe_load(request.reply) == request.specs[0].tree
    assert request.specs[0].tree["train"]["lr"] == 0.002
    assert "tanh_gating_off" in request.reply.splitlines()[0] and request.specs[0].hash in request.reply
    assert read_run(["ablation=tanh_gating_off"]).reply is None


def test_a_sweep_becomes_all_its_jobs() -> None:
    """-m takes every combination; ablations together stand in brackets; each job is the spec of its own command."""
    typed = ["-m", "seed=range(0,2)", "ablation=baseline,xattn_every_4th,[xattn_every_4th,resampler_mlp]"]
    request = read_run(typed)
    assert request.multirun
    assert [(spec.name, spec.seed) for spec in request.specs] == [
        (name, seed) for name in ("baseline", "xattn_every_4th", "xattn_every_4th+resampler_mlp") for seed in (0, 1)
    ]
    assert request.specs[3] == make_spec("ablation=xattn_every_4th", "seed=1")
    reply = read_run([*typed, "--cfg", "job"]).reply
    assert reply is not None
    assert [tree["seed"] for tree in yaml.safe_load_all(reply)] == [0, 1] * 3
    as_json = read_run([*typed, "--cfg", "job", "--json"]).reply
    assert as_json is not None
    assert len(json.loads(as_json)["jobs"]) == 6


def test_one_wrong_job_refuses_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a sweep in which one value is wrong nothing is let through."""
    reached = []

    def command(argv: list[str]) -> int:
        reached.append(read_run(argv))
        return 0

    assert main(command, ["-m", "ablation=xattn_every_4th,xattn_grafting", "model.xattn.placement=every_2nd"]) == 2
    assert reached == []
    assert "model.xattn.placement" in capsys.readouterr().err


def test_help_lists_ablations_scales_keys_and_exit_codes() -> None:
    """Every ablation with the paper's label, every scale, every key of the contract with a line and its default."""
    text = read_run(["ablation=nonsense", "-h"]).reply
    assert text is not None and text == read_run(["--help"]).reply
    lines = text.splitlines()
    for name, row in rows().items():
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert row.setting in line and row.changed_value in line
    for name in known("scale"):
        assert any(line.startswith(f"  {name} ") for line in lines)
    tree = make_spec().tree
    for key in CONTRACT_KEYS:
        assert key in KEYS
        (line,) = [line for line in lines if line.startswith(f"  {key}=")]
        assert re.fullmatch(r"  [\w.]+=\S+ +\S.*", line)
        value: object = tree
        for part in key.split("."):
            assert isinstance(value, dict)
            value = value[part]
        shown = yaml.safe_load(line.split()[0].partition("=")[2])
        assert shown == value or (key.endswith(".path") and str(value).endswith(shown))
    for code in ("0", "1", "2", "130"):
        assert any(line.startswith(f"  {code} ") for line in lines)
    for flag in ("-m, --multirun", "--cfg job", "--json", "--config-dir DIR", "-h, --help"):
        assert flag in text
    assert max(map(len, lines)) <= 120


def test_the_commands_in_help_are_right() -> None:
    """Every example that help shows is a request that is granted."""
    text = read_run(["--help"]).reply
    assert text is not None
    examples = [line.split("experiments.run ")[1] for line in text.splitlines() if line.startswith("  python -m ")]
    assert len(examples) >= 3
    for example in examples:
        assert read_run(example.split(" ")).specs


def test_help_names_the_components_there_are() -> None:
    """Help reads the components off the default scale: they are those that are registered."""
    text = read_run(["--help"]).reply
    assert text is not None
    for slot in registry.SLOTS:
        (line,) = [line for line in text.splitlines() if line.startswith(f"  model.{slot}.name=")]
        assert set(line.partition(": ")[2].split(", ")) == set(registry.names(slot))


def test_help_and_plain_refusals_import_no_torch() -> None:
    """They answer at once: neither torch nor MLflow is imported for them, here or where workers would come from."""
    code = (
        "import sys\n"
        "from experiments.command.cli import main, read_run\n"
        "early = {'torch', 'hydra', 'yaml', 'mlflow'} & sys.modules.keys()\n"
        "read_run(['--help'])\n"
        "assert main(lambda argv: read_run(argv) and 0, ['seed=-1', 'ablation=nope', 'train.lrr=1', '--sed=1']) == 2\n"
        "print(sorted(early), sorted({'torch', 'transformers', 'mlflow', 'pandas'} & sys.modules.keys()))\n"
        "from multiprocessing.forkserver import _forkserver; print(_forkserver._forkserver_pid)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert ended.stdout == "[] []\nNone\n"


def test_a_component_from_outside_can_be_chosen(own_component: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`components=` registers it, `--config-dir` brings its ablation, the guard holds; what it prints is no data."""
    folder = ["--config-dir", str(own_component)]
    (spec,) = read_run([*folder, "ablation=resampler_mean", "components=[own_resampler]"]).specs
    assert spec.model["resampler"] == {"name": "mean_token", "mean_token": {"scale_by": 1.0}}
    assert spec.tree["components"] == ["own_resampler"]
    assert (spec.name, spec.group) == ("resampler_mean", "resampler_mean")
    assert spec.baseline_hash == make_spec().hash
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "a module that talks\n")
    typed = [*folder, "ablation=resampler_mean", "components=[own_resampler]", "model.resampler.mean_token.scale_by=2"]
    assert read_run(typed).specs[0].model["resampler"]["mean_token"]["scale_by"] == 2.0
    text = read_run([*folder, "--help"]).reply
    assert text is not None and re.search(r"resampler_mean +The mean of all features\.", text)


def test_a_component_from_outside_that_is_faulty_is_refused(
    own_component: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is taken, a module that fails, a config that YAML cannot hold: refused, named, no traceback."""
    for name, text, said in (
        ("own_taken", MODULE.replace("mean_token", "mlp"), "`mlp` is registered twice"),
        ("own_failing", "1 / 0", "ZeroDivisionError"),
        ("own_leaving", "raise SystemExit(3)", "SystemExit"),
        ("own_literal", MODULE.replace("scale_by: float", "scale_by: __import__('typing').Literal[1]"), "MeanConfig"),
    ):
        (own_component / f"{name}.py").write_text(text)
        assert main(lambda argv: len(read_run(argv).specs), [f"components=[{name}]"]) == 2
        output = capsys.readouterr().err
        assert said in output and "hint: " in output and "Traceback" not in output


def test_a_component_that_opens_a_missing_file_fails_alone(
    own_component: Path, store_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its row is tried again and flagged with the file's name, the row beside it is stored; exit 1."""
    missing = str(own_component / "weights.bin")
    module = MODULE.replace("return self.out", f"features.is_meta or open({missing!r})\n        return self.out")
    (own_component / "own_resampler.py").write_text(module)
    words = ["-m", "ablation=resampler_mean,resampler_mlp", "components=[own_resampler]", "compare=false", *QUICK]
    assert run_here("--config-dir", str(own_component), *words) == 1
    err = capsys.readouterr().err
    assert err.count(f"error: resampler_mean seed 0: [Errno 2] No such file or directory: '{missing}'") == 3
    assert "Traceback" not in err
    assert [run.row for run in reader.runs()] == ["resampler_mlp"]


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (StoreError("the store is gone", "look elsewhere"), 2, "error: the store is gone\nhint: look elsewhere\n"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "error: [Errno 28] No space left on device\nhint: "),
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            2,
            "error: [Errno 13] Permission denied: 'x'\nhint: ",
        ),
        (RuntimeError("it\nbroke"), 1, "error: RuntimeError: it broke\nhint: debug=true"),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
)
def test_what_a_command_raises_becomes_an_exit_code(
    raised: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One message on stderr, no traceback; with debug=true the traceback as well, and the same code."""

    def command(argv: list[str]) -> int:
        raise raised

    assert main(command, []) == code
    output = capsys.readouterr()
    assert output.err.startswith(said) and output.out == "" and "Traceback" not in output.err
    assert main(command, ["debug=true"]) == code
    assert ("Traceback" in capsys.readouterr().err) == (code != 130)


def test_a_command_s_own_code_is_passed_on() -> None:
    """1 for a run that failed comes from the command."""
    assert [main(lambda argv, code=code: code, []) for code in (0, 1)] == [0, 1]  # type: ignore[misc]


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """`... --help | head` ends without a traceback."""
    code = "import sys; from experiments.command.cli import main; sys.exit(main(lambda argv: print('x' * 10**6) or 0))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_count_of_more_digits_than_python_reads_is_refused(capsys):
    """In the usual form."""
    assert main(report, ["--seeds", "9" * 5000]) == 2
    assert "`--seeds` is" in capsys.readouterr().err
