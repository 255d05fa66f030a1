"""No text of the world is longer than is said, and a language model without room for the longest is refused."""

import json

import pytest

from experiments.data.config import DATASETS
from experiments.data.document import layout
from experiments.data.tokenizer import build_tokenizer
from experiments.evaluation.benchmark import published
from experiments.evaluation.prompts import build_prompts
from experiments.spec.spec import Spec, make_spec
from experiments.store import reader
from tests.core import lm_checkpoints
from tests.experiments.commands import QUICK, run_here
from tests.experiments.data.tiny_world import tiny_source


def tokens(text: str) -> int:
    return 1 + len(text.split())  # <bos>, and a word each


def of_spec(spec: Spec) -> tuple[int, int]:
    """Tokens of the longest training text, and of the longest prompt with its answer."""
    pages = spec.sources().of("m3w").limits("m3w", build_tokenizer())
    return pages.document, pages.prompt(spec.eval.shots) + spec.eval.max_new_tokens


@pytest.mark.parametrize("dataset", DATASETS)
def test_no_training_text_is_longer(dataset: str) -> None:
    """Over many drawn ones; the longest of those comes near, or this would allow anything."""
    source = tiny_source()
    drawn = [tokens(layout(source.document(dataset, index).chunks)[0]) for index in range(1500)]
    most = source.limits(dataset, build_tokenizer()).document
    assert max(drawn) <= most
    assert max(drawn) >= (0.5 if dataset == "laion" else 0.75) * most


@pytest.mark.parametrize("shots", [0, 4, 16])
def test_no_prompt_is_longer(shots: int) -> None:
    """Of any benchmark, and one comes near."""
    world = tiny_source(queries=60)
    prompts = [prompt for one in published() for prompt in build_prompts(world, one.name, seed=0, shots=shots)]
    longest = max(tokens(prompt.text) for prompt in prompts)
    most = world.limits("coco", build_tokenizer()).prompt(shots)
    assert 0.7 * most <= longest <= most


def test_pages_are_longer_by_their_pictures() -> None:
    """A page of more pictures has more text; a pair has not."""
    few, many = (tiny_source(max_media=number, m3w_pictures=60) for number in (3, 4))
    length = {role: [one.limits(role, build_tokenizer()).document for one in (few, many)] for role in ("m3w", "align")}
    assert length["align"][0] == length["align"][1] < length["m3w"][0] < length["m3w"][1]


@pytest.mark.parametrize("family", ["opt", "llama"])
@pytest.mark.parametrize("longer", ["prompts", "training texts"])
def test_too_few_positions_are_refused(family: str, longer: str, store_file, capsys) -> None:
    """Exit 2 with the key, both lengths and what would do; that many are enough."""
    long_pages = ["data.world.max_media=20", "data.world.m3w_pictures=200"] if longer == "training texts" else []
    words = [f"model.lm.name={family}", *QUICK, *long_pages]
    key = f"model.lm.{family}.max_positions"
    assert run_here(*words, f"{key}=40") == 2
    error, hint = capsys.readouterr().err.splitlines()
    least = int(hint.removeprefix("hint: did you mean `").removesuffix("`?"))
    spec = make_spec(*words)
    trained, asked = of_spec(spec)
    assert least == max(trained, asked) == (asked if longer == "prompts" else trained)
    assert error.startswith(f"error: `{key}` is `40`; allowed: {least} or more: ")
    assert f"up to {trained} tokens" in error and f"up to {asked} " in error
    assert reader.runs(status=None) == []
    assert run_here(*words, f"{key}={least - 1}") == 2
    assert make_spec(*words, f"{key}={least}").model["lm"][family]["max_positions"] == least


def test_a_model_without_room_runs_into_no_error_with_as_many_as_it_takes(store_file) -> None:
    """Learned positions end where they end: with the least that is allowed, training and evaluation go through."""
    spec = make_spec("model.lm.name=opt", *QUICK)
    _, least = of_spec(spec)
    words = ("model.lm.name=opt", f"model.lm.opt.max_positions={least}", "compare=false", *QUICK)
    assert run_here(*words) == 0


def test_a_directory_without_room_is_refused(store_file, tmp_path, capsys) -> None:
    """By what its config says."""
    path = lm_checkpoints.write(tmp_path / "opt", "opt", vocab_size=256, max_position_embeddings=50)
    assert json.loads((path / "config.json").read_text())["max_position_embeddings"] == 50
    capsys.readouterr()  # what writing it said
    assert run_here("model.lm.name=opt", f"model.lm.path={path}", *QUICK) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: `model.lm.path` is `{path}`, which has 50 positions; allowed: ")
    assert "`eval.shots`" in hint
    assert reader.runs(status=None) == []
