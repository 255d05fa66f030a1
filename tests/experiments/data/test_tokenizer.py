"""Every word of the world is one token."""

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from experiments.data.config import DATASETS
from experiments.data.document import layout
from experiments.data.tokenizer import build_tokenizer, encode, eoc_token_id, image_token_id
from experiments.data.world import vocabulary
from experiments.data.world.documents import document, num_documents
from experiments.data.world.queries import queries, support
from experiments.data.world.text import lm_document
from experiments.evaluation.benchmark import published
from experiments.evaluation.prompts import build_prompts
from tests.experiments.data.tiny_world import tiny_config, tiny_source, tiny_world


@pytest.fixture(scope="module")
def tokenizer():
    """The world's tokenizer."""
    return build_tokenizer()


@pytest.fixture(scope="module")
def texts():
    """Texts of every data set, benchmark and of the language model's own data."""
    config, world = tiny_config(laion_pictures=150), tiny_world()
    found = [
        layout(document(config, name, i).chunks)[0] for name in DATASETS for i in range(num_documents(config, name))
    ]
    found += [lm_document(world, index) for index in range(1500)]
    for benchmark in published():
        for shots in (0, 4):
            found += [prompt.text for prompt in build_prompts(tiny_source(), benchmark.name, seed=0, shots=shots)]
        examples = [*queries(world, benchmark.name), *support(world, benchmark.name)]
        found += [text for query in examples for text in (query.completion, *query.answers)]
    return found


def test_no_text_has_an_unknown_word(tokenizer, texts):
    """Whatever the world writes, no token is `<unk>`; something it never writes is."""
    assert not any(tokenizer.unk_token_id in encode(tokenizer, text)[0] for text in texts)
    assert tokenizer.unk_token_id in encode(tokenizer, "a flamingo")[0]


def test_every_word_is_written_somewhere(texts):
    """The vocabulary holds no word that is never used."""
    written = {word for text in texts for word in text.split()}
    assert set(vocabulary.words()) - set(vocabulary.SPECIAL) <= written


def test_a_word_is_a_token_and_decoding_gives_the_text_back(tokenizer, texts):
    """As many tokens as words, and the same text after decoding."""
    for text in texts[::7]:
        tokens, spans = encode(tokenizer, text)
        assert len(tokens) - 1 == len(text.split()) == len(spans) - 1
        assert tokenizer.decode(tokens[1:]) == text
        assert [text[start:end] for start, end in spans[1:]] == text.split()


def test_bos_comes_first_and_once(tokenizer):
    """Both ways to call the tokenizer put `<bos>` in front."""
    tokens, _ = encode(tokenizer, "a red zib <EOC>")
    assert tokens == tokenizer("a red zib <EOC>")["input_ids"]
    assert tokens.count(tokenizer.bos_token_id) == 1 and tokens[0] == tokenizer.bos_token_id


def test_special_tokens_are_distinct_and_leave_with_skip_special_tokens(tokenizer):
    """Padding, start, picture mark and end are five tokens with `<unk>`, none of which is part of an answer."""
    numbers = {tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id}
    assert len(numbers | {image_token_id(tokenizer), eoc_token_id(tokenizer)}) == 5
    assert tokenizer.eos_token_id == eoc_token_id(tokenizer)
    assert tokenizer.decode(encode(tokenizer, "<image> red <EOC>")[0], skip_special_tokens=True).split() == ["red"]
    assert len(tokenizer) == len(vocabulary.words())


def test_padding_is_on_the_right(tokenizer):
    """Training batches are padded behind the text."""
    batch = tokenizer(["red", "a red zib"], padding=True)
    assert batch["attention_mask"] == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_a_tokenizer_without_the_marks_is_refused():
    """A tokenizer that cannot write `<image>` or `<EOC>` raises and names the token."""
    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"<unk>": 0}, "<unk>")), unk_token="<unk>")
    with pytest.raises(ValueError, match="<image>"):
        image_token_id(bare)
    with pytest.raises(ValueError, match="<EOC>"):
        eoc_token_id(bare)
