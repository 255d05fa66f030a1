"""Jobs: one spec on one seed each, and which of them are wanted, started or stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from experiments.common.say import say
from experiments.jobs.site import THIS_MACHINE, Site
from experiments.spec.spec import Spec
from experiments.store import reader
from experiments.store.stored_run import StoredRun


@dataclass(frozen=True)
class Job:
    """One spec on its seed, and the site it runs at; `afresh`: run it even if it is stored or started."""

    spec: Spec
    afresh: bool = False
    site: Site = field(default=THIS_MACHINE, compare=False, repr=False)

    @property
    def key(self) -> tuple[str, int]:
        """Spec hash and seed, equal for equal jobs."""
        return self.spec.hash, self.spec.seed

    @property
    def title(self) -> str:
        """Name of the job in messages."""
        return self.spec.title


def wanted_jobs(specs: Sequence[Spec], site: Site = THIS_MACHINE) -> list[Job]:
    """The jobs needed to compare specs with their baselines: baselines first, each job once."""
    wanted: dict[tuple[str, int], Job] = {}
    for job in (
        *(Job(spec.baseline, site=site) for spec in specs if is_compared(spec)),
        *(Job(spec, afresh=spec.tree["rerun"], site=site) for spec in specs),
    ):
        if job.key not in wanted or job.afresh:
            wanted[job.key] = job
    return list(wanted.values())


def missing_jobs(specs: Sequence[Spec], site: Site = THIS_MACHINE) -> list[Job]:
    """Jobs with no finished run; prints one line for each stored one.

    Raises:
        StoreError: the store cannot be used.
    """
    missing = []
    stored = reader.finished_jobs(scale for scale in {spec.scale for spec in specs})
    for job in wanted_jobs(specs, site):
        run = None if job.afresh else stored.get((*job.key, job.spec.name, job.spec.baseline_hash))
        if run is None or not reader.is_whole(run):
            missing.append(job)
        else:
            site.forget(job.key)
            say(f"{job.title}: finished run {run.run_id} is stored, nothing is run (rerun=true would run it again)")
    return missing


def is_compared(spec: Spec) -> bool:
    """Whether a spec is to be compared with its baseline."""
    return bool(spec.tree["compare"]) and spec.hash != spec.baseline_hash


def steps_done(job: Job) -> int:
    """Step of a job's newest checkpoint; 0 if there is none."""
    checkpoints = job.site.work_folder(job.key).glob("step-*.safetensors")
    return max((int(file.stem.removeprefix("step-")) for file in checkpoints), default=0)


def stored_pair(spec: Spec) -> tuple[StoredRun, StoredRun | None]:
    """The finished run of a spec, and that of its baseline if they are compared."""
    return _finished(spec), _finished(spec.baseline) if is_compared(spec) else None


def _finished(spec: Spec) -> StoredRun:
    run = reader.find_finished(spec.hash, spec.seed, ablation=spec.name, baseline_hash=spec.baseline_hash)
    # a run that was started before its baseline was edited still names the old baseline
    run = run or reader.find_finished(spec.hash, spec.seed, ablation=spec.name)
    assert run is not None, "a job that ended without an error is stored"
    return run
