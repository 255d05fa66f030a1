"""One experiment: the row beside its baseline and the published one.

python -m experiments.run ablation=xattn_every_4th [scale=desk] [seed=0] [key=value ...]
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import main, parse_run
from experiments.common.exit_codes import DONE
from experiments.common.plain_json import dumps
from experiments.common.streams import aside
from experiments.published.table3 import BASELINE
from experiments.store.connection import locate

if TYPE_CHECKING:
    from experiments.spec.spec import Spec
    from experiments.store.stored_run import StoredRun


def run(argv: list[str]) -> int:
    """Run what a command line asks for and print it; a job that fails does not keep the others from running."""
    with aside():
        parsed = parse_run(argv)
        if parsed.needs_workers:
            from experiments.jobs.executors.local import warm_up

            warm_up()
        request = parsed.resolve()
    if request.reply is not None:
        print(request.reply)
        return DONE
    from experiments.jobs.reconcile import reconcile, report_failures

    done: list[tuple[Spec, StoredRun, StoredRun | None]] = []
    with aside():
        failures = reconcile(request.specs, lambda *one: done.append(one), workers=request.workers)
    finished = stored_of({spec.scale for spec in request.specs})
    if request.json:
        tables = tables_of(done, finished)
        print(dumps(tables[0] if len(tables) == 1 else {"tables": tables}, indent=1))
    else:
        for one in done:
            print(printed(*one, finished))
    return report_failures(failures)


def stored_of(scales: set[str]) -> "list[StoredRun]":
    """All finished runs of these scales."""
    from experiments.store import reader

    return [run for scale in sorted(scales) for run in reader.runs(scale=scale)]


def printed(spec: "Spec", row: "StoredRun", baseline: "StoredRun | None", finished: "Sequence[StoredRun]" = ()) -> str:
    """The printed row; pictures it names are drawn into the cache if that can be. `finished` are all stored runs."""
    from experiments.analysis.formats.terminal import printed_row
    from experiments.analysis.table.build import build
    from experiments.analysis.table.pair_cache import forgiving
    from experiments.analysis.table.select import beside
    from experiments.data.world.scenes import parse_id
    from experiments.data.world.world import World, save_picture

    world = World(spec.data.world)
    folder = locate().places.pictures / f"{world.config.image_size}px"

    def picture_file(medium: str) -> Path | None:
        parse_id(medium)  # it comes from the store: what is no medium names no file
        path = folder / f"{medium}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_picture(world, medium, path)
        except OSError:  # a full disk, a folder that is not ours: the row is printed all the same
            return None
        return path

    runs = [row] if baseline is None else [baseline, row]
    others = [run for run in beside(runs, finished).other_designs if run.row == row.row]
    table = build(runs, scale=spec.scale, seeds=[spec.seed], other_designs=others, evidence=forgiving)
    return printed_row(table, row, baseline, picture_file=picture_file)


def tables_of(done: "Sequence[tuple[Spec, StoredRun, StoredRun | None]]", finished: "Sequence[StoredRun]" = ()) -> list:
    """The runs as `--json` prints them: one table for all that are comparable, another where a row comes as two specs.

    The noise that they are judged by is that of all `finished` runs which belong in the same table, as in a report.
    """
    from experiments.analysis.table.build import build
    from experiments.analysis.table.pair_cache import forgiving
    from experiments.analysis.table.select import beside

    specs_of: dict[tuple[str, str, str], list[str]] = {}
    groups: dict[tuple[str, str, int], list[tuple[Spec, list[StoredRun]]]] = {}
    for spec, *runs in done:
        known = specs_of.setdefault((spec.scale, spec.baseline_hash, spec.name), [])
        if spec.hash not in known:
            known.append(spec.hash)
        place = known.index(spec.hash)
        groups.setdefault((spec.scale, spec.baseline_hash, place), []).append((spec, [run for run in runs if run]))
    tables = []
    for (scale, _, _), some in groups.items():
        asked = [run for _, runs in some for run in runs]
        rows = list(dict.fromkeys(run.row for run in asked))
        chosen = beside(asked, finished if BASELINE in rows else ())
        seeds = sorted({spec.seed for spec, _ in some})
        others = [run for run in chosen.other_designs if run.row in rows]
        kept = [run for run in chosen.runs if run.seed in seeds]
        tables.append(build(kept, scale=scale, seeds=seeds, rows=rows, other_designs=others, evidence=forgiving))
    return tables


if __name__ == "__main__":
    sys.exit(main(run))
