"""A language model's own tokenizer: whatever spells the words, what is learned, seen, asked and scored is the same."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiments.data.config import DATASETS
from experiments.data.mixture import IGNORED, Mixture
from experiments.data.tokenizer import (
    TOKENIZER_FILE,
    build_tokenizer,
    encode,
    eoc_token_id,
    image_token_id,
    tokenizer_of,
)
from experiments.data.world.documents import document
from experiments.data.world.vocabulary import KINDS, words
from experiments.evaluation.benchmark import published
from experiments.evaluation.config import EvalConfig
from experiments.evaluation.decode import answer
from experiments.evaluation.prompts import build_prompts
from experiments.evaluation.score import score_examples
from experiments.pretraining.smollm2 import RESERVED, rename_tokens
from experiments.spec.spec import make_spec
from experiments.store import reader
from experiments.training import trained_batches
from experiments.training.build import build_mixture, model_config
from tests.experiments.commands import QUICK, run_here, tiny_spec
from tests.experiments.data import subwords
from tests.experiments.data.tiny_world import tiny_data, tiny_source, tiny_sources

STEPS = 6


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A model that brings its tokenizer."""
    return subwords.write_model(tmp_path_factory.mktemp("subwords"))


@pytest.fixture(scope="module")
def tokenizer(directory):
    """Its tokenizer."""
    return tokenizer_of(str(directory))


def batches(tokenizer, dataset):
    """The first batches of a data set."""
    mixture = Mixture(tiny_data(DATASETS), tiny_sources(tiny_data()), seed=0, tokenizer=tokenizer)
    return [mixture.batch(dataset, step) for step in range(STEPS)]


def test_a_directory_with_a_tokenizer_decides_and_none_leaves_the_worlds(directory, tokenizer, tmp_path):
    """Names of the world are spelt in pieces by the one and are words of the other."""
    pieces = [len(encode(tokenizer, f" {kind}")[0]) - 1 for kind in KINDS]
    assert max(pieces) > 1
    for path in (None, str(tmp_path)):
        assert tokenizer_of(path).get_vocab() == build_tokenizer().get_vocab()


@pytest.mark.parametrize("dataset", DATASETS)
def test_what_is_learned_is_the_answers(dataset, tokenizer):
    """Learned tokens, decoded, are the answers each with its end: no letter more, none missing."""
    for batch in batches(tokenizer, dataset):
        for name, labels in zip(batch.example_ids, batch.labels, strict=True):
            example = document(tiny_data().world, dataset, int(name.split("/")[1]))
            written = tokenizer.decode(labels[labels != IGNORED])
            answers = [text.strip() for text in written.split("<EOC>")]
            assert answers == [*(chunk.answer for chunk in example.chunks), ""]


@pytest.mark.parametrize("dataset", DATASETS)
def test_media_are_seen_as_with_the_worlds_tokenizer(dataset, tokenizer):
    """Each mark, each end and each learned stretch sees the same medium, in the same batches."""
    world = build_tokenizer()

    def seen(batch, of):
        found = []
        for ids, times, labels in zip(batch.input_ids, batch.text_time, batch.labels, strict=True):
            special = (ids == image_token_id(of)) | (ids == eoc_token_id(of))
            starts = (labels != IGNORED) & (labels.roll(1) == IGNORED)
            found.append((times[special].tolist(), times[starts].tolist()))
        return found

    for own, theirs in zip(batches(tokenizer, dataset), batches(world, dataset), strict=True):
        assert own.example_ids == theirs.example_ids and own.media_ids == theirs.media_ids
        assert seen(own, tokenizer) == seen(theirs, world)


def test_special_tokens_are_five_ids_inside_the_vocabulary(directory, tokenizer):
    """The model's config has the ids that the tokenizer has, and no token was added to it."""
    spec = make_spec(f"model.lm.path={directory}")
    config = model_config(spec, tokenizer)
    ids = {
        "<image>": config.image_token_id,
        "<EOC>": config.eos_token_id,
        "<bos>": config.bos_token_id,
        "<pad>": config.pad_token_id,
    }
    assert ids == {name: subwords.reserved_tokenizer().token_to_id(old) for name, old in RESERVED.items()}
    assert len(set(ids.values())) == 4
    assert len(tokenizer) == subwords.VOCABULARY
    assert tokenizer("a red zib")["input_ids"] == encode(tokenizer, "a red zib")[0]


def test_renaming_moves_no_id():
    """All other tokens stay what they were, and text without marks is spelt as before."""
    before, after = subwords.reserved_tokenizer(), rename_tokens(subwords.reserved_tokenizer(), RESERVED)
    changed = {new: before.get_vocab()[old] for new, old in RESERVED.items()}
    kept = {token: number for token, number in before.get_vocab().items() if token not in RESERVED.values()}
    assert after.get_vocab() == {**kept, **changed}
    assert after.encode(subwords.ENGLISH, add_special_tokens=False).ids == before.encode(subwords.ENGLISH).ids


