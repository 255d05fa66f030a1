"""Cost of scheduling: jobs that do nothing, leased, handed to worker processes, ended and taken in.

python -m benchmarks.jobs [jobs=1000] [workers=2]

Each job takes and returns its lease and asks the store whether it is finished, as a real one does before it starts. The
share of worker time inside jobs is that of jobs which take one second.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import print_environment, print_table
from experiments.jobs.attempt import Outcome
from experiments.jobs.job import Job


def nothing(job: Job) -> Outcome:
    """Everything around a job, without the job."""
    from experiments.jobs import lease
    from experiments.store import reader

    with lease.hold(job.key) as held:
        assert held is not None
        reader.find_finished(*job.key, ablation=job.spec.name)
        held.end("done")
    return Outcome("done")


def a_second(job: Job) -> Outcome:
    """A job of one second."""
    time.sleep(1.0)
    return Outcome("done")


def main(words: list[str]) -> None:
    """Time both, and say how much memory the scheduling process has used at most."""
    from experiments.jobs.display import Lines
    from experiments.jobs.executor import NoSettings
    from experiments.jobs.executors.local import Local
    from experiments.jobs.job import missing_jobs
    from experiments.jobs.scheduler import run_jobs
    from experiments.spec.spec import make_spec

    said = dict(word.split("=", 1) for word in words)
    count, workers = int(said.get("jobs", "1000")), int(said.get("workers", "2"))
    spec = make_spec("scale=tiny")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{Path(folder) / 'mlflow.db'}"
        # In a table, too, the store is opened by a worker: the scheduling process never imports MLflow.
        subprocess.run(
            [sys.executable, "-c", "from experiments.store.lifecycle import make_store; make_store()"], check=True
        )
        jobs = [Job(make_seeded(spec, seed)) for seed in range(count)]
        rows = []
        for name, run, some in (("do nothing", nothing, jobs), ("take a second", a_second, jobs[: 10 * workers])):
            executor = Local(NoSettings(), slots=workers, run=run)
            run_jobs(jobs[:workers], executor, Lines())  # the workers are warm
            started = time.perf_counter()
            missing_jobs([job.spec for job in some])
            failures = run_jobs(some, executor, Lines())
            took = time.perf_counter() - started
            executor.close()
            assert not failures
            inside = f"{100 * len(some) / workers / took:.1f}%" if run is a_second else ""
            rows.append([name, str(len(some)), f"{took:.1f} s", f"{1000 * took / len(some):.1f} ms", inside])
    print_environment()
    print_table(["jobs that", "jobs", "took", "a job", "of worker time inside jobs"], rows)
    print(f"most memory of the scheduling process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def make_seeded(spec, seed: int):
    """The same spec on another seed."""
    from dataclasses import replace

    return replace(spec, tree={**spec.tree, "seed": seed})


if __name__ == "__main__":
    main(sys.argv[1:])
