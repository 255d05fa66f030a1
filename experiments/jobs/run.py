"""A job from its first step, or its last checkpoint, to the store: prepare, train, evaluate, deliver."""

import errno
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from experiments.common.interrupt import StopRequest
from experiments.common.say import say
from experiments.jobs import outbox
from experiments.jobs.complete import against_baseline, write_certificate
from experiments.jobs.job import Job
from experiments.jobs.site import Site
from experiments.spec.spec import Spec
from experiments.store import reader
from experiments.store.error import StoreError
from experiments.store.lifecycle import RecordedSpec, resume_run, start_run
from experiments.store.locate import locate
from experiments.store.names import PREDICTIONS_FOLDER, WEIGHTS_FILE, loss
from experiments.store.writer import RunWriter

if TYPE_CHECKING:
    from experiments.data.feature_cache import Features
    from experiments.data.mixture import Mixture
    from experiments.evaluation.evaluate import Evaluation
    from experiments.evaluation.prompts import Prompt
    from experiments.training.checkpoint import Progressed
    from experiments.training.loop import Trainer
    from flamingo_core.flamingo import Flamingo


def run_job(job: Job) -> None:
    """Train, evaluate and store one job, from its last checkpoint unless `afresh`.

    The work folder is removed when everything is in the store. If the store is lost on the way, the job goes on and its
    results wait in the work folder.

    Raises:
        StoreError: the store cannot be used at the start or at the end.
        NonFiniteLoss: training diverged; the run is marked FAILED.
        KeyboardInterrupt: stopped; the run is marked KILLED and continues when the job is run again.
    """
    folder = job.site.work_folder(job.key)
    if job.afresh:
        outbox.remove(folder)
    elif outbox.deliver(folder, job.site) is not None:
        say(f"{job.title}: its results waited in {folder} and are stored now")
        return
    with StopRequest() as stop:
        prepared = prepare(job, folder, stop)
        try:
            train(prepared, stop)
            deliver(prepared, evaluate(prepared, stop), job.site)
        except BaseException as error:
            _end(prepared.run, "FAILED" if _is_its_own_fault(error) else "KILLED")
            raise
        stop.check()  # a signal that came while results were stored stops what comes next


@dataclass(kw_only=True)
class Prepared:
    """A job ready to train: its parts, its progress, and the run it writes to."""

    spec: Spec
    folder: Path  # its checkpoints and, later, its results
    model: "Flamingo"
    trainer: "Trainer"
    mixture: "Mixture"
    prompts: "dict[str, list[Prompt]]"
    features: "Features"
    certificate: dict[str, Any]
    progressed: "Progressed"
    run: RunWriter


def prepare(job: Job, folder: Path, stop: StopRequest) -> Prepared:
    """Build model and data, encode the media, load the newest checkpoint, and open the run."""
    from experiments.data.feature_cache import Features
    from experiments.evaluation.evaluate import all_prompts, prompts_hash
    from experiments.training.build import build_mixture, build_model, pick_device
    from experiments.training.certificate import certify, joined
    from experiments.training.checkpoint import Progressed, load_newest
    from experiments.training.loop import Trainer

    spec = job.spec
    device = pick_device(spec.tree["device"])
    model, mixture, prompts = build_model(spec, device), build_mixture(spec), all_prompts(spec)
    certificate = certify(model, mixture, spec, prompts=prompts_hash(prompts)).plain()
    trainer, places = Trainer(model, spec), locate().places
    features = Features(
        model,
        mixture.sources,
        folder=places.features,
        more_in=places.more_features,
        components=spec.tree["components"],
    )
    for dataset in mixture.datasets:
        features.of_role(dataset).prepare(mixture.sources.of(dataset).document(dataset, 0).media)
    for benchmark, some in prompts.items():
        features.of_role(benchmark).prepare(medium for prompt in some for medium in prompt.media)
    stop.check()  # encoding takes long, and no run has been started yet
    progressed, problems = load_newest(folder, model, trainer.optimizer, spec.train_hash)
    for problem in problems:
        say(problem)
    if progressed is None and not job.afresh:
        progressed = _trained_before(spec, model)
    progressed, run = _open_run(spec, progressed or Progressed())
    progressed.environment = joined(progressed.environment, certificate["environment"])
    return Prepared(
        spec=spec,
        folder=folder,
        model=model,
        trainer=trainer,
        mixture=mixture,
        prompts=prompts,
        features=features,
        certificate=certificate,
        progressed=progressed,
        run=run,
    )


def train(job: Prepared, stop: StopRequest) -> None:
    """Train the remaining steps; losses are stored at each checkpoint."""
    from experiments.training import loop

    loop.train(
        job.trainer,
        job.mixture,
        job.spec,
        features=job.features,
        folder=job.folder,
        progressed=job.progressed,
        before_checkpoint=_LossSender(job.run),
        stop=stop,
    )


