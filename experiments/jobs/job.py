"""One job: a spec on its seed, found where it is stored, continued where it was stopped, or run from the start."""

import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from experiments.analysis import pairing, results
from experiments.analysis.results import StoredRun
from experiments.jobs import waiting
from experiments.record import BENCHMARKS, CERTIFICATE_FILE, PREDICTIONS_FOLDER, WEIGHTS_FILE, loss
from experiments.spec import Spec
from experiments.tracking import RunWriter, StoreError, flatten, open_finished, resume_run, start_run, work_folder

if TYPE_CHECKING:
    from experiments.data.mixture import Mixture
    from experiments.evaluation.evaluate import Evaluation
    from experiments.training.checkpoint import Progressed
    from flamingo_core.flamingo import Flamingo


@dataclass(frozen=True)
class Job:
    """One spec on its seed; `afresh` runs it though it is stored or begun."""

    spec: Spec
    afresh: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """Equal for equal jobs."""
        return self.spec.hash, self.spec.seed


def missing_jobs(specs: Sequence[Spec]) -> list[Job]:
    """What must be run before these specs can be compared with their baselines: baselines first, each job once.

    Raises:
        StoreError: the store cannot be used.
    """
    wanted: dict[tuple[str, int], Job] = {}
    for job in (
        *(Job(spec.baseline) for spec in specs if is_compared(spec)),
        *(Job(spec, afresh=spec.tree["rerun"]) for spec in specs),
    ):
        if job.key not in wanted or job.afresh:
            wanted[job.key] = job
    missing = []
    for job in wanted.values():
        spec, stored = job.spec, None
        if not job.afresh:
            stored = results.find_finished(spec.hash, spec.seed, ablation=spec.name)
        if stored is None:
            missing.append(job)
        else:
            _say(
                f"{spec.name} seed {spec.seed}: finished run {stored.run_id} is stored, "
                "nothing is run (rerun=true would)"
            )
    return missing


def is_compared(spec: Spec) -> bool:
    """Whether the baseline is to be there too."""
    return bool(spec.tree["compare"]) and spec.hash != spec.baseline_hash


def run_job(job: Job) -> None:
    """Train, evaluate and store one job, from its last checkpoint unless `afresh`.

    Its work folder goes when all of it is in the store. A store that is lost on the way does not stop the job: what it
    measured waits in the work folder.

    Raises:
        StoreError: the store cannot be used at the beginning or at the end.
        NonFiniteLoss: training went wrong; the run is marked FAILED.
        KeyboardInterrupt: stopped; the run is marked KILLED and goes on when the job is asked for again.
    """
    spec, afresh = job.spec, job.afresh
    from experiments.data.cache import FeatureCache
    from experiments.evaluation.evaluate import all_prompts, evaluate, prompts_hash
    from experiments.stop import StopRequest
    from experiments.training.build import build_mixture, build_model, pick_device
    from experiments.training.certificate import certify
    from experiments.training.checkpoint import Progressed, load_newest
    from experiments.training.loop import Trainer, train

    folder = work_folder(spec.hash, spec.seed)
    if afresh:
        waiting.remove(folder)
    elif waiting.deliver(folder) is not None:
        _say(f"{spec.name} seed {spec.seed}: its results waited in {folder} and are stored now")
        return
    with StopRequest() as stop:
        device = pick_device(spec.tree["device"])
        model, mixture, prompts = build_model(spec, device), build_mixture(spec), all_prompts(spec)
        certificate = certify(model, mixture, spec, prompts=prompts_hash(prompts)).plain()
        trainer, features = Trainer(model, spec), FeatureCache(model, mixture.world)
        features.prepare([f"train/{dataset}/0" for dataset in mixture.datasets])
        features.prepare(medium for some in prompts.values() for prompt in some for medium in prompt.media)
        progressed, problems = load_newest(folder, model, trainer.optimizer, spec.train_hash)
        for problem in problems:
            _say(problem)
        if progressed is None and not afresh:
            progressed = _trained_before(spec, model)
        progressed, run = _open_run(spec, progressed or Progressed())
        try:
            train(
                trainer,
                mixture,
                spec,
                features=features,
                folder=folder,
                progressed=progressed,
                before_checkpoint=_LossSender(run),
                stop=stop,
            )
            evaluation = evaluate(model, spec, prompts, features, stop=stop)
            certificate["against"] = _against_baseline(spec, certificate)
            shutil.rmtree(folder / waiting.RESULTS_FOLDER, ignore_errors=True)  # what a killed process began to write
            model.save_pretrained(folder / waiting.RESULTS_FOLDER, spec_hash=spec.hash)
            _write_results(folder / waiting.RESULTS_FOLDER, evaluation, certificate)
            costs = {**_costs(spec, model, mixture), "train_step_time_s": median(progressed.step_times_s)}
            waiting.keep(folder, spec, run, losses=progressed.losses, metrics={**costs, **evaluation.scores})
            _store_results(folder, f"{spec.name} seed {spec.seed}")
        except BaseException as error:
            _end(run, "FAILED" if _is_its_own_fault(error) else "KILLED")
            raise
        stop.check()  # one that came while results were stored stops what comes next


def _store_results(folder: Path, title: str) -> None:
    try:
        delivered = waiting.deliver(folder)
    except StoreError:
        _say(f"{title}: its results wait in {folder}; the next command stores them, and runs nothing of it again")
        raise
    if delivered is None and folder.exists():  # where it is gone, another command was faster
        raise OSError(f"what was written in {folder} cannot be read back")


def _is_its_own_fault(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, StoreError)


