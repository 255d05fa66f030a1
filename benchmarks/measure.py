"""How sides are compared: turn by turn in one process of one thread, by CPU time, as medians of paired ratios."""

import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from statistics import median

import torch
from torch import Tensor, nn

from experiments.training.timing import median_interval


def interleave(sides: Mapping[str, Callable[[], object]], *, rounds: int, warmup: int = 2) -> dict[str, list[float]]:
    """CPU seconds of each side in each round; who goes first changes from round to round."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for round_ in range(-warmup, rounds):
        first = round_ % len(names)
        for name in names[first:] + names[:first]:
            started = time.process_time()
            sides[name]()
            if round_ >= 0:
                times[name].append(time.process_time() - started)
    return times


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Median of ours / theirs round by round, with its order-statistic 95% interval."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    low, high = median_interval(ratios)
    return f"{median(ratios):.2f} [{low:.2f}, {high:.2f}]"


def saved_bytes(model: nn.Module, forward: Callable[[], Tensor]) -> int:
    """Bytes that autograd keeps between forward and backward: each storage once, parameters left out."""
    kept: weakref.WeakSet[_Kept] = weakref.WeakSet()

    def pack(tensor: Tensor) -> _Kept:
        held = _Kept(tensor)
        kept.add(held)
        return held

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held.tensor):
        loss = forward()
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages = {held.tensor.untyped_storage().data_ptr(): held.tensor.untyped_storage().nbytes() for held in kept}
    del loss  # the graph lived until here, and with it what it kept
    return sum(nbytes for place, nbytes in storages.items() if place not in parameters)


class _Kept:
    """A tensor for as long as the graph wants it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def trained_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Parameters that the optimizer updates."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def print_environment() -> None:
    """Machine and versions, on which the figures depend."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "flamingo-pytorch"))
    capability = torch.backends.cpu.get_cpu_capability()
    print(f"{packages}; CPU ({capability}), float32, threads: {torch.get_num_threads()}")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as they need to be, the first to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        print("  ".join(cells).rstrip(), flush=True)
