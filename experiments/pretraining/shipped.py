"""Frozen parts as files: float16 in the format each component reads, with a README that describes them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.common.locks import file_lock
from experiments.common.plain_json import dumps
from experiments.pretraining.parts import FrozenPart
from experiments.spec.identity import content_hash
from experiments.spec.resolve import RECORD_FILE
from experiments.spec.resolve import read_record as read_record
from flamingo_core.checkpoint import save_tensors
from flamingo_core.whole_file import write_whole

if TYPE_CHECKING:
    from torch import nn


def write_part(part: FrozenPart, module: "nn.Module", quality: dict[str, Any]) -> None:
    """Write a part's weights, then update the record and the README next to them."""
    import torch
    from transformers import PreTrainedModel

    with torch.no_grad():
        inner = module if isinstance(module, PreTrainedModel) else getattr(module, "model", None)
        if isinstance(inner, PreTrainedModel):
            inner.to(torch.float16).save_pretrained(part.path)  # type: ignore[arg-type]
        else:
            halves = {name: tensor.half() for name, tensor in module.state_dict().items()}
            save_tensors(part.path, halves, {"format": "pt"})
    with file_lock(part.path.parent / ".lock"):  # parts are trained in parallel
        _record(part, module, quality)


def is_made(part: FrozenPart) -> bool:
    """Whether a part exists, was made by its current recipe, and is unchanged.

    Raises:
        ValueError: the record cannot be read.
    """
    said = read_record(part.path.parent).get(part.name, {})
    return (
        said.get("identity") == part.identity and part.path.exists() and said.get("sha256") == content_hash(part.path)
    )


def _record(part: FrozenPart, module: "nn.Module", quality: dict[str, Any]) -> None:
    record = read_record(part.path.parent)
    record[part.name] = {
        "file": part.path.name,
        "sha256": content_hash(part.path),
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "bytes": _size(part.path),
        "steps": part.recipe.steps,
        "batch_size": part.recipe.batch_size,
        "identity": part.identity,
        **quality,
    }
    write_whole(part.path.parent / RECORD_FILE, (dumps(record, indent=1) + "\n").encode())
    write_whole(part.path.parent / "README.md", _readme(part.scale, record).encode())


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def _readme(scale: str, record: dict[str, dict[str, Any]]) -> str:
    lines = [
        f"# Frozen parts of the `{scale}` scale",
        "",
        "Trained from scratch in the rendered world, shipped in float16, upcast when loaded. Made by",
        "",
        f"```bash\npython -m experiments.pretrain scale={scale}\n```",
        "",
        "which writes this page too. Pictures are of the source `pairs`, which no data set shows, each seen once;",
        "texts are those of `experiments/data/world/text.py`, each read once.",
        "",
        "| part | parameters | bytes | steps x batch | CPU time, one thread | quality on what was not seen |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in record.items():
        quality = ", ".join(f"{key.removesuffix(' %')} {value}%" for key, value in one.items() if key.endswith("%"))
        lines.append(
            f"| `{name}` | {one['parameters']:,} | {one['bytes']:,} | {one['steps']:,} x {one['batch_size']} "
            f"| {one['cpu_time_s']:,} s | {quality} |"
        )
    lines += [
        "",
        "kind, colour, background: a linear classifier on the mean and the maximum over the encoder's grid, fitted on",
        "4,000 pictures of one object and asked on 2,000 others (24 kinds, 8 colours, 6 backgrounds). facts: of all",
        "facts, how many are said when asked in text. answers: of the tokens that answer in unread text, how many are",
        "predicted; part of them asks about a picture that the text does not show.",
        "",
        "| part | file | sha256 |",
        "|---|---|---|",
        *(f"| `{name}` | `{one['file']}` | `{one['sha256']}` |" for name, one in record.items()),
    ]
    return "\n".join(lines) + "\n"
