"""Every family of language models, from a config and from a directory, and what cannot be conditioned."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from flamingo_core.conditioning import FlamingoCache
from flamingo_core.flamingo import Flamingo
from tests.core import build, lm_checkpoints
from tests.core.lm_checkpoints import VARIANTS

# Longer than the windows, and with a row that is padded by more than one of them.
LONG = [[*build.prompts()[0], 30, 31, 32], *build.prompts()[1:]]
FAMILY_NAMES = "gpt_neox, llama, opt, qwen3"


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """One checkpoint of every kind."""
    root = tmp_path_factory.mktemp("checkpoints")
    return {variant: lm_checkpoints.write(root / variant, variant) for variant in VARIANTS}


def model_from(directory, variant, **choices):
    """A Flamingo around the checkpoint."""
    return build.model(lm=VARIANTS[variant][0], path=str(directory), **choices)


def own_parameters(model):
    """The language model's parameters by the names that transformers gives them."""
    return {name.removeprefix("lm."): p for name, p in model.named_parts() if name.startswith("lm.")}


def test_every_registered_family_has_a_checkpoint():
    """A family added to the registry is tested here too."""
    assert {family for family, _ in VARIANTS.values()} == set(build.FAMILIES)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_directory_is_read_bit_for_bit_and_frozen(variant, directories):
    """Pretrained weights are the file's, name by name, whatever the seed, and none of them trains."""
    expected = dict(AutoModelForCausalLM.from_pretrained(directories[variant]).named_parameters())
    for seed in (0, 1):
        found = own_parameters(model_from(directories[variant], variant, dtype=torch.float32, seed=seed))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        assert not any(parameter.requires_grad for parameter in found.values())


