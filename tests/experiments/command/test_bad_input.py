"""Every wrong request ends with exit code 2 and one message on stderr, and nothing is written anywhere."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.command.cli import main, read_run
from experiments.common.checkout import ROOT
from experiments.store.error import CACHE_VARIABLE


def request(argv: list[str]) -> int:
    """The first thing every command does: read its arguments."""
    read_run(argv)
    return 0


def traces() -> set[Path]:
    """Files that a run, or Hydra, would leave in the checkout."""
    kept = [path for path in ROOT.iterdir() if not path.name.startswith((".", "__pycache__"))]
    stores = [path for name in ("mlruns", "outputs", "multirun", ".hydra") for path in (ROOT / name).rglob("*")]
    return {*kept, *stores}


@pytest.fixture(autouse=True)
def nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The working directory, the store's folder, the cache and the checkout are as they were.

    The cache is one of the test's own: tests beside it fill the checkout's meanwhile.
    """
    working, store = tmp_path / "working", tmp_path / "store"
    working.mkdir()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    store.mkdir()
    monkeypatch.chdir(working)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'mlflow.db'}")
    before = traces()
    yield
    assert list(working.iterdir()) == []
    assert list(store.iterdir()) == []
    assert not (tmp_path / "cache").exists()
    assert traces() == before


