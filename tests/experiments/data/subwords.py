"""A tiny language model with a tokenizer of its own, laid out as `smollm2.make` lays out the real one."""

from functools import cache
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as Bytes
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from experiments.data.tokenizer import TOKENIZER_FILE
from experiments.pretraining.smollm2 import RESERVED, rename_tokens
from tests.core import lm_checkpoints

# English that has none of the world's names, so that these are spelt in pieces.
ENGLISH = "what is this on the left of a big blue one and where does the small red one live in that sea while it stays"
VOCABULARY = 310


@cache
def reserved_tokenizer() -> Tokenizer:
    """Byte-level subwords, with reserved tokens as the real model calls them."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = Bytes()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|im_start|>", *RESERVED.values()],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f" {ENGLISH}"] * 5, trainer)
    return tokenizer


def write_tokenizer(folder: Path) -> None:
    """A tokenizer.json in which reserved tokens are the world's marks."""
    renamed = rename_tokens(reserved_tokenizer(), RESERVED)
    (folder / TOKENIZER_FILE).write_text(renamed.to_str(), encoding="utf-8")


def write_model(folder: Path) -> Path:
    """A directory that `model.lm.path` can name: a Llama of a few layers and its tokenizer."""
    lm_checkpoints.write(folder, "llama", vocab_size=VOCABULARY, max_position_embeddings=1024)
    write_tokenizer(folder)
    return folder
