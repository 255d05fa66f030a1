"""Completing finished runs: the comparison with the baseline, and the timing pass beside it."""

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.analysis.table import pairing
from experiments.common.plain_json import dumps
from experiments.jobs.job import stored_pair
from experiments.jobs.site import THIS_MACHINE, Site
from experiments.spec.spec import Spec
from experiments.store import reader
from experiments.store.error import StoreError
from experiments.store.lifecycle import open_finished
from experiments.store.names import CERTIFICATE_FILE, TIMING_FILE
from experiments.store.stored_run import StoredRun


def is_complete(spec: Spec) -> bool:
    """Whether a finished run is timed and its certificate compared with the baseline's."""
    stored, baseline = stored_pair(spec)
    return _is_timed(stored, baseline) and (baseline is None or not _is_comparable(stored, baseline))


def complete(spec: Spec, site: Site = THIS_MACHINE) -> None:
    """Compare a finished run's certificate with its baseline's and time both, where that is still missing.

    It is missing when the two were trained side by side. Timing waits until none of our jobs is running; a run that
    another command has timed in the meantime is not timed again.

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
    with site.alone():
        stored, baseline = stored_pair(spec)
        if _is_timed(stored, baseline):
            return
        own, other = time_rows(spec, None if baseline is None else spec.baseline, device)
        stored, baseline = stored_pair(spec)  # if another machine has timed it in the meantime, its figures stay
        if _is_timed(stored, baseline):
            return
        # the row's figures last, because they mark the pass as done
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
    """The certificate of a run if it was written before there was a baseline to compare with."""
    certificate = reader.certificate(stored)
    return certificate if certificate is not None and certificate.get("against") is None else None


def _is_comparable(stored: StoredRun, baseline: StoredRun) -> bool:
    """Whether a comparison is missing and possible; a damaged certificate of the baseline counts as none."""
    return _uncompared(stored) is not None and reader.certificate(baseline) is not None


def _ensure_certified(spec: Spec, stored: StoredRun) -> None:
    """Add the missing comparison with the baseline to a certificate, if the baseline has a certificate."""
    certificate = _uncompared(stored)
    if certificate is None:
        return
    certificate["against"] = against_baseline(spec, certificate)
    if certificate["against"] is None:
        return
    with TemporaryDirectory() as folder:
        write_certificate(Path(folder), certificate)
        open_finished(stored.run_id).log_file(Path(folder) / CERTIFICATE_FILE)


def against_baseline(spec: Spec, certificate: dict[str, Any]) -> dict[str, Any] | None:
    """Compare a certificate with that of the baseline's finished run on the same seed; None without one."""
    if spec.hash == spec.baseline_hash:
        return None
    try:
        baseline = reader.find_finished(spec.baseline_hash, spec.seed, ablation=spec.baseline.name)
        theirs = None if baseline is None else reader.certificate(baseline)
    except StoreError:  # `complete` does it once the store is back
        return None
    if baseline is None or theirs is None:
        return None
    compared = pairing.compare(certificate, theirs, set(spec.changed_keys))
    return {"run_id": baseline.run_id, **asdict(compared)}


def write_certificate(folder: Path, certificate: dict[str, Any]) -> None:
    """Write `certificate.json` into a folder."""
    (folder / CERTIFICATE_FILE).write_text(dumps(certificate, indent=1) + "\n", encoding="utf-8")
