"""Initial weights from (seed, qualified name).

Each module draws from its own generator, so a part that two models share starts equal in both, whatever else differs.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel

# Frozen parts without a weight file stand in for pretrained ones: the same on every seed, and no seed of a run's.
FROZEN_SEED = -1


@contextmanager
def draws_of(seed: int, name: str) -> Iterator[None]:
    """Everything drawn inside comes from (seed, name); torch's global generator is as before afterwards."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int.from_bytes(digest[:8], "little", signed=True))
        yield


@contextmanager
def no_draws() -> Iterator[None]:
    """Constructors of torch draw weights that are drawn again by name: keep them off the global generator."""
    with torch.random.fork_rng(devices=[]):
        yield


def initialise(module: nn.Module, *, seed: int, name: str, owner: PreTrainedModel | None = None) -> None:
    """Draw every weight below `module` anew, each submodule's from (seed, `name`.its own name).

    A torch module draws by its `reset_parameters`, but a linear map so that what comes out is as large as what went in;
    a module inside a transformers model by that model's rule; `owner` is the transformers model that `module` is going
    to stand in, if any.

    Raises:
        TypeError: a submodule holds parameters and has neither.
    """
    for local, child in module.named_modules():
        if not any(True for _ in child.parameters(recurse=False)):
            continue
        qualified = f"{name}.{local}" if local else name
        model = _innermost_model(module, local) or owner
        with draws_of(seed, qualified), torch.no_grad():
            if model is not None:
                for parameter in child.parameters(recurse=False):
                    # transformers skips what it takes for loaded or drawn already
                    parameter._is_hf_initialized = False
                model._init_weights(child)
            elif isinstance(child, nn.Linear) and type(child).reset_parameters is nn.Linear.reset_parameters:
                _draw_linear(child)
            elif hasattr(child, "reset_parameters"):
                child.reset_parameters()
            else:
                raise TypeError(f"{qualified} ({type(child).__name__}) holds parameters but has no `reset_parameters`")


def _draw_linear(linear: nn.Linear) -> None:
    """Variance 1 / fan-in, as the layers that the published model was built of draw (LeCun normal; Haiku's default).

    With torch's own third of it, attention's logits spread by 0.33 instead of 1: every query starts by reading the mean
    of everything, and is late to read something else.
    """
    nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)


def _innermost_model(module: nn.Module, local: str) -> PreTrainedModel | None:
    """The innermost transformers model that the submodule `local` is part of."""
    found, here = (module if isinstance(module, PreTrainedModel) else None), module
    for part in local.split(".") if local else ():
        here = getattr(here, part)
        found = here if isinstance(here, PreTrainedModel) else found
    return found
