"""One job: a spec on its seed, found where it is stored, continued where it was stopped, or run from the start."""

import errno
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from experiments.analysis.table import pairing
from experiments.common.plain_json import dumps
from experiments.common.plain_text import visible_lines
from experiments.jobs import lease, quiet, waiting
from experiments.spec.spec import Spec
from experiments.store import reader
from experiments.store.connection import locate, work_folder
from experiments.store.error import StoreError
from experiments.store.lifecycle import open_finished, resume_run, start_run
from experiments.store.names import BENCHMARKS, CERTIFICATE_FILE, PREDICTIONS_FOLDER, TIMING_FILE, WEIGHTS_FILE, loss
from experiments.store.stored_run import StoredRun
from experiments.store.writer import RunWriter

if TYPE_CHECKING:
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

    @property
    def title(self) -> str:
        """As it is called in what is printed."""
        return self.spec.title


def wanted_jobs(specs: Sequence[Spec]) -> list[Job]:
    """What is needed to compare these specs with their baselines: baselines first, each job once."""
    wanted: dict[tuple[str, int], Job] = {}
    for job in (
        *(Job(spec.baseline) for spec in specs if is_compared(spec)),
        *(Job(spec, afresh=spec.tree["rerun"]) for spec in specs),
    ):
        if job.key not in wanted or job.afresh:
            wanted[job.key] = job
    return list(wanted.values())


def missing_jobs(specs: Sequence[Spec]) -> list[Job]:
    """What of it is not stored; what is stored is said.

    Raises:
        StoreError: the store cannot be used.
    """
    missing = []
    stored = reader.finished_jobs(scale for scale in {spec.scale for spec in specs})
    for job in wanted_jobs(specs):
        run = None if job.afresh else stored.get((*job.key, job.spec.name, job.spec.baseline_hash))
        if run is None or not reader.is_whole(run):
            missing.append(job)
        else:
            lease.forget(job.key)
            _say(f"{job.title}: finished run {run.run_id} is stored, nothing is run (rerun=true would)")
    return missing


def is_compared(spec: Spec) -> bool:
    """Whether the baseline is to be there too."""
    return bool(spec.tree["compare"]) and spec.hash != spec.baseline_hash


def steps_done(job: Job) -> int:
    """Up to which step the newest checkpoint of a job has come; 0 where there is none."""
    checkpoints = work_folder(*job.key).glob("step-*.safetensors")
    return max((int(file.stem.removeprefix("step-")) for file in checkpoints), default=0)


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
    from experiments.common.interrupt import StopRequest
    from experiments.data.feature_cache import FeatureCache
    from experiments.evaluation.evaluate import all_prompts, evaluate, prompts_hash
    from experiments.training.build import build_mixture, build_model, pick_device
    from experiments.training.certificate import certify, joined
    from experiments.training.checkpoint import Progressed, load_newest
    from experiments.training.costs import planned_costs
    from experiments.training.loop import Trainer, train

    folder = work_folder(spec.hash, spec.seed)
    if afresh:
        waiting.remove(folder)
    elif waiting.deliver(folder) is not None:
        _say(f"{spec.title}: its results waited in {folder} and are stored now")
        return
    with StopRequest() as stop:
        device = pick_device(spec.tree["device"])
        model, mixture, prompts = build_model(spec, device), build_mixture(spec), all_prompts(spec)
        certificate = certify(model, mixture, spec, prompts=prompts_hash(prompts)).plain()
        trainer, places = Trainer(model, spec), locate().places
        features = FeatureCache(
            model,
            mixture.world,
            folder=places.features,
            more_in=places.more_features,
            components=spec.tree["components"],
        )
        features.prepare([f"train/{dataset}/0" for dataset in mixture.datasets])
        features.prepare(medium for some in prompts.values() for prompt in some for medium in prompt.media)
        stop.check()  # encoding takes long, and nothing is begun yet
        progressed, problems = load_newest(folder, model, trainer.optimizer, spec.train_hash)
        for problem in problems:
            _say(problem)
        if progressed is None and not afresh:
            progressed = _trained_before(spec, model)
        progressed, run = _open_run(spec, progressed or Progressed())
        progressed.environment = joined(progressed.environment, certificate["environment"])
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
            certificate["batches"] = progressed.batches
            certificate["environment"] = progressed.environment
            certificate["against"] = _against_baseline(spec, certificate)
            shutil.rmtree(folder / waiting.RESULTS_FOLDER, ignore_errors=True)  # what a killed process began to write
            model.save_pretrained(folder / waiting.RESULTS_FOLDER, spec_hash=spec.hash)
            _write_results(folder / waiting.RESULTS_FOLDER, evaluation, certificate)
            costs = planned_costs(spec, model.config, features)
            costs["train_step_time_s"] = median(progressed.step_times_s)
            waiting.keep(folder, spec, run, losses=progressed.losses, metrics={**costs, **evaluation.scores})
            _store_results(folder, spec.title)
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
        raise OSError(errno.EIO, "what was written cannot be read back", str(folder))


def _is_its_own_fault(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, StoreError)


def _end(run: RunWriter, status: str) -> None:
    """End a run as far as the store lets us: what went wrong before is what the user is told."""
    with suppress(StoreError):
        run.end_unfinished(status)


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


def stored_pair(spec: Spec) -> tuple[StoredRun, StoredRun | None]:
    """The finished run of a spec, and that of its baseline where they are compared."""
    return _finished(spec), _finished(spec.baseline) if is_compared(spec) else None