# What is typed, then all that the message must say. `error` and `hint` lines are checked for every case.
CASES: list[tuple[str, list[str]]] = [
    # names of ablations and scales
    (
        "ablation=xattn_evry_4th",
        ["`ablation` is `xattn_evry_4th`", "allowed: baseline, ", "did you mean `xattn_every_4th`?"],
    ),
    ("scale=tny", ["`scale` is `tny`", "allowed: ", "tiny", "did you mean `tiny`?"]),
    ("ablation=null", ["`ablation` is `null`", "allowed: baseline, "]),
    ("ablation=", ["`ablation` is ``", "allowed: baseline, "]),
    ("ablation=''", ["`ablation` is ``", "allowed: baseline, "]),
    ("ablation=[]", ["`ablation` is `[]`", "baseline alone"]),
    ("ablation=[null]", ["`ablation` is `[null]`"]),
    ("ablation={a:b}", ["`ablation` is `{a: b}`"]),
    ("ablation=1", ["`ablation` is `1`"]),
    ("scale=null", ["`scale` is `null`", "allowed: ", "tiny"]),
    ("scale=", ["`scale` is ``", "allowed: ", "tiny"]),
    ("scale=[tiny]", ["`scale` is `[tiny]`", "allowed: ", "tiny"]),
    ("ablation=../scale/tiny", ["`ablation` is `../scale/tiny`", "not a path"]),
    ("ablation=ablation/baseline", ["not a path"]),
    ("ablation=/etc/passwd", ["`ablation` is `/etc/passwd`", "not a path"]),
    ("ablation=xattn_every_4th.yaml", ["did you mean `xattn_every_4th`?"]),
    ("scale=../ablation/baseline", ["`scale` is `../ablation/baseline`", "not a path"]),
    ("ablation=[xattn_every_4th,xattn_every_4th]", ["every name once"]),
    ("ablation=[baseline,xattn_every_4th]", ["`baseline` alone"]),
    (
        "ablation=xattn_every_4th ablation=tanh_gating_off",
        ["given 2 times", "ablation=[xattn_every_4th,tanh_gating_off]"],
    ),
    ("xattn_every_4th", ["`xattn_every_4th` is not `key=value`", "did you mean `ablation=xattn_every_4th`?"]),
    # keys
    (
        "train.lrr=1",
        ["`train.lrr` is `1`, but there is no such key", "under `train`: steps, lr, ", "did you mean `train.lr`?"],
    ),
    ("sead=1", ["`sead` is `1`, but there is no such key", "did you mean `seed`?"]),
    ("lr=1", ["`lr` is `1`", "did you mean `train.lr`?"]),
    ("num_latents=8", ["did you mean `model.resampler.perceiver.num_latents`?"]),
    ("model.lm.freze=true", ["`model.lm.freze`", "did you mean `model.lm.freeze`?"]),
    ("model.resampler.perciever.depth=1", ["under `model.resampler`: name, mlp, perceiver, transformer"]),
    ("eval.ceilings.coco=1", ["points above 0 for each of coco_cider, "]),
    ("data.mixture.0=m3w", ["`data.mixture.0`", "no such key"]),
    ("hydra.run.dir=x", ["`hydra.run.dir`", "no such key"]),
    ("hydra/launcher=basic", ["for Hydra itself"]),
    ("ablation@model=baseline", ["for Hydra itself"]),
    ("changes.baseline=[train.lr]", ["`changes.baseline`", "no such key"]),
    ("changes={baseline:[train.lr]}", ["`changes`", "no such key"]),
    ("_target_=os.system", ["`_target_`"]),
    ("train._target_=os.system", ["`train._target_`"]),
    ("train={_target_:os.system}", ["`train`", "`_target_`"]),
    ("train=fast", ["`train` is `fast`", "stands for several keys", "steps, lr, "]),
    ("model.resampler.perceiver=null", ["stands for several keys"]),
    ("seed=0 seed=1", ["`seed` is given 2 times, as `0` and `1`", "-m seed=0,1"]),
    ("+typo=1", ["`+typo=1` adds a key"]),
    ("++x=1", ["`++x=1` adds a key"]),
    ("+seed=1", ["`+seed=1` adds a key", "did you mean `seed=1`?"]),
    ("~train.lr", ["`~train.lr` removes a key"]),
    ("~ablation", ["`~ablation` removes a key"]),
    ("seed", ["`seed` is not `key=value`", "did you mean `seed=...`?"]),
    ("=1", ["`=1` is not `key=value`"]),
    ("seed=(", ["`seed=(`: the value cannot be read"]),
    # values
    ("seed=-1", ["`seed` is `-1`", "whole numbers from 0"]),
    ("seed=one", ["`seed` is `one`", "whole numbers from 0"]),
    ("seed=1.5", ["`seed` is `1.5`"]),
    ("seed=null", ["`seed` is `null`"]),
    ("seed=", ["`seed` is ``"]),
    ("seed=[0]", ["`seed` is `[0]`"]),
    ("seed=true", ["`seed` is `true`"]),
    ("seed=99999999999999999999", ["`seed` is `99999999999999999999`"]),
    ("seed=???", ["`seed` is `???`"]),
    ("compare=perhaps", ["`compare` is `perhaps`", "true, false"]),
    ("device=tpu", ["`device` is `tpu`", "auto, cpu, cuda, mps"]),
    ("eval.shots=three", ["`eval.shots` is `three`", "0, 4, 8, 16, 32"]),
    ("eval.shots=5", ["`eval.shots` is `5`", "0, 4, 8, 16, 32", "did you mean `4`?"]),
    ("eval.beams=0", ["`eval.beams` is `0`"]),
    ("eval.batch_size=0", ["`eval.batch_size` is `0`"]),
    ("eval.ceilings.coco_cider=0", ["points above 0"]),
    ("eval.ceilings={coco_cider:1}", ["points above 0"]),
    ("train.steps=0", ["`train.steps` is `0`"]),
    ("train.steps=many", ["`train.steps` is `many`"]),
    ("train.lr=nan", ["`train.lr` is `nan`", "numbers above 0"]),
    ("train.lr=inf", ["`train.lr` is `inf`"]),
    ("train.lr=-1e-3", ["`train.lr` is `-0.001`"]),
    ("train.lr=fast", ["`train.lr` is `fast`"]),
    ("train.objective=acumulation", ["did you mean `accumulation`?"]),
    ("train.checkpoint_every=0", ["`train.checkpoint_every` is `0`"]),
    ("train.lr=${train.lr_lm}", ["`train.lr` is `${train.lr_lm}`", "no interpolation"]),
    ("device=${oc.env:HOME}", ["no interpolation"]),
    ("data.mixture=[m3w,${x}]", ["no interpolation"]),
    ("data.mixture=[]", ["`data.mixture` is `[]`", "at least one"]),
    ("data.mixture=m3w", ["did you mean `[m3w]`?"]),
    ("data.mixture=[m3w,alin]", ["did you mean `align`?"]),
    ("data.mixture=[m3w,m3w]", ["take out one `m3w`"]),
    ("data.mixture=null", ["`data.mixture` is `null`"]),
    ("data.m3w.batch_size=0", ["`data.m3w.batch_size` is `0`"]),
    ("data.world.m3w_pictures=20", ["`data.world.m3w_pictures` is 20", "`data.world.max_media`"]),
    ("model.resampler.name=percever", ["allowed: mlp, perceiver, transformer", "did you mean `perceiver`?"]),
    ("model.resampler.name=null", ["`model.resampler.name` is `null`"]),
    ("model.xattn.placement=evry_4th", ["`model.xattn.placement` is `evry_4th`", "did you mean `every_4th`?"]),
    ("model.lm.weights=pretraned", ["did you mean `pretrained`?"]),
    ("model.lm.path=/no/such/folder", ["`model.lm.path` is `/no/such/folder`"]),
    ("model.vision.nfnet_f6.path=no_such_file", ["`model.vision.nfnet_f6.path` is `no_such_file`"]),
    ("model.xattn.gated.num_heads=0", ["`model.xattn.gated.num_heads` is 0", "numbers above 0"]),
    ("model.resampler.perceiver.activation=gelo", ["`model.resampler.perceiver.activation` is `gelo`"]),
    ("components=[no.such.module]", ["`components` is `no.such.module`"]),
    ("components=no.such.module", ["did you mean `[no.such.module]`?"]),
    # what cannot be together
    ("model.resampler.mlp.depth=2", ["`model.resampler.name` is `perceiver`", "choose `model.resampler.name=mlp`"]),
    ("ablation=resampler_mlp model.resampler.perceiver.depth=2", ["`model.resampler.name` is `mlp`"]),
    (
        "ablation=[xattn_every_4th,xattn_every_2nd]",
        ["`xattn_every_4th` and `xattn_every_2nd` both change `model.xattn.placement`"],
    ),
    ("ablation=[data_laion,data_without_m3w]", ["both change `data.mixture`"]),
    ("ablation=[xattn_vanilla,xattn_grafting]", ["both change `model.xattn.name`"]),
    ("ablation=[lm_unfrozen_random,lm_unfrozen_pretrained]", ["both change `model.lm.freeze`"]),
    ("ablation=[xattn_vanilla,tanh_gating_off]", ["`tanh_gating_off`", "without effect", "`vanilla`"]),
    ("ablation=[xattn_grafting,tanh_gating_off]", ["`tanh_gating_off`", "without effect", "`grafting`"]),
    ("ablation=[xattn_grafting,xattn_every_4th]", ["`model.xattn.placement` is `every_4th`", "grafting"]),
    (
        "ablation=xattn_every_4th model.xattn.placement=every",
        [
            "`xattn_every_4th` declares `model.xattn.placement`, found without effect",
            "take `model.xattn.placement` out",
        ],
    ),
    ("ablation=resampler_mlp model.resampler.name=perceiver", ["`model.resampler.name`, found without effect"]),
    ("ablation=lm_unfrozen_random model.lm.weights=pretrained", ["`model.lm.weights`, found without effect"]),
    ("ablation=data_laion data.mixture=[m3w]", ["`data.mixture`, found without effect"]),
    ("model.xattn.placement=every_9th", ["`model.xattn.placement` is `every_9th`", "8 layers"]),
    ("scale=tiny model.lm.llama.num_heads=5", ["`model.lm.llama.num_heads=5`", "cannot be built"]),
    ("scale=tiny model.lm.llama.vocab_size=10", ["`model.lm.llama.vocab_size` is `10`"]),
    ("model.lm.llama.depth=4", ["`model.lm.llama.depth` is `4`", "the directory `model.lm.path`", "path=null"]),
    ("model.resampler.perceiver.max_frames=1", ["`model.resampler.perceiver.max_frames` is `1`"]),
    ("eval.shots=32 data.world.support=20", ["`eval.shots` is `32`", "raise `data.world.support`"]),
    # flags
    ("--sed=1", ["unknown flag `--sed=1`", "--json", "did you mean `seed=1`?"]),
    ("-x", ["unknown flag `-x`"]),
    ("--jsn", ["did you mean `--json`?"]),
    ("--json=1", ["`--json` is `1`"]),
    ("--cfg hydra", ["`--cfg` is `hydra`", "allowed: job"]),
    ("--cfg", ["`--cfg` is ``", "allowed: job"]),
    ("--config-dir", ["`--config-dir` is ``"]),
    ("--config-dir /no/such/folder", ["`--config-dir` is `/no/such/folder`"]),
    ("--config-dir .", ["`--config-dir` is `.`", "ablation/*.yaml"]),
    # sweeps
    ("seed=0,1", ["`seed` is `0,1`", "-m seed=0,1"]),
    ("seed=range(0,3)", ["`seed` is `range(0,3)`", "-m"]),
    ("ablation=xattn_every_4th,xattn_every_2nd", ["`ablation=[xattn_every_4th,xattn_every_2nd]` takes them together"]),
    ("-m seed=0,x", ["`seed` is `x`"]),
    ("-m seed=0,0", ["every value once"]),
    ("-m seed=range(0,100000)", ["a sweep of 1 to "]),
    ("-m seed=range(3,0)", ["a sweep of 1 to "]),
    ("-m train.lr=interval(0,1)", ["`train.lr` is `interval(0,1)`"]),
    ("-m ablation=glob(*)", ["`ablation` is `glob(*)`"]),
    ("-m components=[a],[b]", ["one value"]),
    ("-m ablation=xattn_every_4th,xattn_evry_2nd", ["`ablation` is `xattn_evry_2nd`"]),
    ("-m model.xattn.placement=every,every_9th", ["`model.xattn.placement` is `every_9th`"]),
    ("-m ablation=xattn_every_4th,baseline model.xattn.placement=every,every_4th", ["found without effect"]),
    # everything at once
    ("sead=1 eval.shots=three", ["`sead` is `1`", "`eval.shots` is `three`"]),
    ("ablation=nope scale=nope seed=-1", ["`ablation` is `nope`", "`scale` is `nope`", "`seed` is `-1`"]),
    ("--sed=1 seed=one +typo=1 train.lr=nan", ["`--sed=1`", "`seed` is `one`", "`+typo=1`", "`train.lr` is `nan`"]),
    (
        "seed=-1 model.lm.freze=1 model.resampler.mlp.depth=2",
        ["`seed`", "`model.lm.freze`", "`model.resampler.mlp.depth`"],
    ),
    ("--json seed=-1 -m", ["`seed` is `-1`"]),
]