def _end(run: RunWriter, status: str) -> None:
    """End a run as far as the store lets us: what went wrong before is what the user is told."""
    with suppress(StoreError):
        run.finish(status)


class _LossSender:
    """Stores the losses up to a checkpoint; a store that is lost is told of once, and does not stop training."""

    def __init__(self, run: RunWriter):
        self._run = run
        self._told = False

    def __call__(self, progressed: "Progressed") -> None:
        try:
            self._run.send_once({loss(dataset): values for dataset, values in progressed.losses.items()})
        except StoreError as error:
            if not self._told:
                _say(f"{error.message}; training goes on, what is measured waits until the end ({error.hint})")
            self._told = True


def ensure_compared(spec: Spec) -> tuple[StoredRun, StoredRun | None]:
    """The finished run of a spec and of its baseline, compared: certificates, and the timing pass.

    Both are made here where they are missing: when the two trained side by side, neither could.
    """
    stored, baseline = _finished(spec), _finished(spec.baseline) if is_compared(spec) else None
    if baseline is not None:
        _ensure_certified(spec, stored)
    if ("step_time_s" if baseline is None else "step_time_ratio") in stored.metrics:
        return stored, baseline
    from experiments.training.build import pick_device
    from experiments.training.timing import time_rows

    device = pick_device(spec.tree["device"])
    own, other = time_rows(spec, None if baseline is None else spec.baseline, device)
    # the row's last: it is what says that this was done
    if baseline is not None and other is not None and "step_time_s" not in baseline.metrics:
        open_finished(baseline.run_id).log_metrics(other.metrics())
    open_finished(stored.run_id).log_metrics(own.metrics())
    return _finished(spec), None if baseline is None else _finished(spec.baseline)


def _ensure_certified(spec: Spec, stored: StoredRun) -> None:
    """Add the comparison with the baseline to a certificate that was written before there was one."""
    certificate = results.certificate(stored)
    if certificate is None or certificate.get("against") is not None:
        return
    certificate["against"] = _against_baseline(spec, certificate)
    with TemporaryDirectory() as folder:
        _write_certificate(Path(folder), certificate)
        open_finished(stored.run_id).log_file(Path(folder) / CERTIFICATE_FILE)


def _finished(spec: Spec) -> StoredRun:
    run = results.find_finished(spec.hash, spec.seed, ablation=spec.name)
    assert run is not None, "a job that ended without an error is stored"
    return run


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _trained_before(spec: Spec, model: "Flamingo") -> "Progressed | None":
    """Weights of a stored run that trained the same and was only evaluated otherwise, if there is one."""
    from experiments.training.checkpoint import Progressed
    from flamingo_core.checkpoint import load_tensors, load_trained_state

    donor = results.find_trained(spec.train_hash, spec.seed)
    weights = None if donor is None else results.artifact(donor, WEIGHTS_FILE)
    if donor is None or weights is None:
        return None
    load_trained_state(model, load_tensors(weights)[0])
    _say(f"{spec.name} seed {spec.seed}: run {donor.run_id} trained the same, its weights are evaluated")
    times = [donor.metrics["train_step_time_s"]]
    return Progressed(step=spec.train.steps, losses=results.losses(donor), step_times_s=times)


def _open_run(spec: Spec, progressed: "Progressed") -> tuple["Progressed", RunWriter]:
    """The run to write to; one that was deleted meanwhile is written anew."""
    run = None
    if progressed.run_id is not None:
        run = resume_run(progressed.run_id, step=progressed.step)
        _say(f"{spec.name} resumed at step {progressed.step}")
    run = run or start_run(spec)
    progressed.run_id = run.run_id
    return progressed, run


def _costs(spec: Spec, model: "Flamingo", mixture: "Mixture") -> dict[str, float]:
    """Parameters, and FLOPs of a whole step, counted on the shapes of the first batches."""
    from experiments.training.build import shape_of
    from flamingo_core.cost import estimate

    shapes = [shape_of(mixture.batch(dataset, 0)) for dataset in mixture.datasets]
    cost = estimate(model.config, shapes)
    return {
        "params_total": cost.params_total,
        "params_trainable": cost.params_trainable,
        "flops_per_step": cost.flops_per_step,
    }


def _against_baseline(spec: Spec, certificate: dict[str, Any]) -> dict[str, Any] | None:
    """The certificate beside that of the baseline's finished run of the same seed; None without one."""
    if spec.hash == spec.baseline_hash:
        return None
    try:
        baseline = results.find_finished(spec.baseline_hash, spec.seed, ablation=spec.baseline.name)
        theirs = None if baseline is None else results.certificate(baseline)
    except StoreError:  # `ensure_compared` does it when the store is there again
        return None
    if baseline is None or theirs is None:
        return None
    changed = pairing.changed_keys(flatten(spec.tree), flatten(spec.baseline.tree))
    return {"run_id": baseline.run_id, **asdict(pairing.compare(certificate, theirs, changed))}


def _write_results(folder: Path, evaluation: "Evaluation", certificate: dict[str, Any]) -> None:
    (folder / PREDICTIONS_FOLDER).mkdir(parents=True, exist_ok=True)
    for benchmark in BENCHMARKS:
        evaluation.predictions[benchmark.name].to_parquet(folder / PREDICTIONS_FOLDER / f"{benchmark.name}.parquet")
    _write_certificate(folder, certificate)


def _write_certificate(folder: Path, certificate: dict[str, Any]) -> None:
    (folder / CERTIFICATE_FILE).write_text(json.dumps(certificate, indent=1) + "\n", encoding="utf-8")
