"""From stored runs to the table: the object that `--json` prints, and the basis of every view.

A row is the mean over its seeds. With one seed, its difference is row minus baseline and the interval is over examples.
With several seeds, both come from one model of all rows (`seeds`), with a verdict and the parts of the difference.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from statistics import fmean, median
from typing import TYPE_CHECKING, Protocol

from experiments.analysis.model import bootstrap
from experiments.analysis.table import families, pair_cache
from experiments.analysis.table.columns import columns_of_runs, plain, published_columns
from experiments.analysis.table.method import method_in_words
from experiments.analysis.table.plain_table import LeftOut, Overall, Part, PlainTable, Row, Score
from experiments.analysis.table.seeds import effects
from experiments.analysis.table.select import check_one_design_a_row
from experiments.analysis.table.select import other_designs as count_designs
from experiments.analysis.table.step_times import step_times
from experiments.published import table3
from experiments.published.table3 import BASELINE, HARMLESS_POINTS
from experiments.store.commands import command, origin
from experiments.store.names import OVERALL, blind
from experiments.store.stored_run import StoredRun

if TYPE_CHECKING:
    from experiments.analysis.table.seeds import Effect, EffectPart


class Evidence(Protocol):
    """Facts about a run pair that metrics lack: pairing, bootstrap intervals. From a pair cache or a runs file."""

    def certificate(self, row: StoredRun, baseline: StoredRun) -> str | None:
        """`equal` or `differs`; None if either has no certificate."""

    def intervals(self, row: StoredRun, baseline: StoredRun) -> dict[str, bootstrap.Interval]:
        """Intervals over examples, by metric."""


def build(
    runs: Sequence[StoredRun],
    *,
    scale: str,
    seeds: Sequence[int],
    baseline_seeds: Sequence[int] = (),
    rows: Sequence[str] | None = None,
    left_out: int = 0,
    other_designs: Iterable[StoredRun] = (),
    delta: float = HARMLESS_POINTS,
    evidence: Callable[[], AbstractContextManager[Evidence]] = pair_cache.opened,
) -> PlainTable:
    """Build the table of `runs`: comparable runs, one spec per row and one run per job, as `select` returns them.

    `rows` (by default all rows of the runs) and `seeds` are the requested ones; each row lists what is missing. Runs of
    other rows are not shown, but they count in the noise estimate, so that a row's verdict does not depend on which
    rows are shown.
    `baseline_seeds` are additional seeds of the baseline: they count in its mean and in the model.
    `left_out` is the number of finished runs that were not selected, `other_designs` the runs of rows whose spec has
    changed: both are reported in `method`. `evidence` gives facts about run pairs, by default from the store that the
    environment names.

    Raises:
        ValueError: runs of one row have several spec hashes, or two have the same seed.
    """
    check_one_design_a_row(runs)
    wanted = table3.in_order(tuple(dict.fromkeys(rows if rows is not None else (run.row for run in runs))))
    by_row: dict[str, dict[int, StoredRun]] = {name: {} for name in (*wanted, BASELINE, *(run.row for run in runs))}
    for run in runs:
        is_wanted = run.seed in (*seeds, *baseline_seeds) if run.row == BASELINE else run.seed in seeds
        if is_wanted or run.row not in (BASELINE, *wanted):
            by_row[run.row][run.seed] = run
    columns = columns_of_runs(run for name in (*wanted, BASELINE) for run in by_row[name].values())
    metrics = [column.metric for column in columns]
    over_seeds = {metric: effects(by_row, metric, delta=delta) for metric in (*metrics, OVERALL)}
    with evidence() as known:
        built = [
            _row(
                name,
                by_row[name],
                by_row[BASELINE],
                known,
                {metric: found.rows[name] for metric, found in over_seeds.items() if found and name in found.rows},
                metrics=metrics,
                scale=scale,
                seeds=sorted({*seeds, *baseline_seeds} if name == BASELINE else seeds),
                like=runs,
            )
            for name in wanted
        ]
    found = over_seeds[OVERALL]
    overall = None if found is None else found.of(wanted)
    out = LeftOut(not_comparable=left_out, other_designs=count_designs(runs, other_designs))
    unverified = sum(not run.verified for name in wanted for run in by_row[name].values())
    table = PlainTable(
        scale=scale,
        seeds=sorted(seeds),
        baseline_hash=next((run.tags["baseline_hash"] for run in runs), None),
        delta=delta,
        detectable=None if overall is None else overall.detectable,
        left_out=out,
        method=method_in_words(built, overall, out, unverified, delta, columns),
        unverified=unverified,
        rows=built,
    )
    if columns != published_columns():
        table["columns"] = plain(columns)
    return table


def published_figures(name: str, metrics: Sequence[str] = table3.COLUMNS) -> dict[str, float | None]:
    """The paper's numbers for a row, each None if the paper has no such row or score."""
    row = table3.rows().get(name)
    return {
        "params_b": row.params_b if row else None,
        "step_time_s": row.step_time_s if row else None,
        **{metric: row.scores.get(metric) if row else None for metric in metrics},
        OVERALL: row.overall if row else None,
    }


