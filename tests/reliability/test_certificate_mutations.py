"""The certificate, attacked: whatever results may depend on is planted once, and must be named; the rest must not."""

import importlib.metadata
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.analysis.table.pairing import Pairing, changed_keys, compare
from experiments.common.checkout import ROOT
from experiments.data import tokenizer
from experiments.data.world import scenes, text, vocabulary
from experiments.evaluation.evaluate import all_prompts, prompts_hash
from experiments.spec.spec import Spec
from experiments.store.writer import flatten
from experiments.training import certificate as certificates
from experiments.training.build import build_mixture, build_model
from experiments.training.certificate import certify
from flamingo_core import init
from tests.experiments.commands import tiny_spec

ROW = "ablation=xattn_every_4th"
Certified = tuple[Spec, dict[str, Any]]


def certified(*words: str, touch: Callable[[Any], None] = lambda model: None) -> Certified:
    """A real certificate, as a job makes it."""
    spec = tiny_spec(*words)
    model = build_model(spec, torch.device("cpu"))
    touch(model)
    return spec, certify(model, build_mixture(spec), spec, prompts=prompts_hash(all_prompts(spec))).plain()


@pytest.fixture(scope="module")
def baseline() -> Certified:
    """Nothing is planted in it."""
    return certified()


def beside(row: Certified, baseline: Certified) -> Pairing:
    """As their stored params compare them."""
    return compare(row[1], baseline[1], changed_keys(flatten(row[0].tree), flatten(baseline[0].tree)))


def an_extra_draw(patch: pytest.MonkeyPatch) -> Certified:
    original = init.draws_of

    @contextmanager
    def draws(seed: int, name: str) -> Iterator[None]:
        with original(seed, name):
            if name.startswith("resampler.layers.0"):
                torch.rand(1)
            yield

    patch.setattr(init, "draws_of", draws)
    return certified(ROW)


def another_thread_count(patch: pytest.MonkeyPatch) -> Certified:
    patch.setattr(torch, "get_num_threads", lambda: 7)
    return certified(ROW)


def another_word(patch: pytest.MonkeyPatch) -> Certified:
    original = vocabulary.words
    swapped = {"red": "crimson"}
    for module in (vocabulary, tokenizer, certificates, text, scenes):
        if getattr(module, "words", None) is original:
            patch.setattr(module, "words", lambda: tuple(swapped.get(word, word) for word in original()))
    from experiments.data.world import world

    patch.setattr(world, "words", lambda: tuple(swapped.get(word, word) for word in original()))
    return certified(ROW)


def another_size_of_the_world(patch: pytest.MonkeyPatch) -> Certified:
    """A run that was made with fewer pictures, and whose params do not say so."""
    spec, _ = certified(ROW)
    _, smaller = certified(ROW, "data.world.m3w_pictures=50", "data.world.m3w_documents=50")
    return spec, smaller


def another_evaluation_batch(patch: pytest.MonkeyPatch) -> Certified:
    return certified(ROW, "eval.batch_size=3")


def another_kind_of_processor(patch: pytest.MonkeyPatch) -> Certified:
    """With other instructions, as a machine that is older has."""
    patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "SSE4")
    return certified(ROW)


def another_package(patch: pytest.MonkeyPatch) -> Certified:
    patch.setattr(
        certificates, "version", lambda name: "0.0.1" if name == "numpy" else importlib.metadata.version(name)
    )
    return certified(ROW)


def a_touched_frozen_weight(part: str) -> Callable[[pytest.MonkeyPatch], Certified]:
    def plant(patch: pytest.MonkeyPatch) -> Certified:
        def touch(model: Any) -> None:
            frozen = [p for name, p in model.named_parts() if name.startswith(part) and not p.requires_grad]
            with torch.no_grad():
                frozen[0].view(-1)[0] += 1e-6

        return certified(ROW, touch=touch)

    return plant


