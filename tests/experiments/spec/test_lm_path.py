"""`model.lm.path=DIR` on the command line: a language model of one's own in the place of the scale's."""

import json
import shutil

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from experiments.data.world.vocabulary import words
from experiments.store import reader
from tests.core import lm_checkpoints
from tests.experiments.commands import QUICK, run_here, tiny_spec

LARGE_ENOUGH = {"vocab_size": 256, "max_position_embeddings": 1024}
FAMILIES = ("gpt_neox", "llama", "opt", "qwen3")


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """One checkpoint a family that knows enough words, and one that does not."""
    root = tmp_path_factory.mktemp("checkpoints")
    made = {name: lm_checkpoints.write(root / name, name, **LARGE_ENOUGH) for name in FAMILIES}
    return {**made, "small": lm_checkpoints.write(root / "small", "llama", vocab_size=50)}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_runs_from_a_directory(family, directories, store_file, capsys):
    """Trained, evaluated, costed and stored; what is stored of the model does not hold the frozen weights."""
    assert run_here(f"model.lm.name={family}", f"model.lm.path={directories[family]}", "compare=false", *QUICK) == 0
    (run,) = reader.runs()
    own = AutoModelForCausalLM.from_pretrained(directories[family]).num_parameters()
    assert run.metrics["params_total"] > own > 0
    assert run.metrics["params_trainable"] <= run.metrics["params_total"] - own
    assert run.metrics["flops_per_step"] > 0
    assert f"model.lm.path={directories[family]}" in run.tags["overrides"]


def test_a_row_and_its_baseline_share_the_directory(directories, store_file, capsys):
    """A key of the command is the baseline's as well, and the certificate finds the frozen weights equal."""
    assert run_here("ablation=xattn_grafting", f"model.lm.path={directories['llama']}", *QUICK) == 0
    row, baseline = reader.runs()
    assert (row.row, baseline.row) == ("xattn_grafting", "baseline")
    certificates = [reader.certificate(run) for run in (row, baseline)]
    assert certificates[0]["against"]["unexpected"] == []
    assert certificates[0]["frozen"] == certificates[1]["frozen"]
    assert "\npaired: " in capsys.readouterr().out


def test_a_spec_is_known_by_what_the_directory_holds(directories, tmp_path):
    """Not by where it lies; another byte in it is another spec, for the row and for its baseline."""
    moved = shutil.copytree(directories["llama"], tmp_path / "elsewhere")

    def hashes(path):
        spec = tiny_spec("ablation=tanh_gating_off", f"model.lm.path={path}")
        return spec.hash, spec.baseline_hash, spec.train_hash

    before = hashes(directories["llama"])
    assert hashes(moved) == before
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    assert not set(hashes(moved)) & set(before)
    plain = tiny_spec("ablation=tanh_gating_off")
    assert not {plain.hash, plain.baseline_hash, plain.train_hash} & set(before)


def test_a_row_that_draws_its_weights_takes_the_directorys_sizes(directories):
    """`lm_unfrozen_random` beside a baseline with the pretrained weights of the same directory."""
    spec = tiny_spec("ablation=lm_unfrozen_random", f"model.lm.path={directories['llama']}")
    assert spec.model["lm"]["path"] == spec.baseline.model["lm"]["path"] == str(directories["llama"])
    assert (spec.model["lm"]["weights"], spec.baseline.model["lm"]["weights"]) == ("random", "pretrained")


def test_a_relative_path_starts_where_the_command_was_given(directories, monkeypatch):
    """As any other path that is typed."""
    monkeypatch.chdir(directories["llama"].parent)
    assert tiny_spec("model.lm.path=llama").model["lm"]["path"] == str(directories["llama"])


def architecture(name):
    """A folder that holds the config of some architecture."""

    def lay(folder, directories):
        AutoConfig.for_model(name).save_pretrained(folder)
        return folder

    return lay


def without(file):
    """The checkpoint without one of its files."""

    def lay(folder, directories):
        shutil.copytree(directories["llama"], folder, dirs_exist_ok=True)
        (folder / file).unlink()
        return folder

    return lay


REFUSED = {
    "too few words": (lambda folder, made: made["small"], ["knows 50 tokens", f"allowed: {len(words())} or more"]),
    "missing": (lambda folder, made: folder / "nowhere", ["nowhere`; allowed: a file or directory that exists"]),
    "no config": (without("config.json"), ["allowed: a directory with a config.json"]),
    "no weights": (without("model.safetensors"), ["allowed: a directory with weights"]),
    "another family": (lambda folder, made: made["opt"], ["holds a `opt` model, but `model.lm.name` is `llama`"]),
    "gpt2": (architecture("gpt2"), ["holds a `gpt2` model", "conditioned: gpt_neox, llama, opt, qwen3"]),
    "mamba": (architecture("mamba"), ["holds a `mamba` model", "conditioned: gpt_neox, llama, opt, qwen3"]),
    "t5": (architecture("t5"), ["holds a `t5` model", "conditioned: gpt_neox, llama, opt, qwen3"]),
}


@pytest.mark.parametrize("ablation", ["baseline", "xattn_every_4th"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_directory_that_cannot_serve_is_refused_before_anything_runs(
    case, ablation, directories, store_file, tmp_path, capsys
):
    """Exit 2, the key, its value and what is allowed, once; nothing is stored."""
    lay, said = REFUSED[case]
    (tmp_path / "model").mkdir()
    path = lay(tmp_path / "model", directories)
    assert run_here(f"ablation={ablation}", f"model.lm.path={path}", *QUICK) == 2
    output = capsys.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    assert lines[0].startswith("error: `model.lm.path` ")
    assert all(text in lines[0] for text in said), lines[0]
    assert reader.runs(status=None) == []
    assert not (store_file.parent / "work").exists()
