"""What is stored of one row, as HTML: what it changes, its figures, each seed's values, and whether it is paired."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from experiments.analysis import Table
from experiments.analysis.formats.terminal import UNKNOWN, count, points, seconds, step_time, step_time_difference
from experiments.analysis.formats.wording import over
from experiments.analysis.table import pairing
from experiments.analysis.table.build import Part, Row, Score
from experiments.analysis.table.load import UNREADABLE
from experiments.common.plain_text import as_html as escape
from experiments.published import table3
from experiments.published.table3 import BASELINE
from experiments.store import reader
from experiments.store.names import BENCHMARKS, OVERALL, SCORES
from experiments.store.stored_run import StoredRun

SCORE_HEADS = (*(one.label for one in BENCHMARKS), "Overall")


def html_details(name: str, stored: Table, back: str = "?") -> str:
    """The block under the table. `back` is the address without it."""
    entry = next(row for row in stored.table["rows"] if row["row"] == name)
    base = next(row for row in stored.table["rows"] if row["row"] == BASELINE)
    runs, baselines = stored.runs.get(name, {}), stored.runs.get(BASELINE, {})
    parts = [f'<h2 id="details" tabindex="-1">{escape(title(name))}</h2>']
    parts.append(f'<a href="{escape(back)}" target="_self">Back to the table</a>')
    if name in stored.broken:
        parts.append(f"<p>What is stored of this row cannot be read: {escape(stored.broken[name])}</p>")
    if runs and name != BASELINE:
        parts.append(changes(runs, baselines))
    if runs:
        parts += [figures(entry, base), seeds(runs, baselines)]
    missing = [seed for seed in stored.table["seeds"] if seed not in runs]
    if missing and name not in stored.broken:
        words = escape(stored.fill_command(name) or "")
        parts.append(f"<p>Not stored yet: seed {', '.join(map(str, missing))}. This makes it:</p><pre>{words}</pre>")
    return f'<section aria-labelledby="details">{"".join(parts)}</section>'


def title(name: str) -> str:
    """The row as the paper words it, and its name."""
    row = table3.rows().get(name)
    if row is None or name == BASELINE:
        return name
    return f"{name}: ({row.group}) {row.setting}, {row.original_value} \u2192 {row.changed_value}"


def changes(runs: dict[int, StoredRun], baselines: dict[int, StoredRun]) -> str:
    """The keys in which the row's stored spec differs from the baseline's."""
    seed = next((seed for seed in runs if seed in baselines), next(iter(runs)))
    ours, theirs = runs[seed], baselines.get(seed, next(iter(baselines.values())))
    try:
        recorded = reader.certificate(ours)
    except UNREADABLE:
        recorded = None
    keys = sorted(pairing.changes(ours, theirs, recorded) - {"seed"})
    lines = ((key, theirs.params.get(key, UNKNOWN), ours.params.get(key, UNKNOWN)) for key in keys)
    return grid("What it changes", ("key", "baseline", "this row"), lines)


def figures(row: Row, base: Row) -> str:
    """Costs and scores beside the baseline's, differences with both ends of their intervals, blind twins."""

    def line(label: str, one: Row, time: str) -> list[str]:
        costs = [count(one["params_total"]), count(one["params_trainable"], like=one["params_total"])]
        return [label, *costs, time, *(points(score["mean"]) for score in scores(one))]

    def only(label: str, texts: Iterable[str], time: str = "") -> list[str]:
        return [label, "", "", time, *texts]

    beside = row["paired_baseline_step_time_s"]
    lines = [line("this row", row, step_time(row))]
    if row["row"] != BASELINE:
        lines += [
            line("baseline", base, step_time(base) if beside is None else seconds(beside)),
            only(
                "difference",
                (points(score["difference"], signed=True) for score in scores(row)),
                step_time_difference(row),
            ),
        ]
        if row["overall"]["low"] is not None:
            lines.append(only(over(row["overall"]), (ends(score["low"], score["high"]) for score in scores(row))))
        for part in ("vision", "language"):
            lines += parts(part, row, only)
        lines.append(only("blind: baseline", (points(score["blind"]) for score in scores(base))))
    lines.append(only("blind: this row", (points(score["blind"]) for score in scores(row))))
    return grid("Figures, means over seeds", ("", "params", "trained", "step time", *SCORE_HEADS), lines)


def parts(which: str, row: Row, only: Callable[[str, Iterable[str]], list[str]]) -> list[list[str]]:
    """One part of each difference, and under it its interval; nothing at one seed."""
    found: list[Part | None] = [score[which] for score in scores(row)]  # type: ignore[literal-required]
    if None in found:
        return []
    known = [part for part in found if part is not None]
    return [
        only(f"of it {which}", (points(part["difference"], signed=True) for part in known)),
        only("95% over seeds", (ends(part["low"], part["high"]) for part in known)),
    ]


def seeds(runs: dict[int, StoredRun], baselines: dict[int, StoredRun]) -> str:
    """Each seed's run, its values, and what it has in common with the baseline's run of that seed."""
    lines = []
    for seed, run in sorted(runs.items()):
        ratio = [run.metrics.get(f"step_time_ratio{end}") for end in ("", "_low", "_high")]
        shown = " / ".join(UNKNOWN if one is None else f"{one:.2f}" for one in ratio)
        values = (points(run.metrics.get(metric)) for metric in (*SCORES, OVERALL))
        ended = f"{datetime.fromtimestamp(run.ended / 1000):%Y-%m-%d %H:%M}" if run.ended else UNKNOWN
        lines.append([str(seed), run.run_id, ended, shown, *values, certificate(run, baselines.get(seed))])
    heads = ("seed", "run id", "ended", "ratio / low / high", *SCORE_HEADS, "certificate")
    return grid("Seed by seed", heads, lines)


def certificate(run: StoredRun, baseline: StoredRun | None) -> str:
    """The sentence that the command prints."""
    if run.row == BASELINE:
        return "is the baseline"
    if baseline is None:
        return "the baseline has no run of this seed"
    try:
        pair = pairing.of_runs(run, baseline)
    except UNREADABLE as error:
        return f"NOT PAIRED: the certificate cannot be read ({type(error).__name__})"
    return pair.sentence() if pair else "NOT PAIRED: no certificate is stored"


def scores(row: Row) -> list[Score]:
    """The five scores and Overall, in the order of the columns."""
    overall = row["overall"]
    ends = Score({key: overall[key] for key in Score.__annotations__})  # type: ignore[misc]
    return [*(row["scores"][metric] for metric in SCORES), ends]


def ends(low: float | None, high: float | None) -> str:
    """Both ends of an interval."""
    return UNKNOWN if low is None or high is None else f"{points(low, signed=True)} to {points(high, signed=True)}"


def grid(caption: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A plain table: its texts are escaped here, and nowhere before."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(text)}</td>" for text in rest)}</tr>'
        for first, *rest in lines
    )
    return (
        f'<div class="scroll" role="region" aria-label="{escape(caption)}" tabindex="0"><table class="rows details">'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
