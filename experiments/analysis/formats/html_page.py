"""The table as one HTML file to send or print: no network, sorted by a click or a key, a strip of intervals in it."""

from collections.abc import Sequence
from pathlib import Path

from experiments.analysis import Table
from experiments.analysis.formats.strip import Limits, axis, scale_of, strip
from experiments.analysis.formats.terminal import UNKNOWN, count, points, step_time_beside
from experiments.analysis.formats.wording import (
    PAIRED,
    PUBLISHED,
    answer,
    interval,
    label_of,
    own_caption,
    parts_in_words,
    ratio_interval,
    same_digits,
    setting_of,
)
from experiments.analysis.table.agreement import agreement_in_words
from experiments.analysis.table.build import Overall, Row, Score
from experiments.analysis.table.step_times import shown_step_time_s
from experiments.common.plain_json import dumps
from experiments.common.plain_text import as_html as escape
from experiments.published import table3
from experiments.published.table3 import BASELINE, PublishedRow
from experiments.store.names import BENCHMARKS, SCORES

HERE = Path(__file__).parent
# The answer comes first; None: not sorted by. Each with the class of its cells.
HEADS = (
    ("row", "text"),
    ("difference of Overall", None),
    ("Overall difference, 95%", ""),
    ("verdict", "text"),
    ("Overall", ""),
    *((f"{one.label} {one.measure}", "") for one in BENCHMARKS),
    ("params", ""),
    ("step time", ""),
    ("ratio", ""),
    ("n", ""),
    ("certificate", "text"),
)
LEGEND = (
    "Strip: a diamond is our difference of Overall from the baseline in points, the line its 95% interval, the circle "
    "the paper's difference (no interval); the grey band is within \u00b1{delta:g} points. Under each score its "
    "difference from the baseline with its interval, then the score with pictures shuffled among queries (blind)."
)


