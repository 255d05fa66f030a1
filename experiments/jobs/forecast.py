"""What a table would run, and how long that would take: read from what is stored, nothing is run."""

import json
from collections.abc import Sequence
from statistics import median

from experiments.analysis import results
from experiments.analysis.results import StoredRun
from experiments.jobs.job import Job, missing_jobs, steps_done
from experiments.jobs.reconcile import default_workers
from experiments.spec import Spec


def forecast(specs: Sequence[Spec], *, workers: int | None, as_json: bool) -> str:
    """The jobs that are missing, each with how long it took when it, or its scale, ran undisturbed.

    Raises:
        StoreError: the store cannot be read.
    """
    jobs = missing_jobs(specs)
    workers = workers or default_workers(specs)
    known = _undisturbed(jobs)
    lines = [_line(job, known) for job in jobs]
    seconds = [line["expected_s"] for line in lines]
    total = None if None in seconds else sum(seconds) / max(1, min(workers, len(jobs)))
    if as_json:
        scale = specs[0].scale
        return json.dumps({"scale": scale, "workers": workers, "jobs": lines, "expected_s": total}, indent=1)
    text = [f"{line['row']} seed {line['seed']}  {_begun(line)}{_minutes(line['expected_s'])}" for line in lines]
    text.append(f"{len(jobs)} jobs on {workers} workers, {_minutes(total)} in all; timing passes come after")
    return "\n".join(text)


def _line(job: Job, known: list[StoredRun]) -> dict:
    same = [run for run in known if run.tags.get("spec_hash") == job.spec.hash]
    took = _typical(same) or _typical([run for run in known if run.tags.get("scale") == job.spec.scale])
    step, steps = steps_done(job), job.spec.train.steps
    left = None if took is None else took * (1 - step / steps)
    return {"row": job.spec.name, "seed": job.spec.seed, "step": step, "steps": steps, "expected_s": left}


def _undisturbed(jobs: Sequence[Job]) -> list[StoredRun]:
    """Finished runs of these scales that never stopped on the way."""
    scales = dict.fromkeys(job.spec.scale for job in jobs)
    return [run for scale in scales for run in results.runs(scale=scale) if "resumed_at_step" not in run.tags]


def _typical(runs: Sequence[StoredRun]) -> float | None:
    return median((run.ended - run.started) / 1000 for run in runs) if runs else None


def _begun(line: dict) -> str:
    return f"from step {line['step']} of {line['steps']}, " if line["step"] else ""


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return "time unknown: nothing of this scale is stored"
    return f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"
