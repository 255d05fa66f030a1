"""Forecast of a table: the jobs it would run and how long they would take, from what is stored."""

from collections.abc import Sequence
from statistics import median

from experiments.common.plain_json import dumps
from experiments.jobs.choice import Choice, default_workers
from experiments.jobs.job import Job, missing_jobs, steps_done
from experiments.jobs.site import THIS_MACHINE
from experiments.spec.spec import Spec
from experiments.store import reader
from experiments.store.stored_run import StoredRun


def forecast(specs: Sequence[Spec], *, workers: int | None, executor: Choice | None = None, as_json: bool) -> str:
    """The missing jobs as text or JSON, with expected times: those of undisturbed runs of the same spec or scale.

    Raises:
        StoreError: the store cannot be read.
    """
    jobs = missing_jobs(specs, THIS_MACHINE if executor is None else executor.site)
    workers = workers or default_workers(specs, executor)
    known = _undisturbed(jobs)
    lines = [_line(job, known) for job in jobs]
    seconds = [line["expected_s"] for line in lines]
    total = None if None in seconds else sum(seconds) / max(1, min(workers, len(jobs)))
    if as_json:
        scale = specs[0].scale
        return dumps({"scale": scale, "workers": workers, "jobs": lines, "expected_s": total}, indent=1)
    text = [f"{line['row']} seed {line['seed']}  {_begun(line)}{_minutes(line['expected_s'])}" for line in lines]
    text.append(f"jobs: {len(jobs)}, side by side: {workers}, together: {_minutes(total)}; timing passes come after")
    return "\n".join(text)


def _line(job: Job, known: list[StoredRun]) -> dict:
    same = [run for run in known if run.tags.get("spec_hash") == job.spec.hash]
    runs = same or [run for run in known if run.tags.get("scale") == job.spec.scale]
    step = steps_done(job)
    left = median(_took_s(run) - step * run.metrics.get("train_step_time_s", 0.0) for run in runs) if runs else None
    return {
        "row": job.spec.name,
        "seed": job.spec.seed,
        "step": step,
        "steps": job.spec.train.steps,
        "expected_s": None if left is None else max(0.0, left),
    }


def _undisturbed(jobs: Sequence[Job]) -> list[StoredRun]:
    """Finished runs of these scales that were never interrupted."""
    scales = dict.fromkeys(job.spec.scale for job in jobs)
    return [run for scale in scales for run in reader.runs(scale=scale) if "resumed_at_step" not in run.tags]


def _took_s(run: StoredRun) -> float:
    return (run.ended - run.started) / 1000


def _begun(line: dict) -> str:
    return f"from step {line['step']} of {line['steps']}, " if line["step"] else ""


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return "time unknown, nothing of this scale is stored"
    return f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"
