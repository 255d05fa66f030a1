"""One experiment: the row beside its baseline and the published one.

python -m experiments.run ablation=xattn_every_4th [scale=desk] [seed=0] [key=value ...]
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import DONE, main, read_run
from experiments.store import locate

if TYPE_CHECKING:
    from experiments.analysis.results import StoredRun
    from experiments.spec import Spec


def run(argv: list[str]) -> int:
    """Run what a command line asks for and print it; a job that fails does not keep the others from running."""
    request = read_run(argv)
    if request.reply is not None:
        print(request.reply)
        return DONE
    from experiments.jobs.reconcile import reconcile, report_failures

    done: list[tuple[Spec, StoredRun, StoredRun | None]] = []
    failures = reconcile(request.specs, lambda *one: done.append(one), workers=request.workers)
    if request.json:
        tables = tables_of(done)
        print(json.dumps(tables[0] if len(tables) == 1 else {"tables": tables}, indent=1))
    else:
        for one in done:
            print(printed(*one))
    return report_failures(failures)


def printed(spec: "Spec", row: "StoredRun", baseline: "StoredRun | None") -> str:
    """The printed row; pictures it names are drawn into the cache."""
    from experiments.analysis.render import printed_row
    from experiments.analysis.table import build
    from experiments.data.scenes import parse_id
    from experiments.data.world import World, save_picture

    world = World(spec.data.world)

    def picture_file(medium: str) -> Path:
        parse_id(medium)  # it comes from the store: what is no medium names no file
        path = locate().places.pictures / f"{world.config.image_size}px" / f"{medium}.png"
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