def as_html(stored: Table) -> str:
    """The whole page."""
    table = stored.table
    title = f"Table 3 at scale {table['scale']}, beside the published one"
    limits = scale_of(table)
    heads = "".join(_head(place, name, kind, limits) for place, (name, kind) in enumerate(HEADS))
    bodies = "\n".join(_body(row, stored, limits) for row in table["rows"])
    runs = "".join(
        f"<li><code>{escape(row['row'])}</code>: <code>{escape(', '.join(row['run_ids']))}</code></li>"
        for row in table["rows"]
        if row["run_ids"]
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{escape(title)}</title>
<style>
{_file("page.css")}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(own_caption(table))} Published, in italics under each row: {escape(PUBLISHED)}.
{escape(agreement_in_words(table))}</p>
<p>{escape(LEGEND.format(delta=table["delta"]))}</p>
<p role="status">in the order of the paper</p>
<div class="scroll" role="region" aria-label="Table 3" tabindex="0">
<table>
<thead><tr>{heads}</tr></thead>
{bodies}
</table>
</div>
{f"<h2>Runs</h2><ul>{runs}</ul>" if runs else ""}
<script>
{_file("sort.js")}</script>
</body>
</html>
"""


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _head(place: int, name: str, kind: str | None, limits: Limits) -> str:
    if kind is None:
        return f'<th scope="col" class="strip"><span>{escape(name)}</span>{axis(limits)}</th>'
    button = f'<button type="button" data-place="{place}">{escape(name)}</button>'
    return f'<th scope="col" class="{kind}">{button}</th>'


def _body(row: Row, stored: Table, limits: Limits) -> str:
    """A row and the published one under it, which are sorted together."""
    name, paper = row["row"], table3.rows().get(row["row"])
    title, original = setting_of(name)
    setting = f"{title}: {original} \u2192" if original else title
    label = f'<span class="setting">{escape(setting)}</span>{escape(label_of(name))} <code>{escape(name)}</code>'
    lines = [f'<th scope="row" class="name text" rowspan="{1 if paper is None else 2}">{label}</th>']
    command, delta = stored.fill_command(name), stored.table["delta"]
    wide = f'<td class="wide" colspan="{len(HEADS) - 1}">'
    if name in stored.broken:
        lines[0] += f"{wide}cannot be read: {escape(stored.broken[name])} <code>{escape(command or '')}</code></td>"
    elif not row["n"]:
        lines[0] += f"{wide}not stored yet: <code>{escape(command or '')}</code></td>"
    else:
        lines[0] += _own_cells(row, limits, delta, wanted=len(stored.table["seeds"]), command=command)
    if paper is not None:
        lines.append(_published_cells(paper, limits, delta))
    values = escape(dumps([same_digits(value) for value in _values(row)]))
    return (
        f'<tbody data-row="{escape(name)}" data-values="{values}">'
        + "".join(f"<tr>{line}</tr>" for line in lines)
        + "</tbody>"
    )


def _values(row: Row) -> Sequence[str | float | None]:
    """What a row is sorted by, in the order of the headings."""
    overall, known = row["overall"], row["n"] > 0
    return [
        row["row"],
        None,
        overall["difference"],
        answer(overall) if known and row["row"] != BASELINE else None,
        overall["mean"],
        *(row["scores"][metric]["mean"] for metric in SCORES),
        row["params_total"],
        shown_step_time_s(row, is_baseline=row["row"] == BASELINE),
        row["step_time_ratio"],
        row["n"],
        PAIRED[row["certificate"]] if known and row["row"] != BASELINE else None,
    ]


def _own_cells(row: Row, limits: Limits, delta: float, *, wanted: int, command: str | None) -> str:
    overall, is_baseline = row["overall"], row["row"] == BASELINE
    scores = [row["scores"][metric] for metric in SCORES]
    ratio = UNKNOWN if row["step_time_ratio"] is None else f"{row['step_time_ratio']:.2f}"
    seeds = str(row["n"]) if command is None else f"{row['n']} of {wanted}"

    def difference(score: Score | Overall) -> str:
        return "" if is_baseline else points(score["difference"], signed=True) + interval(score["low"], score["high"])

    drawn = "" if is_baseline else strip(overall["difference"], overall["low"], overall["high"], limits, delta)
    cells = [
        _cell(drawn, raw=True),
        _cell(difference(overall), "" if is_baseline else parts_in_words(overall)),
        _cell("" if is_baseline else answer(overall), kind="text"),
        _cell(points(overall["mean"]), f"blind {points(overall['blind'])}"),
        *(_cell(points(score["mean"]), difference(score), f"blind {points(score['blind'])}") for score in scores),
        _cell(count(row["params_total"]), f"trained {count(row['params_trainable'], like=row['params_total'])}"),
        _cell(step_time_beside(row)),
        _cell(ratio, ratio_interval(row).strip()),
        _cell(seeds, kind="" if command is None else "wide", code=command or ""),
        _cell("" if is_baseline else PAIRED[row["certificate"]], kind="text"),
    ]
    return "".join(cells)


def _published_cells(paper: PublishedRow, limits: Limits, delta: float) -> str:
    base, is_baseline = table3.rows()[BASELINE], paper.row == BASELINE
    difference = None if is_baseline else paper.overall - base.overall
    pairs = [(paper.scores[metric], base.scores[metric]) for metric in SCORES]
    cells = [
        _cell("" if is_baseline else strip(difference, None, None, limits, delta, paper=True), raw=True),
        _cell("" if is_baseline else points(difference, signed=True)),
        _cell("published", kind="text"),
        _cell(points(paper.overall)),
        *(_cell(points(ours), *([] if is_baseline else [points(ours - its, signed=True)])) for ours, its in pairs),
        _cell(f"{paper.params_b:.1f}B"),
        _cell(f"{paper.step_time_s:.2f} s"),
        _cell(f"{paper.step_time_s / base.step_time_s:.2f}"),
        _cell("1"),
        _cell(""),
    ]
    return "".join(cell.replace('class="', 'class="paper ', 1) for cell in cells)


def _cell(text: str, *small: str, kind: str = "", code: str = "", raw: bool = False) -> str:
    """A cell of text, or of markup of ours, with lines in small type under it."""
    below = "".join(f"<small>{escape(line)}</small>" for line in small if line)
    below += f"<code>{escape(code)}</code>" if code else ""
    return f'<td class="{kind}">{text if raw else escape(text)}{below}</td>'
