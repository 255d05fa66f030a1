"""Weights of transformers models, from a directory that save_pretrained wrote: all of them or none."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

WEIGHT_FILES = "*.safetensors"  # never a pickle


def check_weights(path: str, key: str) -> None:
    """The directory must have a file of weights.

    Raises:
        ValueError: it has none; `key` is what named the directory.
    """
    if not any(Path(path).glob(WEIGHT_FILES)):
        raise ValueError(f"`{key}` is `{path}`; allowed: a directory with weights, as save_pretrained writes")


def load_model(cls: Any, path: str, key: str) -> Any:
    """`cls.from_pretrained`, in torch's default precision whatever the file's, and strictly.

    Raises:
        ValueError: weights cannot be read, or one is missing; `key` is what named the directory.
    """
    precision = torch.get_default_dtype()
    try:
        model, report = cls.from_pretrained(
            path, dtype=precision, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"`{key}` is `{path}`, whose weights cannot be read: {error}") from error
    missing = sorted(report["missing_keys"])
    if missing:  # transformers would draw them from the global generator
        raise ValueError(f"`{key}` is `{path}`, whose weights lack {len(missing)}: {', '.join(missing[:3])}")
    return model


def on_meta() -> bool:
    """Whether models are built without values now, to be counted: no weights are read then."""
    return torch.empty(0).is_meta
