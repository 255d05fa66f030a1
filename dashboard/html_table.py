"""The table as HTML, which readers and tests can read as well as eyes; what was stored is text in it, never markup."""

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
SHOWN = (SCORE, DELTA, PUBLISHED)  # what the columns of scores hold; the last leaves out what is ours

Cell = tuple[str, str]  # a figure, and what stands small beside it or under it

CHOSEN, COLUMN = ' aria-current="true"', ' scope="col"'


def published_heads(table: PlainTable) -> list[Cell]:
    """The columns of the paper's side."""
    return [("params", ""), ("step time", ""), *score_heads(table), ("Overall", ""), ("difference", "Overall")]


def own_heads(table: PlainTable) -> list[Cell]:
    """The columns of our side. The answer comes first: how much worse, how sure, and whether anything else changed."""
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
    """The columns of scores, of both sides."""
    return [(one.label, one.measure) for one in columns.columns_of(table)]


def html_table(stored: Table, *, show: str, row: str = "", state: dict[str, str] | None = None, when: str = "") -> str:
    """All rows in the paper's groups. `row` is the chosen one; `state` is what its links keep of the address."""
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
    """The caption: how the figures were computed, where the published ones are from, when the store was written."""
    paper = f"Published: Table 3 of the Flamingo paper, one run a row; {shown_scores(show)}."
    if show == PUBLISHED:
        return paper
    return " ".join(filter(None, (own_caption(built), paper, agreement_in_words(built)))) + when


def shown_scores(show: str) -> str:
    """The meaning of the columns of scores."""
    return "scores are differences from the baseline, in points" if show == DELTA else "scores in points"


def label(entry: RowView, state: dict[str, str]) -> str:
    """The changed value as the paper has it, and the row's name, which leads to what is stored of it."""
    address = "?" + urlencode({"row": entry.name, **state}, quote_via=quote)
    shown = escape(entry.name).replace("+", "+<wbr>")  # a combination may take several lines
    return f'<th scope="row">{escape(entry.label)} <a href="{escape(address)}" target="_self">{shown}</a></th>'


def figures(entry: RowView, limits: Limits, show: str) -> str:
    """The published figures of a row, and ours or the command that makes them."""
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
    """The difference of Overall with its interval, on the scale that all rows share."""
    drawn = html_strip(entry.overall, limits, entry.table["delta"])
    return f'<td class="first strip">{"" if entry.is_baseline else drawn}</td>'


def published_cells(entry: RowView, show: str) -> list[Cell]:
    """The paper's figures, and the difference of Overall from its baseline."""
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
    """Our figures of a row that is stored."""
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
    """From the baseline, and beside it half its interval."""
    return points(score.difference, signed=True), written.half_width(score.half_width)


def span(title: str, columns: int) -> str:
    """The heading over one side of the table."""
    return f'<th scope="colgroup" class="first" colspan="{columns}">{title}</th>'


def cells(tag: str, pairs: Sequence[Cell], attributes: str = "", *, first: bool = True) -> str:
    """Cells of one side of the table, the first of which is set apart where these are the `first` of it."""
    return "".join(
        cell(tag, pair, attributes + ' class="first"' * (first and place == 0)) for place, pair in enumerate(pairs)
    )


def cell(tag: str, pair: Cell, attributes: str = "") -> str:
    """A cell of two texts."""
    small = f" <small>{escape(pair[1].strip())}</small>" if pair[1] else ""
    return f"<{tag}{attributes}>{escape(pair[0])}{small}</{tag}>"
