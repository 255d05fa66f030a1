"""Cost of a model before it is trained: parameters and FLOPs by slot, on the meta device.

The real model is built and one real step is run on tensors without values, so third-party components are counted like
built-in ones. One multiply-add is two FLOPs; matrix products, convolutions and attention count, as in torch's own
counter. Text is assumed to attend to all media of its example, including masked ones: how many of these scores a block
skips depends on the batch (`media_mask.TokensByMedium`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from flamingo_core.config import FlamingoConfig
from flamingo_core.flamingo import Flamingo
from flamingo_core.registry import SLOTS

Made = dict[object, Any]  # meta tensors, by the operation that returned them and its input shapes


@dataclass(frozen=True, kw_only=True)
class BatchShape:
    """The size of one data set's share of a step."""

    tokens: int  # text tokens per example, padded
    media_counts: tuple[int, ...]  # media of each example
    frames: int
    image_size: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of one model; FLOPs are for one full step, forward and backward, over all given batches."""

    params_total: int
    params_trainable: int
    params_by_slot: dict[str, int]
    flops_per_step: int
    flops_by_slot: dict[str, int]


def estimate(config: FlamingoConfig, shapes: Sequence[BatchShape]) -> Cost:
    """Build the model on the meta device and run one step over batches of these shapes; no values are computed."""
    with torch.device("meta"):
        model = Flamingo(config, seed=None)
    params, flops = count_parameters(model), dict.fromkeys(SLOTS, 0)
    made: Made = {}
    # media are padded to the longest example, so their order over examples does not change the cost
    alike = Counter(replace(shape, media_counts=tuple(sorted(shape.media_counts))) for shape in shapes)
    for shape, times in alike.items():
        for slot, count in count_flops(model, batch_of(shape), made).items():
            flops[slot] += times * count
    return Cost(
        params_total=sum(params.values()),
        params_trainable=count_trainable(model),
        params_by_slot=params,
        flops_per_step=sum(flops.values()),
        flops_by_slot=flops,
    )


def count_parameters(model: Flamingo) -> dict[str, int]:
    """Number of parameters by slot, shared ones counted once."""
    counts = dict.fromkeys(SLOTS, 0)
    for name, parameter in model.named_parts():
        counts[name.split(".", 1)[0]] += parameter.numel()
    return counts


def count_trainable(model: nn.Module) -> int:
    """Number of trainable parameters, shared ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def batch_of(shape: BatchShape) -> dict[str, Tensor]:
    """A batch of this shape on the meta device."""
    examples = len(shape.media_counts)
    ids = torch.zeros(examples, shape.tokens, dtype=torch.long, device="meta")
    pixels = (sum(shape.media_counts), shape.frames, 3, shape.image_size, shape.image_size)
    # A 4D mask and explicit positions: of other inputs, transformers reads the values to see what it can skip.
    return {
        "input_ids": ids,
        "attention_mask": torch.zeros(examples, 1, shape.tokens, shape.tokens, device="meta"),
        "position_ids": ids,
        "labels": ids,
        "text_time": ids,
        "media": torch.zeros(pixels, device="meta"),
        "media_counts": torch.tensor(shape.media_counts),
    }


def count_flops(model: Flamingo, batch: dict[str, Tensor], made: Made | None = None) -> dict[str, int]:
    """FLOPs by slot of forward and backward over one batch, on the model's device.

    The total is counted, then split: the encoder's forward pass, the resampler's forward and backward passes, three
    times the blocks' forward pass (backward takes two products for each one), and the remainder for the language model.

    `made` caches operation outputs by input shape across batches.
    """
    was_training = model.training
    model.train()
    conditioned = list(model.conditioned_layers())
    inner = [layer.layer for layer in conditioned if not layer.grafted]  # the language model's own
    forward: Counter[nn.Module] = Counter()
    text = {name: tensor for name, tensor in batch.items() if name != "media"}
    counter = _FlopCounter({} if made is None else made)
    with _counting(counter), _forward_flops(counter, [*conditioned, *inner], forward):
        features = model.encode_media(batch["media"])
        vision = counter.total
        model(**text, media_features=features).loss.backward()
    total = counter.total
    with _counting(counter):
        model.resampler(features).sum().backward()
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    flops = {
        "vision": vision,
        "resampler": counter.total - total,
        "xattn": 3 * (sum(forward[layer] for layer in conditioned) - sum(forward[layer] for layer in inner)),
    }
    return {**flops, "lm": total - sum(flops.values())}


class _FlopCounter(TorchDispatchMode):
    """Sums torch's own FLOP formulas over all operations.

    torch's own counter also tracks every module call, which takes several times as long as the model itself, and its
    split by module misplaces backward passes.

    Many operations run in Python on the meta device; a norm takes a millisecond. Layers repeat, so outputs are cached
    by operation and input shapes.
    """

    def __init__(self, made: Made):
        super().__init__()
        self.total = 0
        self._made = made

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = self._run(func, args, kwargs) if _makes_new_tensors(func) else func(*args, **kwargs)
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=output)
        return output

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        asked = (func, _described(args), _described(tuple(kwargs.items())))
        if asked in self._made:
            return _like(self._made[asked])
        output = func(*args, **kwargs)
        if all(isinstance(one, Tensor) and one.is_meta for one in _each(output)):
            self._made[asked] = output
        return output


def _described(value: Any) -> object:
    """A hashable key of all that determines an output's shape; 1, 1.0 and True are distinct."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device
    if isinstance(value, (list, tuple)):
        return tuple(_described(one) for one in value)
    return type(value), value


@cache
def _makes_new_tensors(func: Any) -> bool:
    """Whether an operation neither mutates its arguments nor returns a view of one."""
    return not func._schema.is_mutable and all(one.alias_info is None for one in func._schema.returns)


def _each(output: Any) -> tuple[Any, ...]:
    return output if isinstance(output, tuple) else (output,)


def _like(output: Any) -> Any:
    """New meta tensors of the same shapes, strides and dtypes."""
    if isinstance(output, tuple):
        return tuple(map(_like, output))
    return torch.empty_strided(output.shape, output.stride(), dtype=output.dtype, device="meta")


@contextmanager
def _counting(counter: _FlopCounter) -> Iterator[None]:
    # Other attention kernels are not counted on every device; the math kernel does the same products.
    with counter, sdpa_kernel(SDPBackend.MATH):
        yield


@contextmanager
def _forward_flops(counter: _FlopCounter, modules: Sequence[nn.Module], into: "Counter[nn.Module]") -> Iterator[None]:
    """Add up the FLOPs of each module's forward pass."""

    def before(module: nn.Module, _: object) -> None:
        into[module] -= counter.total

    def after(module: nn.Module, _: object, __: object) -> None:
        into[module] += counter.total

    handles = [module.register_forward_pre_hook(before) for module in modules]
    handles += [module.register_forward_hook(after) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
