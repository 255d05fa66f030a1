"""Builds what a spec trains: its model, with the config and device, and its mixture."""

from typing import TYPE_CHECKING

import torch

from experiments.common.problems import UserError
from experiments.data.batch import Batch
from experiments.data.mixture import Mixture
from experiments.data.tokenizer import image_token_id, tokenizer_of
from experiments.spec.preflight import weights_problem
from experiments.spec.spec import Spec
from flamingo_core.config import FlamingoConfig
from flamingo_core.cost import BatchShape
from flamingo_core.flamingo import Flamingo

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def pick_device(name: str) -> torch.device:
    """`auto` takes the fastest available; a CPU runs one thread per job, so that results do not depend on its cores."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cpu":
        torch.set_num_threads(1)
    return torch.device(name)


def model_config(spec: Spec, tokenizer: "PreTrainedTokenizerBase") -> FlamingoConfig:
    """The model's own config, with the ids of the tokenizer's special tokens."""
    return FlamingoConfig(
        **spec.model,
        image_token_id=image_token_id(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def build_model(spec: Spec, device: torch.device) -> Flamingo:
    """The spec's model with initial weights, drawn from its seed.

    Raises:
        UserError: weights that the spec names do not fit. Most such errors are found when the spec is made, from file
            headers.
    """
    config = model_config(spec, tokenizer_of(spec.model["lm"]["path"]))
    try:
        model = Flamingo(config, seed=spec.seed)
    except ValueError as error:
        problem = weights_problem(error, spec.model)
        if problem is None:
            raise
        raise UserError([problem]) from error
    model.to(device)  # type: ignore[arg-type]
    return model


def build_mixture(spec: Spec, *, seed: int | None = None) -> Mixture:
    """The spec's training data in the order of its seed, or of another one."""
    tokenizer = tokenizer_of(spec.model["lm"]["path"])
    return Mixture(spec.data, spec.sources(), seed=spec.seed if seed is None else seed, tokenizer=tokenizer)


def shape_of(batch: Batch, image_size: int) -> BatchShape:
    """The shape of a batch for `flamingo_core.cost`; `image_size` is that of the pixels its features come from."""
    media = batch.media if batch.media_features is None else batch.media_features
    assert media is not None
    return BatchShape(
        tokens=batch.input_ids.shape[1],
        media_counts=tuple(batch.media_counts.tolist()),
        frames=media.shape[1],
        image_size=image_size,
    )
