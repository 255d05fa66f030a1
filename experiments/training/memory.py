"""Bytes of live tensors, and their peak: the same on every device, independent of its allocator's rounding."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """A context that tracks every storage from the operation that creates it until it is no longer referenced.

    Weights, gradients, optimizer state and saved activations count; a kernel's own scratch space does not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._known: set[int] = set()

    def follow(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors that are not counted yet, such as those made before the context."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in self._known:
                self._known.add(key)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._forget, key, storage.nbytes())
        self.peak = max(self.peak, self.now)

    def _forget(self, key: int, nbytes: int) -> None:
        self._known.discard(key)
        self.now -= nbytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and count its outputs."""
        output = func(*args, **(kwargs or {}))
        self.follow(leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor))
        return output
