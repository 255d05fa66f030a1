"""Parameters and FLOPs of a spec's step, which a process counts once: counting takes as long as some steps."""

import json
from functools import lru_cache

from experiments.data.mixture import Mixture
from experiments.spec import Spec
from experiments.training.build import shape_of
from flamingo_core.config import FlamingoConfig
from flamingo_core.cost import BatchShape, Cost, estimate


def planned_costs(spec: Spec, config: FlamingoConfig, mixture: Mixture) -> dict[str, float]:
    """By MLflow name: parameters, and FLOPs of a whole step on the shapes of the first batches."""
    shapes = tuple(shape_of(mixture.batch(dataset, 0)) for dataset in mixture.datasets)
    cost = _counted(json.dumps(config.plain()), shapes, spec.train_hash)
    return {
        "params_total": cost.params_total,
        "params_trainable": cost.params_trainable,
        "flops_per_step": cost.flops_per_step,
    }


@lru_cache(maxsize=64)
def _counted(plain_config: str, shapes: tuple[BatchShape, ...], train_hash: str) -> Cost:
    """The hash stands for what the config only names: files of weights, and of classes from outside."""
    return estimate(FlamingoConfig(**json.loads(plain_config)), shapes)
