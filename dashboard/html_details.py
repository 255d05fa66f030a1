"""One stored row as HTML: the keys it changes, its numbers, each seed's values, and whether it is paired."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from experiments.analysis import Table
from experiments.analysis.formats import figures as written
from experiments.analysis.formats.figures import UNKNOWN, points, ratio, seconds
from experiments.analysis.table import pairing
from experiments.analysis.table.load import UNREADABLE
from experiments.analysis.table.plain_table import Part
from experiments.analysis.table.row_view import RowView
from experiments.common.plain_text import as_html as escape
from experiments.published.table3 import BASELINE
from experiments.store import reader
from experiments.store.stored_run import StoredRun


def html_details(name: str, stored: Table, back: str = "?") -> str:
    """The details block under the table. `back` is the URL without it."""
    entry = next(row for row in stored.views() if row.name == name)
    runs, baselines = stored.runs.get(name, {}), stored.runs.get(BASELINE, {})
    parts = [f'<h2 id="details" tabindex="-1">{escape(title(entry))}</h2>']
    parts.append(f'<a href="{escape(back)}" target="_self">Back to the table</a>')
    if entry.broken is not None:
        parts.append(f"<p>What is stored of this row cannot be read: {escape(entry.broken)}</p>")
    if runs and not entry.is_baseline:
        parts.append(changes(runs, baselines))
    if runs:
        parts += [figures(entry), seeds(entry, runs, baselines)]
    if entry.missing_seeds and entry.broken is None:
        listed, command = ", ".join(map(str, entry.missing_seeds)), escape(entry.command or "")
        parts.append(f"<p>Not stored yet: seed {listed}. This makes it:</p><pre>{command}</pre>")
    return f'<section aria-labelledby="details">{"".join(parts)}</section>'


def title(entry: RowView) -> str:
    """The row's name, and its change in the paper's words."""
    if entry.published is None or entry.is_baseline:
        return entry.name
    setting, original = entry.setting
    return f"{entry.name}: {setting}, {original} \u2192 {entry.label}"


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


def figures(row: RowView) -> str:
    """Costs and scores beside the baseline's, differences with their intervals, blind twins."""

    def line(label: str, one: RowView, time: str) -> list[str]:
        return [
            label,
            written.params(one),
            written.trained(one),
            time,
            *(points(score.mean) for score in one.all_scores),
        ]

    def only(label: str, texts: Iterable[str], time: str = "") -> list[str]:
        return [label, "", "", time, *texts]

    lines, base = [line("this row", row, written.step_time(row))], row.baseline
    if base is not None:
        lines += [
            line("baseline", base, seconds(row.baseline_step_time_s)),
            only(
                "difference",
                (points(score.difference, signed=True) for score in row.all_scores),
                written.step_time_difference(row),
            ),
        ]
        if row.over:
            lines.append(only(row.over, (ends(score.low, score.high) for score in row.all_scores)))
        for name, found in (
            ("vision", [score.vision for score in row.all_scores]),
            ("language", [score.language for score in row.all_scores]),
        ):
            lines += parts(name, found, only)
        lines.append(only("blind: baseline", (points(score.blind) for score in base.all_scores)))
    lines.append(only("blind: this row", (points(score.blind) for score in row.all_scores)))
    return grid("Figures, means over seeds", ("", "params", "trained", "step time", *score_heads(row)), lines)


def parts(which: str, found: Sequence[Part | None], only: Callable[[str, Iterable[str]], list[str]]) -> list[list[str]]:
    """One part of each difference, with its interval on the next line; empty with one seed, as Overall has no parts."""
    if found[-1] is None:
        return []
    return [
        only(f"of it {which}", (points(part["difference"] if part else None, signed=True) for part in found)),
        only("95% over seeds", (ends(part["low"], part["high"]) if part else UNKNOWN for part in found)),
    ]


def seeds(row: RowView, runs: dict[int, StoredRun], baselines: dict[int, StoredRun]) -> str:
    """Each seed's run, its values, and how it pairs with the baseline's run of that seed."""
    lines = []
    for seed, run in sorted(runs.items()):
        shown = " / ".join(ratio(run.metrics.get(f"step_time_ratio{end}")) for end in ("", "_low", "_high"))
        values = (points(run.metrics.get(score.metric)) for score in row.all_scores)
        ended = f"{datetime.fromtimestamp(run.ended / 1000):%Y-%m-%d %H:%M}" if run.ended else UNKNOWN
        lines.append([str(seed), run.run_id, ended, shown, *values, certificate(run, baselines.get(seed))])
    heads = ("seed", "run id", "ended", "ratio / low / high", *score_heads(row), "certificate")
    return grid("Seed by seed", heads, lines)


def score_heads(row: RowView) -> list[str]:
    """Headings of the score columns, Overall last."""
    return [score.label for score in row.all_scores]


def certificate(run: StoredRun, baseline: StoredRun | None) -> str:
    """The pairing sentence that `run` prints."""
    if run.row == BASELINE:
        return "is the baseline"
    if baseline is None:
        return "the baseline has no run of this seed"
    try:
        pair = pairing.of_runs(run, baseline)
    except UNREADABLE as error:
        return f"NOT PAIRED: the certificate cannot be read ({type(error).__name__})"
    return pair.sentence() if pair else "NOT PAIRED: no certificate is stored"


def ends(low: float | None, high: float | None) -> str:
    """Both ends of an interval."""
    return UNKNOWN if low is None or high is None else f"{points(low, signed=True)} to {points(high, signed=True)}"


def grid(caption: str, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A plain table; its texts are escaped here and only here."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(text)}</td>" for text in rest)}</tr>'
        for first, *rest in lines
    )
    return (
        f'<div class="scroll" role="region" aria-label="{escape(caption)}" tabindex="0"><table class="rows details">'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
