"""The table as HTML, readable by screen readers and tests; stored values are always escaped text, never markup."""

from collections.abc import Sequence
from itertools import groupby
from urllib.parse import quote, urlencode

from dashboard.html_strip import html_axis, html_strip
from experiments.analysis import Table
from experiments.analysis.formats import figures as written
from experiments.analysis.formats.figures import UNKNOWN, points
from experiments.analysis.formats.strip import Limits, scale_of
from experiments.analysis.formats.wording import own_caption
from experiments.analysis.table import columns
from experiments.analysis.table.agreement import agreement_in_words
from experiments.analysis.table.plain_table import PlainTable
from experiments.analysis.table.row_view import RowView, ScoreView
from experiments.common.plain_text import as_html as escape

SCORE, DELTA, PUBLISHED = "score", "delta", "published"
SHOWN = (SCORE, DELTA, PUBLISHED)  # contents of the score columns; the last hides our side

Cell = tuple[str, str]  # a number, and the small text beside or below it

CHOSEN, COLUMN = ' aria-current="true"', ' scope="col"'


def published_heads(table: PlainTable) -> list[Cell]:
    """Column headings of the paper's side."""
    return [("params", ""), ("step time", ""), *score_heads(table), ("Overall", ""), ("difference", "Overall")]


def own_heads(table: PlainTable) -> list[Cell]:
    """Column headings of our side. The answer comes first: how much worse, how certain, and whether it is paired."""
    return [
        ("difference", "Overall, 95%"),
        ("Overall", ""),
        ("seeds", ""),
        ("paired", ""),
        ("ratio", "step time"),
        ("step time", ""),
        ("params", ""),
        *score_heads(table),
    ]


def score_heads(table: PlainTable) -> list[Cell]:
    """Headings of the score columns, the same on both sides."""
    return [(one.label, one.measure) for one in columns.columns_of(table)]


def html_table(stored: Table, *, show: str, row: str = "", state: dict[str, str] | None = None, when: str = "") -> str:
    """All rows in the paper's groups. `row` is the selected one; `state` holds the query parameters its links keep."""
    built, limits = stored.table, scale_of(stored.table)
    of_paper, of_ours = published_heads(built), own_heads(built)
    over = span("published (Flamingo-3B)", len(of_paper))
    heads = cells("th", of_paper, COLUMN)
    if show != PUBLISHED:
        over += span("ours", len(of_ours) + 1)
        drawn = f'{html_axis(limits)}<span class="unseen">difference, drawn</span>'
        heads += f'<th scope="col" class="first strip">{drawn}</th>{cells("th", of_ours, COLUMN, first=False)}'
    bodies = []
    for setting, group in groupby(stored.views(), key=lambda entry: entry.setting):
        entries = list(group)
        bodies.append("<tbody>")
        for place, entry in enumerate(entries):
            bodies.append(f'<tr id="{escape(entry.name)}"{CHOSEN * (entry.name == row)}>')
            if place == 0:
                title, original = setting
                shown = title, f"{original} \u2192" if original else ""
                bodies.append(cell("th", shown, f' scope="rowgroup" rowspan="{len(entries)}"'))
            bodies += [label(entry, state or {}), figures(entry, limits, show), "</tr>"]
        bodies.append("</tbody>")
    return (
        '<div class="scroll" role="region" aria-label="Table 3" tabindex="0"><table class="rows">'
        f"<caption><div>{escape(caption(built, show, when))}</div></caption>"
        f'<thead><tr><td colspan="2"></td>{over}</tr><tr><th scope="col">setting</th><th scope="col">row</th>{heads}'
        f"</tr></thead>{''.join(bodies)}</table></div>"
    )


def caption(built: PlainTable, show: str, when: str) -> str:
    """The caption: how the numbers were computed, the source of the published ones, when the store was written."""
    paper = f"Published: Table 3 of the Flamingo paper, one run a row; {shown_scores(show)}."
    if show == PUBLISHED:
        return paper
    return " ".join(filter(None, (own_caption(built), paper, agreement_in_words(built)))) + when


