"""Checkpoints of the trained part: safetensors, written atomically, loaded strictly.

safetensors detects a truncated file but not changed bytes; a content hash in the metadata detects those.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from flamingo_core.config import FlamingoConfig
from flamingo_core.whole_file import write_whole

if TYPE_CHECKING:
    from flamingo_core.flamingo import Flamingo

WEIGHTS_FILE = "weights.safetensors"
CONTENT_HASH = "content_sha256"  # metadata key

Model = TypeVar("Model", bound="Flamingo")


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write named tensors, string metadata and a hash of both, atomically."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(on_cpu, metadata={**metadata, CONTENT_HASH: content_hash(on_cpu, metadata)}))


def load_tensors(path: Path, *, hashed: bool = False) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors by name and the metadata; with `hashed`, the file must have a content hash.

    Raises:
        ValueError: the file is missing, truncated, not a safetensors file, or its content does not match its hash.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read as safetensors: {error}") from error
    written = metadata.pop(CONTENT_HASH, None)
    if written is None and hashed:
        raise ValueError(f"{path} has no hash of its content")
    if written is not None and written != content_hash(tensors, metadata):
        raise ValueError(f"{path} does not hold what was written")
    return tensors, metadata


def content_hash(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """sha256 of names, dtypes, shapes, values and metadata, independent of their order; tensors on the CPU."""
    digest = hashlib.sha256(json.dumps(sorted(metadata.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def trained_state(model: "Flamingo") -> dict[str, Tensor]:
    """The trainable weights, named by the part they belong to."""
    return {name: parameter for name, parameter in model.named_parts() if parameter.requires_grad}


def load_trained_state(model: "Flamingo", tensors: Mapping[str, Tensor]) -> None:
    """Copy weights into the trainable part; all are checked before any is copied.

    Raises:
        ValueError: names are missing or unexpected, or shapes differ; lists all of them.
    """
    own = trained_state(model)
    wrong = [f"missing `{name}`" for name in own.keys() - tensors.keys()]
    wrong += [f"unexpected `{name}`" for name in tensors.keys() - own.keys()]
    wrong += [
        f"`{name}` is {tuple(tensors[name].shape)}, the model has {tuple(own[name].shape)}"
        for name in own.keys() & tensors.keys()
        if own[name].shape != tensors[name].shape
    ]
    if wrong:
        raise ValueError(f"weights do not fit the model: {'; '.join(sorted(wrong))}")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])


def save_trained(model: "Flamingo", path: Path, **metadata: str) -> None:
    """Write the trained part, with the config and seed that rebuild the rest."""
    described: dict[str, Any] = {"config": json.dumps(model.config.plain()), "seed": json.dumps(model.seed)}
    save_tensors(path, trained_state(model), {**described, **metadata})


def load_pretrained(cls: type[Model], path: Path) -> Model:
    """Build the model described in a file written by `save_trained`, and load its trained part strictly.

    Raises:
        ValueError: the file was not written by `save_trained`, or does not fit the model.
    """
    tensors, metadata = load_tensors(path)
    if "config" not in metadata or "seed" not in metadata:
        raise ValueError(f"{path} holds no Flamingo: its metadata have no `config` and `seed`")
    model = cls(FlamingoConfig(**json.loads(metadata["config"])), seed=json.loads(metadata["seed"]))
    load_trained_state(model, tensors)
    return model
