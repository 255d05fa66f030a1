"""The certificate of a run: hashes of everything that an ablation must share with its baseline.

A module is named by the part it belongs to, down to one layer of a stack: `xattn.0`, `lm.model.layers.3`.
"""

import hashlib
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiments.data.mixture import Mixture
from experiments.data.tokenizer import tokenizer_of
from experiments.spec.spec import Spec
from experiments.training.trained_batches import before_the_first
from flamingo_core.flamingo import Flamingo

CPU_FILE = Path("/proc/cpuinfo")
ARM_KEYS = ("CPU implementer", "CPU part")
PACKAGES = ("transformers", "tokenizers", "numpy", "safetensors")  # and torch, whose version includes its build


@dataclass(kw_only=True)
class Certificate:
    """Hashes of the initial state of a run, as stored in certificate.json."""

    spec_hash: str
    seed: int
    weights: dict[str, str]  # module -> sha256 of its initial weights
    shapes: dict[str, str]  # module -> shapes of its weights: a change of size is not a different draw
    batches: dict[str, str] | list[str]  # data set -> sha256 over the examples of every step trained
    prompts: str
    frozen: dict[str, str]  # vision, lm, tokenizer -> sha256
    data: str
    environment: dict[str, str]
    changes: list[str]  # keys in which the spec differs from its baseline
    against: dict[str, Any] | None = None

    def plain(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)


def certify(model: Flamingo, mixture: Mixture, spec: Spec, *, prompts: str) -> Certificate:
    """Hash a model before its first step and record the prompts' hash; batch hashes start with no step."""
    weights, shapes = module_hashes(model), module_shapes(model)
    return Certificate(
        spec_hash=spec.hash,
        seed=spec.seed,
        weights=weights,
        shapes=shapes,
        batches=before_the_first(mixture.datasets),
        prompts=prompts,
        frozen={
            **{slot: _digest(f"{k}{v}" for k, v in _below(slot, weights).items()) for slot in ("lm", "vision")},
            "tokenizer": _tokenizer_hash(spec),
        },
        data=spec.data_hash(),
        environment={**environment(model), "eval_batch_size": str(spec.eval.batch_size)},
        changes=spec.changed_keys,
    )


def module_hashes(model: Flamingo) -> dict[str, str]:
    """sha256 of the weights of every module, by part."""
    digests: dict[str, Any] = {}
    for name, parameter in model.named_parts():
        digest = digests.setdefault(_module_of(name), hashlib.sha256())
        digest.update(name.encode())
        digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return {name: digest.hexdigest() for name, digest in digests.items()}


def module_shapes(model: Flamingo) -> dict[str, str]:
    """Shapes of the weights of every module, by part."""
    shapes: dict[str, list[str]] = {}
    for name, parameter in model.named_parts():
        shapes.setdefault(_module_of(name), []).append("x".join(map(str, parameter.shape)))
    return {name: " ".join(some) for name, some in shapes.items()}


def environment(model: Flamingo) -> dict[str, str]:
    """Software and hardware that results may depend on."""
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{package: version(package) for package in PACKAGES},
        "device": model.device.type,
        "cpu": processor(),
        "threads": str(torch.get_num_threads()),
    }


def processor(cpu_file: Path = CPU_FILE) -> str:
    """The processor model and the instruction set that torch uses: rounding depends on both."""
    import torch

    kinds = (*_said_by(cpu_file), platform.processor(), platform.machine())
    kind = next((kind for kind in kinds if kind), "unknown")
    return f"{kind}, {torch.backends.cpu.get_cpu_capability()}"


def _said_by(cpu_file: Path) -> Iterator[str]:
    """The first core's entry in Linux's cpuinfo: a model name, or on ARM the implementer and part numbers."""
    try:
        lines = cpu_file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
    yield " ".join(said.get("model name", "").split())
    yield " ".join(f"{key.removeprefix('CPU ')} {said[key]}" for key in ARM_KEYS if key in said)


def joined(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Merge the environments of a job that moved between machines: all values of each entry, in order."""
    found = {}
    for name in [*before, *(name for name in now if name not in before)]:
        values = [*before.get(name, "").split("; "), *now.get(name, "").split("; ")]
        found[name] = "; ".join(dict.fromkeys(filter(None, values)))
    return found


def _tokenizer_hash(spec: Spec) -> str:
    """Hash of the serialised tokenizer: vocabulary, merges and processing."""
    return _digest([tokenizer_of(spec.model["lm"]["path"]).backend_tokenizer.to_str()])


def _module_of(name: str) -> str:
    """A parameter's name up to its first number; without a number, the module that holds it."""
    words = name.split(".")
    numbers = [place for place, word in enumerate(words) if word.isdigit()]
    return ".".join(words[: numbers[0] + 1] if numbers else words[:-1])


def _below(slot: str, weights: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in weights.items() if name.startswith(f"{slot}.")}


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
