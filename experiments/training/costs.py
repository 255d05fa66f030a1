"""Parameters and FLOPs of a spec's step, which a process counts once: counting takes as long as some steps."""

import json
from functools import lru_cache

from experiments.data.feature_cache import Features
from experiments.spec.spec import Spec
from experiments.training.build import build_mixture, shape_of
from flamingo_core.config import FlamingoConfig
from flamingo_core.cost import BatchShape, Cost, estimate

# Lengths of texts and numbers of pictures change from step to step. FLOPs are of the design, like parameters: the mean
# over the first steps of one seed, the same ones whichever seed a run has.
COUNTED_STEPS, COUNTED_SEED = 4, 0


def planned_costs(spec: Spec, config: FlamingoConfig, features: Features) -> dict[str, float]:
    """By MLflow name: parameters, and FLOPs of a whole step, the mean over `COUNTED_STEPS` that all seeds share."""
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
    """The hash stands for what the config only names: files of weights, and of classes from outside."""
    return estimate(FlamingoConfig(**json.loads(plain_config)), shapes)