def shown_scores(show: str) -> str:
    """The meaning of the score columns."""
    return "scores are differences from the baseline, in points" if show == DELTA else "scores in points"


def label(entry: RowView, state: dict[str, str]) -> str:
    """The changed value in the paper's words, and the row's name, which links to its details."""
    address = "?" + urlencode({"row": entry.name, **state}, quote_via=quote)
    shown = escape(entry.name).replace("+", "+<wbr>")  # let the name of a combination wrap
    return f'<th scope="row">{escape(entry.label)} <a href="{escape(address)}" target="_self">{shown}</a></th>'


def figures(entry: RowView, limits: Limits, show: str) -> str:
    """The published numbers of a row, then ours or the command that produces them."""
    html = cells("td", published_cells(entry, show))
    if show == PUBLISHED:
        return html
    if entry.is_stored:
        return html + drawn_cell(entry, limits) + cells("td", own_cells(entry, show), first=False)
    instead = f"<code>{escape(entry.command or '')}</code>"
    if entry.broken is not None:
        instead = f"cannot be read: {escape(entry.broken)}"
    return html + f'<td class="first wide" colspan="{len(own_heads(entry.table)) + 1}">{instead}</td>'


def drawn_cell(entry: RowView, limits: Limits) -> str:
    """The plotted Overall difference with its interval, on the scale that all rows share."""
    drawn = html_strip(entry.overall, limits, entry.table["delta"])
    return f'<td class="first strip">{"" if entry.is_baseline else drawn}</td>'


def published_cells(entry: RowView, show: str) -> list[Cell]:
    """The paper's numbers, and its Overall difference from its baseline."""
    paper = entry.published
    if paper is None:
        return [(UNKNOWN, "")] * len(published_heads(entry.table))
    delta = show == DELTA and not paper.is_baseline
    figures = [
        written.published_params(paper),
        written.published_step_time(paper),
        *(points(score.difference if delta else score.level, signed=delta) for score in paper.scores),
        points(paper.overall.level),
        "" if paper.is_baseline else points(paper.overall.difference, signed=True),
    ]
    return [(figure, "") for figure in figures]


def own_cells(entry: RowView, show: str) -> list[Cell]:
    """Our numbers for a stored row."""
    overall, delta = entry.overall, show == DELTA and not entry.is_baseline
    return [
        ("", "") if entry.is_baseline else ("".join(difference(overall)), entry.answer),
        (points(overall.mean), ""),
        (str(entry.n), f"of {entry.wanted}" if entry.is_short else ""),
        (entry.pairing, ""),
        (written.step_time_ratio(entry), written.half_width(entry.ratio_half_width, digits=2)),
        (written.step_time_beside(entry), ""),
        (written.params(entry), ""),
        *(difference(score) if delta else (points(score.mean), "") for score in entry.scores),
    ]


def difference(score: ScoreView) -> Cell:
    """The difference from the baseline, with the half-width of its interval beside it."""
    return points(score.difference, signed=True), written.half_width(score.half_width)


def span(title: str, columns: int) -> str:
    """The heading above one side of the table."""
    return f'<th scope="colgroup" class="first" colspan="{columns}">{title}</th>'


def cells(tag: str, pairs: Sequence[Cell], attributes: str = "", *, first: bool = True) -> str:
    """Cells of one side of the table; with `first`, the first cell gets the class that sets the side apart."""
    return "".join(
        cell(tag, pair, attributes + ' class="first"' * (first and place == 0)) for place, pair in enumerate(pairs)
    )


def cell(tag: str, pair: Cell, attributes: str = "") -> str:
    """A cell with a main text and an optional small one."""
    small = f" <small>{escape(pair[1].strip())}</small>" if pair[1] else ""
    return f"<{tag}{attributes}>{escape(pair[0])}{small}</{tag}>"