def another_tokenizer(patch: pytest.MonkeyPatch) -> Certified:
    """The same words under other numbers."""
    original = tokenizer.words
    patch.setattr(tokenizer, "words", lambda: (*original()[:4], *reversed(original()[4:])))
    return certified(ROW)


MUTATIONS: dict[str, tuple[Callable[[pytest.MonkeyPatch], Certified], str]] = {
    "an extra random draw in building the model": (an_extra_draw, "weights.resampler.layers.0"),
    "another thread count": (another_thread_count, "environment.threads (7 against"),
    "another word of the world": (another_word, "data"),
    "another size of the world": (another_size_of_the_world, "data"),
    "another evaluation batch size": (another_evaluation_batch, "environment.eval_batch_size (3 against 10)"),
    "another kind of processor": (another_kind_of_processor, "environment.cpu ("),
    "another package version": (another_package, "environment.numpy (0.0.1 against"),
    "a touched weight of the frozen language model": (a_touched_frozen_weight("lm."), "frozen.lm"),
    "a touched weight of the frozen encoder": (a_touched_frozen_weight("vision."), "frozen.vision"),
    "another tokenizer": (another_tokenizer, "frozen.tokenizer"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_what_is_planted_is_named(mutation: str, baseline: Certified, monkeypatch: pytest.MonkeyPatch) -> None:
    """One planted difference: the pair is no pair, and the printed line says where."""
    plant, named = MUTATIONS[mutation]
    with monkeypatch.context() as patch:
        row = plant(patch)
    found = beside(row, baseline)
    assert not found.paired
    assert any(name.startswith(named) for name in found.unexpected), found.unexpected
    assert found.sentence().startswith("NOT PAIRED: ")


def test_a_clean_pair_passes(baseline: Certified) -> None:
    """With nothing planted, nothing is named, and what is equal is counted."""
    found = beside(certified(ROW), baseline)
    assert found.unexpected == ()
    assert found.sentence().startswith("paired: ") and "batches, prompts, data equal" in found.sentence()


@pytest.mark.slow
def test_a_weight_file_at_another_path_is_the_same_and_a_changed_one_is_named(tmp_path: Path) -> None:
    """Where a file lies is not flagged; one value of it is."""
    from safetensors.torch import load_file, save_file

    shipped = ROOT / "experiments" / "frozen" / "desk" / "llama"
    copied, changed = tmp_path / "copied", tmp_path / "changed"
    shutil.copytree(shipped, copied)
    shutil.copytree(shipped, changed)
    tensors = load_file(changed / "model.safetensors")
    next(iter(tensors.values())).view(-1)[0] += 1
    save_file(tensors, changed / "model.safetensors", {"format": "pt"})
    words = ("model.lm.weights=pretrained", "model.lm.freeze=true")
    at_home = certified(*words, f"model.lm.path={shipped}")
    elsewhere = certified(*words, f"model.lm.path={copied}")
    assert elsewhere[0].hash == at_home[0].hash
    assert beside(elsewhere, at_home).unexpected == ()
    touched = certified(*words, f"model.lm.path={changed}")
    assert touched[0].hash != at_home[0].hash
    assert "frozen.lm" in beside(touched, at_home).unexpected
    # rows whose language model is the subject, in another checkout than their baseline
    for row in ("lm_unfrozen_random", "lm_unfrozen_pretrained"):
        own = certified(f"ablation={row}", f"model.lm.path={copied}")[1]
        theirs = certified(f"model.lm.path={shipped}")[1]
        assert compare(own, theirs, set(own["changes"])).unexpected == ()
        assert "model.lm.freeze" in own["changes"] and "model.lm.path" not in own["changes"]


def test_workers_and_places_are_not_in_it(baseline: Certified, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another working directory, store and number of workers: the same certificate, key for key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    spec, again = certified()
    assert again == baseline[1]
    assert "workers" not in flatten(spec.tree)
    assert replace(beside((spec, again), baseline), equal=()) == Pairing((), (), ())
