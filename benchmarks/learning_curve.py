"""How the baseline's scores grow with steps, on validation queries: what a scale's recipe is chosen by.

python -m benchmarks.learning_curve [every=300] [scale=desk] [key=value ...]

Test queries are not read. Scores before the last line are of weights whose learning rate has not decayed yet.
"""

import sys
import time

from benchmarks.measure import print_environment, print_table


def main(words: list[str]) -> None:
    """Train the baseline once, and evaluate it on the way."""
    from experiments.common.interrupt import StopRequest
    from experiments.data.feature_cache import FeatureCache
    from experiments.data.world.queries import OKVQA_NAME
    from experiments.evaluation.benchmark import published
    from experiments.evaluation.evaluate import all_prompts, evaluate
    from experiments.spec.spec import make_spec
    from experiments.store.names import OVERALL, blind
    from experiments.training.build import build_mixture, build_model, pick_device
    from experiments.training.loop import Trainer, draw_step

    every = int(next((word.removeprefix("every=") for word in words if word.startswith("every=")), "300"))
    spec = make_spec(*(word for word in words if not word.startswith("every=")))
    model, mixture = build_model(spec, pick_device(spec.tree["device"])), build_mixture(spec)
    trainer, features = Trainer(model, spec), FeatureCache(model, mixture.world)
    prompts = all_prompts(spec, split="val")
    features.prepare([f"train/{dataset}/0" for dataset in mixture.datasets])
    shown = [*((one.metric, one.label) for one in published()), (OKVQA_NAME, "name"), (OVERALL, "Overall")]
    rows, cpu_s = [], 0.0
    for step in range(spec.train.steps):
        started = time.process_time()
        trainer.step(draw_step(mixture, spec, step, features=features), step)
        cpu_s += time.process_time() - started
        if (step + 1) % every == 0 or step + 1 == spec.train.steps:
            model.eval()
            scores = evaluate(model, spec, prompts, features, stop=StopRequest(), split="val").scores
            model.train()
            cells = [f"{scores[metric]:.1f}" for metric, _ in shown]
            rows.append([str(step + 1), *cells, f"{scores[blind(OVERALL)]:.1f}", f"{cpu_s:.0f} s"])
    print_environment()
    print(
        f"{spec.name} at {spec.scale}, seed {spec.seed}, {spec.data.world.val_queries} validation queries a benchmark"
    )
    print_table(["steps", *(label for _, label in shown), "blind", "CPU time"], rows)


if __name__ == "__main__":
    main(sys.argv[1:])
