"""Rows and tables that `run` and `table3` print at their end."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.published.table3 import BASELINE
from experiments.store.locate import locate

if TYPE_CHECKING:
    from experiments.analysis.table.plain_table import PlainTable
    from experiments.spec.spec import Spec
    from experiments.store.stored_run import StoredRun


def stored_of(scales: set[str]) -> "list[StoredRun]":
    """All finished runs of these scales."""
    from experiments.store import reader

    return [run for scale in sorted(scales) for run in reader.runs(scale=scale)]


def printed(spec: "Spec", row: "StoredRun", baseline: "StoredRun | None", finished: "Sequence[StoredRun]" = ()) -> str:
    """The printed row; the pictures it names are saved in the cache if possible. `finished` are all stored runs."""
    from experiments.analysis.formats.terminal import printed_row
    from experiments.analysis.table.build import build
    from experiments.analysis.table.pair_cache import forgiving
    from experiments.analysis.table.select import beside
    from experiments.data.picture import save_picture

    sources, folder = spec.sources(), locate().places.pictures

    def picture_file(benchmark: str, medium: str) -> Path | None:
        source = sources.of(benchmark)
        path = folder / f"{source.picture_name(medium)}.png"  # ids come from the store: a wrong one names no file
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_picture(source, medium, path)
        except OSError:  # a full disk or no write access: the row is printed anyway
            return None
        return path

    runs = [row] if baseline is None else [baseline, row]
    others = [run for run in beside(runs, finished).other_designs if run.row == row.row]
    table = build(runs, scale=spec.scale, seeds=[spec.seed], other_designs=others, evidence=forgiving)
    return printed_row(table, row, baseline, picture_file=picture_file)


def tables_of(done: "Sequence[tuple[Spec, StoredRun, StoredRun | None]]", finished: "Sequence[StoredRun]" = ()) -> list:
    """The runs as `--json` prints them: one table for all comparable ones, another if a row occurs with two specs.

    Their noise is estimated from all `finished` runs that belong in the same table, as in a report.
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


def table_of_rows(
    specs: "Sequence[Spec]",
    runs: "Iterable[StoredRun]",
    seeds: int,
    baseline_seeds: int | None,
    *,
    delta: float,
) -> "PlainTable":
    """The table of one scale's rows on seeds 0 to `seeds` - 1, with the noise of all runs stored alongside.

    Without `baseline_seeds`, further stored seeds of the baseline count too, as in `report`.
    """
    from experiments.analysis.table.build import build
    from experiments.analysis.table.pair_cache import forgiving
    from experiments.analysis.table.select import beside
    from experiments.store import reader

    asked, scale = list(runs), specs[0].scale
    names = list(dict.fromkeys(spec.name for spec in specs))
    chosen = beside(asked, reader.runs(scale=scale)) if asked else None
    stored = chosen.runs if chosen else ()
    of_baseline = set(range(max(seeds, baseline_seeds or 0)))
    if baseline_seeds is None:
        of_baseline |= {run.seed for run in stored if run.row == BASELINE}
    return build(
        [
            run
            for run in stored
            if run.row not in names or run.seed in (of_baseline if run.row == BASELINE else range(seeds))
        ],
        scale=scale,
        seeds=range(seeds),
        baseline_seeds=sorted(of_baseline),
        rows=names,
        other_designs=[run for run in chosen.other_designs if run.row in names] if chosen else (),
        delta=delta,
        evidence=forgiving,
    )