def _row(
    name: str,
    runs: dict[int, StoredRun],
    baseline: dict[int, StoredRun],
    known: Evidence,
    over_seeds: "Mapping[str, Effect]",
    *,
    metrics: Sequence[str],
    scale: str,
    seeds: Sequence[int],
    like: Sequence[StoredRun],
) -> Row:
    both = [] if name == BASELINE else [seed for seed in seeds if seed in runs and seed in baseline]
    intervals: dict[str, bootstrap.Interval] = {}
    if len(both) == 1 and not over_seeds:
        intervals = known.intervals(runs[both[0]], baseline[both[0]])
    stored = [runs[seed] for seed in seeds if seed in runs]
    overrides = next((run.tags.get("overrides", "") for run in like), "")
    further = origin(name, like)

    def score(metric: str) -> Score:
        pairs = [(runs[seed].metrics.get(metric), baseline[seed].metrics.get(metric)) for seed in both]
        differences = [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]
        effect = over_seeds.get(metric)
        interval = effect or intervals.get(metric)
        mean = fmean(differences) if differences else None
        return Score(
            mean=_over(fmean, stored, metric),
            difference=effect.difference if effect else mean,
            low=interval.low if interval else None,
            high=interval.high if interval else None,
            blind=_over(fmean, stored, blind(metric)),
            language=_part(effect.language) if effect else None,
            vision=_part(effect.vision) if effect else None,
        )

    whole, on_the_whole = score(OVERALL), over_seeds.get(OVERALL)
    return Row(
        row=name,
        group=table3.group_of(tuple(name.split("+")), next((run.tags.get("group") for run in stored), None)),
        n=len(stored),
        params_total=_count(stored, "params_total"),
        params_trainable=_count(stored, "params_trainable"),
        **step_times(stored, is_baseline=name == BASELINE),
        scores={metric: score(metric) for metric in metrics},
        overall=Overall(
            **whole,
            verdict=on_the_whole.verdict if on_the_whole else None,
            seeds_needed=on_the_whole.seeds_needed if on_the_whole else None,
            borrowed_noise=on_the_whole is not None and on_the_whole.verdict is None,
        ),
        family=families.family_of(name),
        family_size=on_the_whole.family_size if on_the_whole else None,
        certificate=_certificate([known.certificate(runs[seed], baseline[seed]) for seed in both]),
        run_ids=[run.run_id for run in stored],
        missing=[
            command(name, scale=scale, seeds=[seed], overrides=overrides, **further)
            for seed in seeds
            if seed not in runs
        ],
        published=published_figures(name, metrics),
    )


def _over(statistic: Callable[[list[float]], float], runs: Sequence[StoredRun], metric: str) -> float | None:
    values = [run.metrics[metric] for run in runs if metric in run.metrics]
    return statistic(values) if values else None


def _count(runs: Sequence[StoredRun], metric: str) -> int | None:
    value = _over(median, runs, metric)
    return None if value is None else round(value)


def _certificate(compared: Sequence[str | None]) -> str | None:
    if not compared or None in compared:
        return None
    return "differs" if "differs" in compared else "equal"


def _part(part: "EffectPart | None") -> Part | None:
    return None if part is None else Part(difference=part.difference, low=part.low, high=part.high)
