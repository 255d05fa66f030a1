"""Checkpoints of the trained part: safetensors, written whole or not at all, loaded strictly.

safetensors notices a file that was cut short, and no byte that changed: a hash of the content among the metadata does.
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
CONTENT_HASH = "content_sha256"  # among the metadata

Model = TypeVar("Model", bound="Flamingo")


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors by name with string metadata and a hash of it all, whole or not at all."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(on_cpu, metadata={**metadata, CONTENT_HASH: content_hash(on_cpu, metadata)}))


def load_tensors(path: Path, *, hashed: bool = False) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name and the metadata; a file that is `hashed` must carry the hash of its content.

    Raises:
        ValueError: the file is missing, cut short, no safetensors file, or not what was written.
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
    """sha256 of names, types, shapes, values and metadata, in whatever order they come; tensors on the CPU."""
    digest = hashlib.sha256(json.dumps(sorted(metadata.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def trained_state(model: "Flamingo") -> dict[str, Tensor]:
    """The trainable weights by the part they belong to."""
    return {name: parameter for name, parameter in model.named_parts() if parameter.requires_grad}


def load_trained_state(model: "Flamingo", tensors: Mapping[str, Tensor]) -> None:
    """Copy weights into the trainable part; all of them are checked before any is written.

    Raises:
        ValueError: a name is missing or unexpected, or a shape differs; all are listed.
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
    """Write the trained part with the config and seed that build the rest."""
    described: dict[str, Any] = {"config": json.dumps(model.config.plain()), "seed": json.dumps(model.seed)}
    save_tensors(path, trained_state(model), {**described, **metadata})


def load_pretrained(cls: type[Model], path: Path) -> Model:
    """Build the model a file of `save_trained` describes and load its trained part strictly.

    Raises:
        ValueError: the file was not written by `save_trained`, or does not fit.
    """
    tensors, metadata = load_tensors(path)
    if "config" not in metadata or "seed" not in metadata:
        raise ValueError(f"{path} holds no Flamingo: its metadata have no `config` and `seed`")
    model = cls(FlamingoConfig(**json.loads(metadata["config"])), seed=json.loads(metadata["seed"]))
    load_trained_state(model, tensors)
    return model