def is_complete(spec: Spec) -> bool:
    """Whether a finished run is timed, and its certificate compared."""
    stored, baseline = stored_pair(spec)
    return _is_timed(stored, baseline) and (baseline is None or not _is_comparable(stored, baseline))


def complete(spec: Spec) -> None:
    """Compare a finished run's certificate with its baseline's and time both, as far as that is missing.

    When the two trained side by side, neither could. Timing waits until no job of ours is under way; what another
    command has timed and stored meanwhile is not timed again.

    Raises:
        StoreError: the store cannot be used.
    """
    stored, baseline = stored_pair(spec)
    if baseline is not None:
        _ensure_certified(spec, stored)
    if _is_timed(stored, baseline):
        return
    from experiments.training.build import pick_device
    from experiments.training.timing import rounds_of, time_rows

    device = pick_device(spec.tree["device"])
    with quiet.alone():
        stored, baseline = stored_pair(spec)
        if _is_timed(stored, baseline):
            return
        own, other = time_rows(spec, None if baseline is None else spec.baseline, device)
        stored, baseline = stored_pair(spec)  # another machine may have timed it meanwhile, and its figures stay
        if _is_timed(stored, baseline):
            return
        # the row's figures last: they are what says that this was done
        if baseline is not None and other is not None and "step_time_s" not in baseline.metrics:
            open_finished(baseline.run_id).log_metrics(other.metrics())
        run = open_finished(stored.run_id)
        with TemporaryDirectory() as folder:
            file = Path(folder) / TIMING_FILE
            file.write_text(dumps(rounds_of(own, other, device), indent=1) + "\n", encoding="utf-8")
            run.log_file(file)
        run.log_metrics(own.metrics())


def _is_timed(stored: StoredRun, baseline: StoredRun | None) -> bool:
    return ("step_time_s" if baseline is None else "step_time_ratio") in stored.metrics


def _uncompared(stored: StoredRun) -> dict[str, Any] | None:
    """A certificate that was written before there was a baseline to compare it with."""
    certificate = reader.certificate(stored)
    return certificate if certificate is not None and certificate.get("against") is None else None


def _is_comparable(stored: StoredRun, baseline: StoredRun) -> bool:
    """Whether a comparison is missing and can be made: a baseline's certificate that is damaged is as none."""
    return _uncompared(stored) is not None and reader.certificate(baseline) is not None


def _ensure_certified(spec: Spec, stored: StoredRun) -> None:
    """Add the comparison with the baseline to a certificate that has none, where both have one."""
    certificate = _uncompared(stored)
    if certificate is None:
        return
    certificate["against"] = _against_baseline(spec, certificate)
    if certificate["against"] is None:
        return
    with TemporaryDirectory() as folder:
        _write_certificate(Path(folder), certificate)
        open_finished(stored.run_id).log_file(Path(folder) / CERTIFICATE_FILE)


def _finished(spec: Spec) -> StoredRun:
    run = reader.find_finished(spec.hash, spec.seed, ablation=spec.name, baseline_hash=spec.baseline_hash)
    # one that was begun before its baseline was edited, and went on, says the old one
    run = run or reader.find_finished(spec.hash, spec.seed, ablation=spec.name)
    assert run is not None, "a job that ended without an error is stored"
    return run


def _say(text: str) -> None:
    print(visible_lines(text), file=sys.stderr)


def _trained_before(spec: Spec, model: "Flamingo") -> "Progressed | None":
    """Weights of a stored run that trained the same and was only evaluated otherwise, if there is one.

    A run whose weights are damaged is told of and passed over: without another one, the job trains itself.
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
            _say(f"{WEIGHTS_FILE} of run {donor.run_id} cannot be used, {spec.title} trains itself: {error}")
            continue
        _say(f"{spec.title}: run {donor.run_id} trained the same, its weights are evaluated")
        times = [donor.metrics["train_step_time_s"]]
        # what it was trained on is the donor's word: of one that says nothing, `{}` is equal to nothing
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
    """The run to write to; one that was deleted meanwhile is written anew."""
    run = None
    if progressed.run_id is not None:
        run = resume_run(progressed.run_id, step=progressed.step)
        _say(f"{spec.title} resumed at step {progressed.step}")
    run = run or start_run(spec)
    progressed.run_id = run.run_id
    return progressed, run


def _against_baseline(spec: Spec, certificate: dict[str, Any]) -> dict[str, Any] | None:
    """The certificate beside that of the baseline's finished run of the same seed; None without one."""
    if spec.hash == spec.baseline_hash:
        return None
    try:
        baseline = reader.find_finished(spec.baseline_hash, spec.seed, ablation=spec.baseline.name)
        theirs = None if baseline is None else reader.certificate(baseline)
    except StoreError:  # `complete` does it when the store is there again
        return None
    if baseline is None or theirs is None:
        return None
    compared = pairing.compare(certificate, theirs, set(spec.changed_keys))
    return {"run_id": baseline.run_id, **asdict(compared)}


def _write_results(folder: Path, evaluation: "Evaluation", certificate: dict[str, Any]) -> None:
    (folder / PREDICTIONS_FOLDER).mkdir(parents=True, exist_ok=True)
    for benchmark in BENCHMARKS:
        evaluation.predictions[benchmark.name].to_parquet(folder / PREDICTIONS_FOLDER / f"{benchmark.name}.parquet")
    _write_certificate(folder, certificate)


def _write_certificate(folder: Path, certificate: dict[str, Any]) -> None:
    (folder / CERTIFICATE_FILE).write_text(dumps(certificate, indent=1) + "\n", encoding="utf-8")