@pytest.mark.parametrize("precision", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_behind_closed_gates_it_is_the_checkpoints_model(variant, side, precision, directories):
    """Logits are those of transformers' own model, bit for bit, over a ragged batch padded on either side."""
    model = model_from(directories[variant], variant, gates=None, dtype=precision)
    plain = AutoModelForCausalLM.from_pretrained(directories[variant]).to(precision).eval()
    rows = build.padded(build.prompts(), side=side)
    kept = rows["attention_mask"].bool()
    positions = (rows["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        ours = model(**rows, media=build.pixels(3)).logits
        theirs = plain(rows["input_ids"], rows["attention_mask"], position_ids=positions).logits
    assert torch.equal(ours[kept], theirs[kept])
    assert theirs[kept].std() > 1e-3, "logits that are all alike prove nothing"


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("xattn", ["gated", "grafting"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_token_after_token_with_a_cache_equals_one_pass(variant, xattn, side, directories):
    """The prompt, then each token on its own, past any window, padded on either side: the logits of the whole text."""
    model, media, rows = (
        model_from(directories[variant], variant, xattn=xattn),
        build.pixels(3),
        build.padded(LONG, side=side),
    )
    counts, length = rows["media_counts"], rows["input_ids"].shape[1]
    ids = torch.cat([rows["input_ids"], torch.tensor([[20, 21, 22], [23, 24, 25], [26, 27, 28]])], dim=1)
    mask = torch.cat([rows["attention_mask"], torch.ones(3, 3, dtype=torch.long)], dim=1)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = FlamingoCache(model.resample(media, None, counts), counts)
    with torch.no_grad():
        expected = model(ids, mask, media=media, media_counts=counts).logits
        for first, last in ((0, length), *((place, place + 1) for place in range(length, length + 3))):
            here = slice(first, last)
            step = model(ids[:, here], mask[:, :last], past_key_values=cache, position_ids=positions[:, here]).logits
            kept = mask[:, here].bool()
            torch.testing.assert_close(step[kept], expected[:, here][kept], rtol=0, atol=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
def test_grafted_layers_are_of_the_models_own_kind(variant, directories):
    """They follow the last layer, learn, have a place of their own in the cache, and the rest stays as it was."""
    model = model_from(directories[variant], variant, xattn="grafting")
    grafted = [layer for layer in model.conditioned_layers() if layer.grafted]
    untouched = [module for module in model.lm.modules() if type(module) is type(grafted[0].layer)]
    assert len(grafted) == 2 and len(untouched) == build.DEPTH + 2
    assert [layer.index for layer in grafted] == [build.DEPTH, build.DEPTH + 1]
    assert all(parameter.requires_grad for layer in grafted for parameter in layer.parameters())
    assert not any(parameter.requires_grad for parameter in own_parameters(model).values())
    assert model.config.num_hidden_layers == model.lm.config.num_hidden_layers == build.DEPTH + 2

    batch = build.padded(build.prompts())
    cache = FlamingoCache(model.resample(build.pixels(3), None, batch["media_counts"]), batch["media_counts"])
    with torch.no_grad():
        model(batch["input_ids"], batch["attention_mask"], past_key_values=cache)
    lengths = [cache.get_seq_length(layer) for layer in range(build.DEPTH + 2)]
    assert lengths == [batch["input_ids"].shape[1]] * (build.DEPTH + 2)


@pytest.mark.parametrize("family", build.FAMILIES)
def test_random_weights_take_sizes_from_the_directory_alone(family, directories):
    """Drawn from the run's seed: the same twice, others on another seed, and none of the file's."""
    directory = directories[family]
    stored = dict(AutoModelForCausalLM.from_pretrained(directory).named_parameters())
    once, again, other = (
        own_parameters(model_from(directory, family, weights="random", freeze=False, dtype=torch.float32, seed=seed))
        for seed in (4, 4, 5)
    )
    assert {name: p.shape for name, p in once.items()} == {name: p.shape for name, p in stored.items()}
    assert all(parameter.requires_grad for parameter in once.values())
    assert all(torch.equal(once[name], again[name]) for name in once)
    drawn = [name for name, parameter in stored.items() if parameter.ndim == 2]
    for name in drawn:
        assert not torch.equal(once[name], other[name]), name
        assert not torch.equal(once[name], stored[name]), name


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_head_is_one_parameter_and_an_untied_one_two(tied, tmp_path):
    """Counted once where it is tied; unfrozen, both kinds get their gradient."""
    directory = lm_checkpoints.write(tmp_path, "llama", tie_word_embeddings=tied)
    model = model_from(directory, "llama", freeze=False)
    assert (model.lm.lm_head.weight is model.lm.model.embed_tokens.weight) is tied
    assert ("lm_head.weight" in own_parameters(model)) is not tied
    rows = build.padded(build.prompts(), side="right")
    model.train()
    model(**rows, media=build.pixels(3), labels=rows["input_ids"]).loss.backward()
    assert all(parameter.grad is not None for parameter in own_parameters(model).values())


def test_a_sliding_window_is_kept(directories):
    """A token's logits move with another window: the variants above say something about windows."""
    ids = torch.tensor([[build.BOS, *range(10, 22)]])
    model = model_from(directories["qwen3 sliding on top"], "qwen3 sliding on top")
    wide = lm_checkpoints.write(directories["qwen3"].parent / "wide", "qwen3 sliding on top", sliding_window=64)
    with torch.no_grad():
        narrow, full = model(ids).logits, model_from(wide, "qwen3 sliding on top")(ids).logits
    torch.testing.assert_close(narrow[:, :4], full[:, :4])
    assert not torch.isclose(narrow[:, -1], full[:, -1]).all()


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_half_precision_files_are_read_into_the_precision_of_the_rest(weights, stored, tmp_path):
    """One precision in one model, torch's default, with the file's values exactly."""
    directory = lm_checkpoints.write(tmp_path, "llama")
    halved = AutoModelForCausalLM.from_pretrained(directory).to(stored)
    halved.save_pretrained(directory)
    model = Flamingo(build.config(path=str(directory), weights=weights))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    if weights == "pretrained":
        expected = dict(halved.named_parameters())
        assert all(torch.equal(p, expected[name].float()) for name, p in own_parameters(model).items())
    rows = build.padded(build.prompts())
    assert torch.isfinite(model(**rows, media=build.pixels(3), labels=rows["input_ids"]).loss)


@pytest.mark.parametrize("family", build.FAMILIES)
@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_a_directory_is_counted_without_reading_weights(family, weights, directories, tmp_path):
    """On the meta device its config is enough; a directory without weights cannot be pretrained even there."""
    config = build.config(lm=family, path=str(directories[family]), weights=weights)
    with torch.device("meta"):
        model = Flamingo(config, seed=None)
    real = Flamingo(config)
    assert {name: p.shape for name, p in model.named_parts()} == {name: p.shape for name, p in real.named_parts()}
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("architecture", ["gpt2", "mamba", "t5", "bert"])
@pytest.mark.parametrize("family", build.FAMILIES)
def test_an_architecture_that_cannot_be_conditioned_is_refused_by_name(family, architecture, tmp_path):
    """With the list of those that can; nothing of it is loaded first."""
    AutoConfig.for_model(architecture).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"holds a `{architecture}` model.*can be conditioned: {FAMILY_NAMES}"):
        build.model(lm=family, path=str(tmp_path))


def test_one_family_is_not_taken_for_another(directories):
    """The directory's own architecture is named beside the one that was asked for."""
    with pytest.raises(ValueError, match=r"holds a `qwen3` model, but `model.lm.name` is `llama`"):
        build.model(lm="llama", path=str(directories["qwen3"]))


@pytest.mark.parametrize("weights", ["pretrained", "random"])
@pytest.mark.parametrize("content", [None, "{", "[1]", "{}"], ids=["none", "cut short", "a list", "of nothing"])
def test_a_directory_without_a_config_is_refused(content, weights, directories, tmp_path):
    """One that is missing, is no JSON, or says no architecture: the path, and what is allowed."""
    directory = shutil.copytree(directories["llama"], tmp_path / "model")
    (directory / "config.json").unlink()
    if content is not None:
        (directory / "config.json").write_text(content)
    with pytest.raises(ValueError, match=rf"`model.lm.path` is `{directory}`; allowed: .*config\.json"):
        build.model(path=str(directory), weights=weights)


def test_a_missing_directory_is_refused(tmp_path):
    """In the same words."""
    with pytest.raises(ValueError, match=r"/nowhere`; allowed: .*config\.json"):
        build.model(path=str(tmp_path / "nowhere"))


def remove_one(directory):
    tensors = load_file(directory / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def shrink_config(directory):
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "intermediate_size": 32}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (remove_one, "lack 1: model.layers.1.mlp.up_proj.weight"),
        (shrink_config, "cannot be read"),
        (lambda directory: (directory / "model.safetensors").write_bytes(b"short"), "cannot be read"),
        (lambda directory: (directory / "model.safetensors").unlink(), "a directory with weights"),
    ],
    ids=["one is missing", "other shapes", "cut short", "none"],
)
def test_weights_are_read_whole_or_not_at_all(spoil, said, directories, tmp_path):
    """What is missing would be drawn from the global generator, by transformers; sizes alone can still be had."""
    directory = shutil.copytree(directories["llama"], tmp_path / "model")
    spoil(directory)
    with pytest.raises(ValueError, match=rf"`model.lm.path` is `{directory}`.*{said}"):
        build.model(path=str(directory))
    assert build.model(path=str(directory), weights="random").lm.config.num_hidden_layers == build.DEPTH
