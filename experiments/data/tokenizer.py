"""The world's tokenizer: one token a word, and the two calls by which all text becomes tokens."""

from typing import TYPE_CHECKING

from experiments.data.vocabulary import BOS, EOC, IMAGE, PAD, UNKNOWN, words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast


def build_tokenizer() -> "PreTrainedTokenizerFast":
    """Words between spaces are tokens. `<bos>` comes first by itself, `<EOC>` ends a text, padding is on the right."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(words())}
    model = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    model.pre_tokenizer = WhitespaceSplit()
    model.post_processor = TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])])
    return PreTrainedTokenizerFast(
        tokenizer_object=model,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOC,
        unk_token=UNKNOWN,
        additional_special_tokens=[IMAGE],
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


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


def _special_id(tokenizer: "PreTrainedTokenizerBase", token: str) -> int:
    number = tokenizer.convert_tokens_to_ids(token)
    if not isinstance(number, int) or number == tokenizer.unk_token_id:
        raise ValueError(f"the tokenizer has no token `{token}`")
    return number
