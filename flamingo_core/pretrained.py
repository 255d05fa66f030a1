"""Load pretrained weights from files, all or none; the file header is checked before any weight is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers.utils import logging

WEIGHT_FILES = "*.safetensors"  # never a pickle


def check_weights(path: str, key: str) -> None:
    """Check that the directory has weight files and that none is truncated.

    Raises:
        ValueError: there is none, or one is truncated; `key` is the config key that named the directory.
    """
    files = sorted(Path(path).glob(WEIGHT_FILES))
    if not files:
        raise ValueError(f"`{key}` is `{path}`; allowed: a directory with weights, as save_pretrained writes")
    for file in files:
        stored_shapes(file, key=key, value=path)


def stored_shapes(file: Path, *, key: str, value: str) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor in a safetensors file, by name. Reads the header and file length, no values.

    Raises:
        ValueError: it is not a safetensors file, or is truncated; `key` and `value` are the config entry that named it.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        reason = f"{file.name} is not a safetensors file, or cut short: {error}"
        raise ValueError(f"`{key}` is `{value}`, whose weights cannot be read: {reason}") from error


def load_model(cls: Any, path: str, key: str) -> Any:
    """Strict `cls.from_pretrained`, in torch's default dtype whatever the file's.

    Raises:
        ValueError: weights cannot be read, or some are missing; `key` is the config key that named the directory.
    """
    precision = torch.get_default_dtype()
    try:
        with _without_bars():
            model, report = cls.from_pretrained(
                path, dtype=precision, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"`{key}` is `{path}`, whose weights cannot be read: {error}") from error
    missing = sorted(report["missing_keys"])
    if missing:  # transformers would draw them from the global generator
        raise ValueError(f"`{key}` is `{path}`, whose weights lack {len(missing)}: {', '.join(missing[:3])}")
    return model


@contextmanager
def _without_bars() -> Iterator[None]:
    """Hide transformers' progress bar while loading weights: progress is the program's to show."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def on_meta() -> bool:
    """Whether models are currently built on the meta device to count their cost; then no weights are read."""
    return torch.empty(0).is_meta
