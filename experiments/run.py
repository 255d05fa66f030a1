"""One experiment: the row beside its baseline and the published one.

python -m experiments.run ablation=xattn_every_4th [scale=desk] [seed=0] [key=value ...]
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import DONE, FAILED, main, read_run
from experiments.record import ROOT

if TYPE_CHECKING:
    from experiments.analysis.results import StoredRun
    from experiments.spec import Spec


def run(argv: list[str]) -> int:
    """Run what a command line asks for and print it; a job that fails does not keep the others from running."""
    request = read_run(argv)
    if request.reply is not None:
        print(request.reply)
        return DONE
    done: list[tuple[Spec, StoredRun, StoredRun | None]] = []
    failed = run_all(request.specs, request.workers, lambda *one: done.append(one))
    if request.json:
        tables = tables_of(done)
        print(json.dumps(tables[0] if len(tables) == 1 else {"tables": tables}, indent=1))
    else:
        for one in done:
            print(printed(*one))
    return report_failed(failed)


def run_all(
    specs: "Sequence[Spec]", workers: int | None, collect: "Callable[[Spec, StoredRun, StoredRun | None], object]"
) -> list[str]:
    """Run what is missing of specs and their baselines side by side, then compare and collect each; what failed.

    A row whose baseline failed is kept, and not collected.
    """
    from experiments.jobs.job import ensure_compared, is_compared, missing_jobs
    from experiments.jobs.local import run_jobs, usable_cores
    from experiments.jobs.waiting import deliver_all
    from experiments.training.build import pick_device

    deliver_all()
    jobs = missing_jobs(specs)
    on_cpu = all(pick_device(spec.tree["device"]).type == "cpu" for spec in specs)  # jobs would fight over one GPU
    errors = run_jobs(jobs, workers=workers or (usable_cores() if on_cpu else 1))
    for spec in specs:
        needed = [(spec.hash, spec.seed), *([(spec.baseline_hash, spec.seed)] if is_compared(spec) else [])]
        if not any(key in errors for key in needed):
            collect(spec, *ensure_compared(spec))
    return [f"{job.spec.name} seed {job.spec.seed}: {errors[job.key]}" for job in jobs if job.key in errors]


def report_failed(failed: Sequence[str]) -> int:
    """List what failed once more, at the end; the exit code."""
    if len(failed) > 1:
        print("\n".join([f"{len(failed)} jobs failed:", *failed]), file=sys.stderr)
    return FAILED if failed else DONE


def printed(spec: "Spec", row: "StoredRun", baseline: "StoredRun | None") -> str:
    """The printed row; pictures it names are drawn into the cache."""
    from experiments.analysis.render import printed_row
    from experiments.analysis.table import build
    from experiments.data.scenes import parse_id
    from experiments.data.world import World, save_picture

    world = World(spec.data.world)

    def picture_file(medium: str) -> Path:
        parse_id(medium)  # it comes from the store: what is no medium names no file
        path = ROOT / ".cache" / "pictures" / f"{world.config.image_size}px" / f"{medium}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(world, medium, path)
        return path

    runs = [row] if baseline is None else [baseline, row]
    table = build(runs, scale=spec.scale, seeds=[spec.seed])
    return printed_row(table, row, baseline, picture_file=picture_file)


def tables_of(done: "Sequence[tuple[Spec, StoredRun, StoredRun | None]]") -> list:
    """The runs as `--json` prints them: one table for all that are comparable."""
    from experiments.analysis.table import build

    groups: dict[tuple[str, str], list[tuple[Spec, list[StoredRun]]]] = {}
    for spec, *runs in done:
        groups.setdefault((spec.scale, spec.baseline_hash), []).append((spec, [run for run in runs if run is not None]))
    tables = []
    for (scale, _), some in groups.items():
        unique = {run.run_id: run for _, runs in some for run in runs}
        tables.append(build(list(unique.values()), scale=scale, seeds=sorted({spec.seed for spec, _ in some})))
    return tables


if __name__ == "__main__":
    sys.exit(main(run))
