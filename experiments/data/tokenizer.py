"""Text to tokens: the world's tokenizer, one token a word, or that of a language model which brings its own."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.data.marks import BOS, EOC, IMAGE, PAD, UNKNOWN
from experiments.data.world.vocabulary import words

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

TOKENIZER_FILE = "tokenizer.json"
MARKS = (PAD, BOS, EOC, IMAGE)  # what texts, batches and decoding need of any tokenizer, by these names


def tokenizer_of(path: str | None) -> "PreTrainedTokenizerFast":
    """The tokenizer of the language model in a directory: its own where it holds one, else the world's.

    Raises:
        ValueError: its own cannot be read, or has not all of the world's marks.
    """
    file = None if path is None else Path(path) / TOKENIZER_FILE
    if file is None or not file.is_file():
        return build_tokenizer()
    from tokenizers import Tokenizer

    try:
        model = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises nothing narrower
        raise ValueError(f"`model.lm.path` is `{path}`, whose {TOKENIZER_FILE} cannot be read: {error}") from error
    missing = [mark for mark in MARKS if model.token_to_id(mark) is None]
    if missing:
        raise ValueError(f"`model.lm.path` is `{path}`, whose tokenizer has no token {', '.join(missing)}")
    return _wrap(model)


def build_tokenizer() -> "PreTrainedTokenizerFast":
    """Words between spaces are tokens. `<bos>` comes first by itself, `<EOC>` ends a text, padding is on the right."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.processors import TemplateProcessing

    vocabulary = {word: index for index, word in enumerate(words())}
    model = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    model.pre_tokenizer = WhitespaceSplit()
    model.post_processor = TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])])
    return _wrap(model)


def image_token_id(tokenizer: "PreTrainedTokenizerBase") -> int:
    """The id of `<image>`."""
    return _special_id(tokenizer, IMAGE)


def eoc_token_id(tokenizer: "PreTrainedTokenizerBase") -> int:
    """The id of `<EOC>`, at which generation ends."""
    return _special_id(tokenizer, EOC)


def encode(tokenizer: "PreTrainedTokenizerBase", text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Token ids of a text, `bos` first, and the span of characters each token covers (empty for `bos`)."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    spans = [(int(start), int(end)) for start, end in encoded["offset_mapping"]]
    return [tokenizer.bos_token_id, *encoded["input_ids"]], [(0, 0), *spans]


@lru_cache(maxsize=8)  # asked for every role
def most_tokens_a_word(tokenizer: "PreTrainedTokenizerBase") -> int:
    """Into how many tokens a word of the world is cut at most: 1 by the world's own tokenizer."""
    return max(len(tokenizer(f" {word}", add_special_tokens=False)["input_ids"]) for word in words())


def _wrap(model: "Tokenizer") -> "PreTrainedTokenizerFast":
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=model,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOC,
        unk_token=UNKNOWN if model.token_to_id(UNKNOWN) is not None else None,  # subwords can spell everything
        additional_special_tokens=[IMAGE],
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def _special_id(tokenizer: "PreTrainedTokenizerBase", token: str) -> int:
    number = tokenizer.convert_tokens_to_ids(token)
    if not isinstance(number, int) or number == tokenizer.unk_token_id:
        raise ValueError(f"the tokenizer has no token `{token}`")
    return number
