"""The table as one HTML file to send or print: no network access, sortable by click or key, with plotted intervals."""

from collections.abc import Sequence
from pathlib import Path

from experiments.analysis import Table
from experiments.analysis.formats import Format, figures
from experiments.analysis.formats.figures import points, same_digits
from experiments.analysis.formats.strip import Limits, axis, scale_of, strip
from experiments.analysis.formats.wording import PUBLISHED, own_caption
from experiments.analysis.table import columns
from experiments.analysis.table.agreement import agreement_in_words
from experiments.analysis.table.plain_table import PlainTable
from experiments.analysis.table.published_view import PublishedView
from experiments.analysis.table.row_view import RowView, ScoreView
from experiments.common.plain_json import dumps
from experiments.common.plain_text import as_html as escape

HERE = Path(__file__).parent
Heads = Sequence[tuple[str, str | None]]  # heading and CSS class of its cells; None: not sortable
LEGEND = (
    "Strip: a diamond is our difference of Overall from the baseline in points, the line its 95% interval, the circle "
    "the paper's difference (no interval); the grey band is within \u00b1{delta:g} points. Under each score its "
    "difference from the baseline with its interval, then the score with pictures shuffled among queries (blind)."
)


def as_html(stored: Table) -> str:
    """The whole page."""
    table, rows = stored.table, stored.views()
    title = f"Table 3 at scale {table['scale']}, beside the published one"
    limits, shown = scale_of(table), heads_of(table)
    heads = "".join(_head(place, name, kind, limits) for place, (name, kind) in enumerate(shown))
    bodies = "\n".join(_body(row, limits, len(shown)) for row in rows)
    runs = "".join(
        f"<li><code>{escape(row.name)}</code>: <code>{escape(', '.join(row.row['run_ids']))}</code></li>"
        for row in rows
        if row.row["run_ids"]
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


def heads_of(table: PlainTable) -> Heads:
    """The column headings; the answer comes first."""
    return (
        ("row", "text"),
        ("difference of Overall", None),
        ("Overall difference, 95%", ""),
        ("verdict", "text"),
        ("Overall", ""),
        *((f"{one.label} {one.measure}".strip(), "") for one in columns.columns_of(table)),
        ("params", ""),
        ("step time", ""),
        ("ratio", ""),
        ("n", ""),
        ("certificate", "text"),
    )


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _head(place: int, name: str, kind: str | None, limits: Limits) -> str:
    if kind is None:
        return f'<th scope="col" class="strip"><span>{escape(name)}</span>{axis(limits)}</th>'
    button = f'<button type="button" data-place="{place}">{escape(name)}</button>'
    return f'<th scope="col" class="{kind}">{button}</th>'


def _body(row: RowView, limits: Limits, width: int) -> str:
    """A row and the published row under it; the two are sorted together."""
    label = f'<span class="setting">{escape(row.heading)}</span>{escape(row.label)} <code>{escape(row.name)}</code>'
    lines = [f'<th scope="row" class="name text" rowspan="{1 if row.published is None else 2}">{label}</th>']
    command, wide = escape(row.command or ""), f'<td class="wide" colspan="{width - 1}">'
    if row.broken is not None:
        lines[0] += f"{wide}cannot be read: {escape(row.broken)} <code>{command}</code></td>"
    elif not row.is_stored:
        lines[0] += f"{wide}not stored yet: <code>{command}</code></td>"
    else:
        lines[0] += _own_cells(row, limits)
    if row.published is not None:
        lines.append(_published_cells(row.published, limits, row.table["delta"]))
    values = escape(dumps([same_digits(value) for value in _values(row)]))
    return (
        f'<tbody data-row="{escape(row.name)}" data-values="{values}">'
        + "".join(f"<tr>{line}</tr>" for line in lines)
        + "</tbody>"
    )


def _values(row: RowView) -> Sequence[str | float | None]:
    """The values that a row is sorted by, in the order of the headings."""
    return [
        row.name,
        None,
        row.overall.difference,
        row.answer or None,
        row.overall.mean,
        *(score.mean for score in row.scores),
        row.row["params_total"],
        row.step_time_s,
        row.row["step_time_ratio"],
        row.n,
        row.pairing or None,
    ]


def _own_cells(row: RowView, limits: Limits) -> str:
    overall, delta, command = row.overall, row.table["delta"], row.command
    drawn, differences = "", dict.fromkeys([score.metric for score in row.all_scores], "")
    if not row.is_baseline:
        drawn = strip(overall.difference, overall.low, overall.high, limits, delta)
        differences = {score.metric: figures.difference(score) for score in row.all_scores}

    def cell_of(score: ScoreView) -> str:
        return _cell(points(score.mean), differences[score.metric], f"blind {points(score.blind)}")

    cells = [
        _cell(drawn, raw=True),
        _cell(differences[overall.metric], "" if row.is_baseline else figures.parts_in_words(overall)),
        _cell(row.answer, kind="text"),
        _cell(points(overall.mean), f"blind {points(overall.blind)}"),
        *map(cell_of, row.scores),
        _cell(figures.params(row), f"trained {figures.trained(row)}"),
        _cell(figures.step_time_beside(row)),
        _cell(figures.step_time_ratio(row), figures.ratio_interval(row).strip()),
        _cell(figures.seeds(row, short=command is not None), kind="wide" if command else "", code=command or ""),
        _cell(row.pairing, kind="text"),
    ]
    return "".join(cells)


def _published_cells(paper: PublishedView, limits: Limits, delta: float) -> str:
    overall = paper.overall

    def signed(difference: float | None) -> str:
        return "" if difference is None else points(difference, signed=True)

    cells = [
        _cell("" if paper.is_baseline else strip(overall.difference, None, None, limits, delta, paper=True), raw=True),
        _cell(signed(overall.difference)),
        _cell("published", kind="text"),
        _cell(points(overall.level)),
        *(_cell(points(score.level), signed(score.difference)) for score in paper.scores),
        _cell(figures.published_params(paper)),
        _cell(figures.published_step_time(paper)),
        _cell(figures.ratio(paper.step_time_ratio)),
        _cell("1"),
        _cell(""),
    ]
    return "".join(cell.replace('class="', 'class="paper ', 1) for cell in cells)


def _cell(text: str, *small: str, kind: str = "", code: str = "", raw: bool = False) -> str:
    """A cell with text, or with our own markup if `raw`, and lines in small type under it."""
    below = "".join(f"<small>{escape(line)}</small>" for line in small if line)
    below += f"<code>{escape(code)}</code>" if code else ""
    return f'<td class="{kind}">{text if raw else escape(text)}{below}</td>'


FORMAT = Format("html", "one file to send or print, sorted by a click", as_html, place=6)
