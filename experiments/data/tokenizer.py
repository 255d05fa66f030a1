"""Tokenizers: the world's, with one token per word, or the one that comes with a language model."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.data.marks import BOS, EOC, IMAGE, PAD, UNKNOWN
from experiments.data.world.vocabulary import words

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

TOKENIZER_FILE = "tokenizer.json"
MARKS = (PAD, BOS, EOC, IMAGE)  # tokens that every tokenizer must have for texts, batches and decoding


def tokenizer_of(path: str | None) -> "PreTrainedTokenizerFast":
    """The tokenizer in a language model's directory; the world's tokenizer if the directory has none.

    Raises:
        ValueError: the tokenizer cannot be read, or lacks one of `MARKS`.
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
    """One token per word between spaces. `<bos>` is added in front, `<EOC>` ends a text, padding is on the right."""
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


@lru_cache(maxsize=8)  # called for every role
def most_tokens_a_word(tokenizer: "PreTrainedTokenizerBase") -> int:
    """The maximum number of tokens per word of the world: 1 for the world's own tokenizer."""
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
