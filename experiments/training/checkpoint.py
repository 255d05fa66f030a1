"""Training checkpoints: trained weights, optimizer, step, losses and step times of one job, in its work folder.

Batches are fixed by (seed, data set, step) and nothing else is random in training, so no generator state is saved.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from flamingo_core.checkpoint import load_tensors, load_trained_state, save_tensors, trained_state
from flamingo_core.flamingo import Flamingo
from flamingo_core.whole_file import remove_drafts

KEEP = 2  # the newest, and the previous one in case the newest is damaged


@dataclass(kw_only=True)
class Progressed:
    """How far a job has come: `step` steps are done."""

    step: int = 0
    run_id: str | None = None
    losses: dict[str, list[float]] = field(default_factory=dict)  # by data set, one per step
    step_times_s: list[float] = field(default_factory=list)
    # By data set, a hash over the batches of all steps done. None: step 0, or a checkpoint of code that did not store
    # them. A list: hashes of the first steps, from an older version's certificate whose weights were taken over.
    batches: dict[str, str] | list[str] | None = None
    environment: dict[str, str] = field(default_factory=dict)  # all it was trained in, merged by `certificate.joined`


def save(
    folder: Path, model: Flamingo, optimizer: torch.optim.Optimizer, progressed: Progressed, spec_hash: str
) -> None:
    """Write a checkpoint atomically, and delete all but the last two."""
    tensors = {f"weights/{name}": tensor for name, tensor in trained_state(model).items()}
    names = {id(parameter): name for name, parameter in model.named_parts()}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            tensors[f"optimizer/{key}/{names[id(parameter)]}"] = value
    metadata = {"spec_hash": spec_hash, "progressed": json.dumps(asdict(progressed))}
    save_tensors(folder / f"step-{progressed.step:08d}.safetensors", tensors, metadata)
    for old in _newest_first(folder)[KEEP:]:
        old.unlink()


def load_newest(
    folder: Path, model: Flamingo, optimizer: torch.optim.Optimizer, spec_hash: str
) -> tuple[Progressed | None, list[str]]:
    """Continue from the newest readable checkpoint; the list says what was wrong with newer ones.

    A checkpoint is read and checked completely before anything is written into the model. Partial files of a killed
    process are removed: no other process works on the job.
    """
    remove_drafts(folder)
    problems = []
    for path in _newest_first(folder):
        try:
            tensors, metadata = load_tensors(path, hashed=True)
            if metadata.get("spec_hash") != spec_hash:
                raise ValueError(f"{path} belongs to another spec")
            progressed = Progressed(**json.loads(metadata["progressed"]))
            load_trained_state(model, _below("weights/", tensors))
            _load_optimizer(model, optimizer, _below("optimizer/", tensors))
        except (ValueError, KeyError, TypeError) as error:
            problems.append(f"{path.name} is not used: {error}")
            continue
        return progressed, problems
    return None, problems


def _load_optimizer(model: Flamingo, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = {name: parameter for name, parameter in model.named_parts() if parameter.requires_grad}
    for key_and_name, tensor in tensors.items():
        key, name = key_and_name.split("/", 1)
        parameter = parameters[name]
        # the step count of a parameter stays on the CPU unless the optimizer is fused, which keeps it with the weights
        optimizer.state[parameter][key] = tensor.to(parameter.device)


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)