class Echo:
    """A model that writes what it is told to, as `generate` returns it: the prompt, then the rest, padded."""

    device = torch.device("cpu")

    def __init__(self, tokenizer, written):
        self.tokenizer, self.written = tokenizer, written

    def generate(self, input_ids, *, attention_mask, **rest):
        """Each prompt with its continuation."""
        rows = []
        for ids, mask in zip(input_ids, attention_mask, strict=True):
            prompt = ids[mask.bool()].tolist()
            rows.append(next(more[len(prompt) :] for more in self.written if more[: len(prompt)] == prompt))
        longest = max(map(len, rows))
        new = torch.tensor([row + [self.tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
        return torch.cat([input_ids, new], dim=1)


@pytest.mark.parametrize("shots", [0, 4])
@pytest.mark.parametrize("benchmark", [benchmark.name for benchmark in published()])
def test_a_model_that_goes_on_as_texts_do_gives_the_worlds_own_answers(benchmark, shots, tokenizer):
    """A prompt's tokens begin those of the whole text, and what follows them decodes to the completion exactly."""
    prompts = build_prompts(tiny_source(), benchmark, seed=0, shots=shots)
    whole = [encode(tokenizer, f"{prompt.text} {prompt.query.completion} <EOC>")[0] for prompt in prompts]
    model = Echo(tokenizer, whole)
    texts, media = [prompt.text for prompt in prompts], [prompt.media for prompt in prompts]
    features = SimpleNamespace(of=lambda names: torch.zeros(len(names), 1))
    config = EvalConfig(batch_size=7, max_new_tokens=30, ceilings={each.metric: 1.0 for each in published()})
    answers = answer(model, tokenizer, texts, media, features, config, after_batch=lambda count: None)
    assert answers == [prompt.query.completion for prompt in prompts]
    scored = [prompt.query.scored_part(text) for prompt, text in zip(prompts, answers, strict=True)]
    references = [list(prompt.query.answers) for prompt in prompts]
    if benchmark not in ("coco", "vatex"):
        assert score_examples(benchmark, scored, references) == [100.0] * len(prompts)
    assert np.mean(score_examples(benchmark, scored, references)) > 50


def test_a_row_runs_beside_its_baseline(directory, store_file, capsys):
    """Trained, asked, scored and certified with the directory's tokenizer; batches are its, not the world's."""
    assert run_here("ablation=xattn_every_4th", f"model.lm.path={directory}", *QUICK) == 0
    row, baseline = reader.runs()
    certificates = [reader.certificate(run) for run in (row, baseline)]
    assert certificates[0]["against"]["unexpected"] == []
    assert certificates[0]["batches"] == certificates[1]["batches"]
    assert "\npaired: " in capsys.readouterr().out
    own, the_worlds = (build_mixture(tiny_spec(*said)) for said in ([f"model.lm.path={directory}"], []))
    trained = trained_batches.before_the_first(own.datasets)
    for step in range(2):
        for dataset in own.datasets:
            trained_batches.add(trained, own.batch(dataset, step))
    assert certificates[0]["batches"] == trained
    assert own.batch("m3w", 0).fingerprint() != the_worlds.batch("m3w", 0).fingerprint()


def bare(folder):
    """Reserved tokens as the real model calls them."""
    (folder / TOKENIZER_FILE).write_text(subwords.reserved_tokenizer().to_str())


def broken(folder):
    """Half a file."""
    text = (folder / TOKENIZER_FILE).read_text()
    (folder / TOKENIZER_FILE).write_text(text[: len(text) // 2])


def too_large(folder):
    """A token that the model has no row for."""
    plain = json.loads((folder / TOKENIZER_FILE).read_text())
    plain["model"]["vocab"]["flamingo"] = subwords.VOCABULARY
    (folder / TOKENIZER_FILE).write_text(json.dumps(plain))


def none(folder):
    """The world's words again, for which this model knows enough tokens."""
    (folder / TOKENIZER_FILE).unlink()


REFUSED = {
    bare: ["whose tokenizer has no token <pad>, <bos>, <EOC>, <image>"],
    broken: [f"whose {TOKENIZER_FILE} cannot be read: "],
    too_large: [f"knows {subwords.VOCABULARY} tokens", f"allowed: {subwords.VOCABULARY + 1} or more"],
}


@pytest.mark.parametrize("lay", REFUSED, ids=lambda lay: lay.__name__)
def test_a_tokenizer_that_cannot_serve_is_refused(lay, directory, store_file, tmp_path, capsys):
    """Exit 2, one error and one hint that name the key; nothing is stored."""
    folder = shutil.copytree(directory, tmp_path / "model")
    lay(folder)
    assert run_here(f"model.lm.path={folder}", *QUICK) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    assert lines[0].startswith(f"error: `model.lm.path` is `{folder}`")
    assert all(said in lines[0] for said in REFUSED[lay])
    assert reader.runs(status=None) == []


def test_without_its_tokenizer_a_directory_is_asked_for_the_worlds_words_only(directory, tmp_path):
    """A model of more tokens than the world has words is let through, and is another spec."""
    folder = shutil.copytree(directory, tmp_path / "model")
    none(folder)
    assert len(words()) < subwords.VOCABULARY
    assert make_spec(f"model.lm.path={folder}").hash != make_spec(f"model.lm.path={directory}").hash