def evaluate(job: Prepared, stop: StopRequest) -> "Evaluation":
    """Evaluate every benchmark, with its blind twin."""
    from experiments.evaluation import evaluate as evaluation

    return evaluation.evaluate(job.model, job.spec, job.prompts, job.features, stop=stop)


def deliver(job: Prepared, evaluation: "Evaluation", site: Site) -> None:
    """Write all results into the work folder, and from there into the store.

    Raises:
        StoreError: the store cannot be used; the results wait in the work folder.
    """
    from experiments.training.costs import planned_costs

    certificate, progressed, results = job.certificate, job.progressed, job.folder / outbox.RESULTS_FOLDER
    certificate["batches"] = progressed.batches
    certificate["environment"] = progressed.environment
    certificate["against"] = against_baseline(job.spec, certificate)
    shutil.rmtree(results, ignore_errors=True)  # left by a process that was killed here
    job.model.save_pretrained(results, spec_hash=job.spec.hash)
    _write_results(results, evaluation, certificate)
    costs = planned_costs(job.spec, job.model.config, job.features)
    costs["train_step_time_s"] = median(progressed.step_times_s)
    outbox.keep(
        job.folder, RecordedSpec.of(job.spec), job.run, losses=progressed.losses, metrics={**costs, **evaluation.scores}
    )
    _store_results(job.folder, job.spec.title, site)


def _store_results(folder: Path, title: str, site: Site) -> None:
    try:
        delivered = outbox.deliver(folder, site)
    except StoreError:
        say(f"{title}: its results wait in {folder}; the next command stores them without running it again")
        raise
    if delivered is None and folder.exists():  # otherwise another command was faster
        raise OSError(errno.EIO, "what was written cannot be read back", str(folder))


def _is_its_own_fault(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, StoreError)


def _end(run: RunWriter, status: str) -> None:
    """End a run if the store allows it: the user is told of the error that came before."""
    with suppress(StoreError):
        run.end_unfinished(status)


class _LossSender:
    """Stores the losses up to a checkpoint; a lost store is reported once and does not stop training."""

    def __init__(self, run: RunWriter):
        self._run = run
        self._told = False

    def __call__(self, progressed: "Progressed") -> None:
        try:
            self._run.send_once({loss(dataset): values for dataset, values in progressed.losses.items()})
        except StoreError as error:
            if not self._told:
                say(f"{error.message}; training goes on, and what it measures is kept until the end ({error.hint})")
            self._told = True


def _trained_before(spec: Spec, model: "Flamingo") -> "Progressed | None":
    """Load the weights of a stored run with the same training but another evaluation, if there is one.

    A run with damaged weights is reported and skipped; without another one, the job is trained.
    """
    from experiments.training.checkpoint import Progressed
    from flamingo_core.checkpoint import load_tensors, load_trained_state

    for donor in reader.find_trained(spec.train_hash, spec.seed):
        weights = reader.intact(donor, WEIGHTS_FILE)
        if weights is None or "train_step_time_s" not in donor.metrics:
            continue
        try:
            load_trained_state(model, load_tensors(weights, hashed=True)[0])
        except ValueError as error:
            say(f"{WEIGHTS_FILE} of run {donor.run_id} cannot be used, so {spec.title} is trained: {error}")
            continue
        say(f"{spec.title}: run {donor.run_id} trained the same, so its weights are evaluated")
        times = [donor.metrics["train_step_time_s"]]
        # its batches are those that the donor recorded; `{}`, if it recorded none, equals no other run's
        certificate = reader.certificate(donor) or {}
        return Progressed(
            step=spec.train.steps,
            losses=reader.losses(donor),
            step_times_s=times,
            batches=certificate.get("batches") or {},
            environment=certificate.get("environment") or {},
        )
    return None


def _open_run(spec: Spec, progressed: "Progressed") -> tuple["Progressed", RunWriter]:
    """Open the run to write to; a new one if it was deleted in the meantime."""
    run = None
    if progressed.run_id is not None:
        run = resume_run(progressed.run_id, step=progressed.step)
        say(f"{spec.title} resumed at step {progressed.step}")
    run = run or start_run(RecordedSpec.of(spec))
    progressed.run_id = run.run_id
    return progressed, run


def _write_results(folder: Path, evaluation: "Evaluation", certificate: dict[str, Any]) -> None:
    (folder / PREDICTIONS_FOLDER).mkdir(parents=True, exist_ok=True)
    for benchmark, answers in evaluation.predictions.items():
        answers.to_parquet(folder / PREDICTIONS_FOLDER / f"{benchmark}.parquet")
    write_certificate(folder, certificate)