@pytest.mark.parametrize(("typed", "said"), CASES, ids=[typed for typed, _ in CASES])
def test_a_wrong_request_is_refused_in_words(typed: str, said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2; stderr names key, value and what is allowed, with a hint for every error; stdout stays empty."""
    assert main(request, typed.split(" ")) == 2
    output = capsys.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"] * (len(lines) // 2) != []
    for part in said:
        assert part in output.err


def test_a_device_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`device=cuda` without one ends like any other wrong value, beside what else is wrong."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(request, ["device=cuda", "seed=-1"]) == 2
    output = capsys.readouterr().err
    assert "`device` is `cuda`; allowed: auto, cpu" in output
    assert "`seed` is `-1`" in output


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A value with a line break or an escape sequence is shown escaped, on its line."""
    assert main(request, ["ablation='a\nb\x1b[31m'", "seed=one\n"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert all(line.isprintable() and line.startswith(("error: ", "hint: ")) for line in lines)


@pytest.mark.parametrize(
    "typed", ["ablation=../scale/tiny", "seed=one eval.shots=three", "model.resampler.name=percever"]
)
def test_the_command_itself_refuses(typed: str, tmp_path: Path) -> None:
    """`python -m experiments.run` with a wrong request, in a process of its own: exit code 2, no traceback."""
    command = [sys.executable, "-m", "experiments.run", *typed.split(" ")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "error: `" in ended.stderr and "hint: " in ended.stderr and "Traceback" not in ended.stderr
