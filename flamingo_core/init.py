"""Initial weights from (seed, qualified name).

Each module has its own random generator, so a part that two models share starts equal in both, whatever else differs.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel

# Frozen parts without a weight file stand in for pretrained ones: the same for every run, and not the seed of any run.
FROZEN_SEED = -1


@contextmanager
def draws_of(seed: int, name: str) -> Iterator[None]:
    """Seed torch's global generator from (seed, name) inside the block; restore it afterwards."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int.from_bytes(digest[:8], "little", signed=True))
        yield


@contextmanager
def no_draws() -> Iterator[None]:
    """Restore torch's global generator afterwards: constructors draw weights that are later drawn again by name."""
    with torch.random.fork_rng(devices=[]):
        yield


def initialise(module: nn.Module, *, seed: int, name: str, owner: PreTrainedModel | None = None) -> None:
    """Redraw all weights of `module`, each submodule's from (seed, `name`.<submodule name>).

    A torch module uses its `reset_parameters`, except that a linear map preserves the variance of its input; a module
    inside a transformers model uses that model's rule. `owner` is the transformers model that `module` will be inserted
    into, if any.

    Raises:
        TypeError: a submodule holds parameters but has neither.
    """
    for local, child in module.named_modules():
        if not any(True for _ in child.parameters(recurse=False)):
            continue
        qualified = f"{name}.{local}" if local else name
        model = _innermost_model(module, local) or owner
        with draws_of(seed, qualified), torch.no_grad():
            if model is not None:
                for parameter in child.parameters(recurse=False):
                    # transformers skips parameters it considers already initialised
                    parameter._is_hf_initialized = False
                model._init_weights(child)
            elif isinstance(child, nn.Linear) and type(child).reset_parameters is nn.Linear.reset_parameters:
                _draw_linear(child)
            elif hasattr(child, "reset_parameters"):
                child.reset_parameters()
            else:
                raise TypeError(f"{qualified} ({type(child).__name__}) holds parameters but has no `reset_parameters`")


def _draw_linear(linear: nn.Linear) -> None:
    """Variance 1 / fan-in, as in the layers of the published model (LeCun normal; Haiku's default).

    With torch's default, a third of that, attention logits have a standard deviation of 0.33 instead of 1: every query
    starts by averaging over all keys and is slow to learn anything else.
    """
    nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)


def _innermost_model(module: nn.Module, local: str) -> PreTrainedModel | None:
    """The innermost transformers model that contains the submodule `local`."""
    found, here = (module if isinstance(module, PreTrainedModel) else None), module
    for part in local.split(".") if local else ():
        here = getattr(here, part)
        found = here if isinstance(here, PreTrainedModel) else found
    return found
