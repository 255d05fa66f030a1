"""Costs of a job of the desk scale beside its arithmetic: start-up, overhead, memory, CPU time.

python -m benchmarks.desk [key=value ...]

Runs the baseline once against a store of its own, with a warm feature cache, and then its command in fresh processes up
to their first training step; prints each figure beside its target.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import print_environment

STARTS = 5
FIRST_STEP = """
import os, sys, time
from experiments.command.cli import main
from experiments.run import run
from experiments.training.loop import Trainer

def first_step(*_):
    os.write(1, f"first step {time.time()}\\n".encode())
    os._exit(0)

Trainer.step = first_step
sys.exit(main(run))
"""


class Stopwatch:
    """Wall time spent inside a function that it stands in for."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self.inside_s = 0.0

    def __get__(self, owner: Any, kind: type | None = None) -> Callable[..., Any]:
        return lambda *args, **kwargs: self(owner, *args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function and count."""
        started = time.perf_counter()
        try:
            return self.function(*args, **kwargs)
        finally:
            self.inside_s += time.perf_counter() - started


def main(overrides: list[str]) -> None:
    """Warm the cache with a job of one step, measure a whole one in this process, then starts in fresh ones."""
    from experiments.evaluation import evaluate
    from experiments.jobs.job import Job
    from experiments.jobs.run import run_job
    from experiments.spec.spec import make_spec
    from experiments.training.loop import Trainer

    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{Path(folder) / 'mlflow.db'}"
        spec = make_spec("scale=desk", "compare=false", *overrides)
        run_job(Job(make_spec("scale=desk", "compare=false", *overrides, "train.steps=1", "data.world.queries=18")))
        stepping, decoding = Stopwatch(Trainer.step), Stopwatch(evaluate.answer)
        Trainer.step, evaluate.answer = stepping, decoding  # type: ignore[method-assign, assignment]
        began, cpu = time.perf_counter(), time.process_time()
        run_job(Job(spec))
        ended = time.perf_counter()
        cpu_s = time.process_time() - cpu
        starts_s = [start_s("scale=desk", "compare=false", *overrides, f"seed={seed}") for seed in range(1, STARTS + 1)]
    wall_s = ended - began
    outside = 1 - (stepping.inside_s + decoding.inside_s) / wall_s
    memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print_environment()
    print(f"{spec.name} at {spec.scale}, {spec.train.steps} steps, {spec.data.world.queries} queries a benchmark")
    for what, value, target in (
        ("CPU time of a job, with evaluation and blind twin", f"{cpu_s / 60:.1f} min", "8 min"),
        ("wall time of it", f"{wall_s / 60:.1f} min", ""),
        ("outside training steps and decoding", f"{100 * outside:.1f}% of the wall time", "5%"),
        (f"from command to first step, longest of {STARTS}", f"{max(starts_s):.1f} s", "15 s"),
        ("resident memory at its height", f"{memory_gb:.2f} GB", "1.5 GB"),
    ):
        print(f"  {what:<52} {value:>24}" + (f"   target: at most {target}" if target else ""))


def start_s(*arguments: str) -> float:
    """Wall time from the command of a row to its first training step, in a process of its own."""
    started = time.time()
    ran = subprocess.run([sys.executable, "-c", FIRST_STEP, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    (said,) = (line for line in ran.stdout.splitlines() if line.startswith("first step "))
    return float(said.removeprefix("first step ")) - started


if __name__ == "__main__":
    main(sys.argv[1:])
