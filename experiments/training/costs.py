"""Parameters and FLOPs of a training step, counted once per process: counting takes as long as a few steps."""

import json
from functools import lru_cache

from experiments.data.feature_cache import Features
from experiments.spec.spec import Spec
from experiments.training.build import build_mixture, shape_of
from flamingo_core.config import FlamingoConfig
from flamingo_core.cost import BatchShape, Cost, estimate

# Text lengths and numbers of pictures vary from step to step. FLOPs describe the design, like parameters: the mean over
# the first steps of one fixed seed, whatever the seed of the run.
COUNTED_STEPS, COUNTED_SEED = 4, 0


def planned_costs(spec: Spec, config: FlamingoConfig, features: Features) -> dict[str, float]:
    """Parameters and FLOPs per step, by MLflow name; FLOPs are the mean over `COUNTED_STEPS`, equal for all seeds."""
    mixture, image_size = build_mixture(spec, seed=COUNTED_SEED), spec.data.world.image_size
    shapes = tuple(
        shape_of(mixture.batch(dataset, step, features=features), image_size)
        for step in range(COUNTED_STEPS)
        for dataset in mixture.datasets
    )
    cost = _counted(json.dumps(config.plain()), shapes, spec.train_hash)
    return {
        "params_total": cost.params_total,
        "params_trainable": cost.params_trainable,
        "flops_per_step": cost.flops_per_step / COUNTED_STEPS,
    }


@lru_cache(maxsize=64)
def _counted(plain_config: str, shapes: tuple[BatchShape, ...], train_hash: str) -> Cost:
    """`train_hash` covers the files that the config only names: weights, and classes from outside."""
    return estimate(FlamingoConfig(**json.loads(plain_config)), shapes)
