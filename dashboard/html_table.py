"""The table as HTML, which readers and tests can read as well as eyes; what was stored is text in it, never markup."""

from itertools import groupby
from urllib.parse import quote, urlencode

from dashboard.html_strip import html_axis, html_strip
from experiments.analysis import Table
from experiments.analysis.formats.strip import scale_of
from experiments.analysis.formats.terminal import UNKNOWN, count, points, step_time_beside
from experiments.analysis.formats.wording import PAIRED, answer, label_of, own_caption, setting_of
from experiments.analysis.table import build
from experiments.analysis.table.agreement import agreement_in_words
from experiments.analysis.table.build import Row
from experiments.common.plain_text import as_html as escape
from experiments.published import table3
from experiments.published.table3 import BASELINE, PublishedRow
from experiments.store.names import BENCHMARKS

SCORE, DELTA, PUBLISHED = "score", "delta", "published"
SHOWN = (SCORE, DELTA, PUBLISHED)  # what the columns of scores hold; the last leaves out what is ours

Cell = tuple[str, str]  # a figure, and what stands small beside it or under it

CHOSEN, COLUMN = ' aria-current="true"', ' scope="col"'
BENCHMARK_HEADS: tuple[Cell, ...] = tuple((one.label, one.measure) for one in BENCHMARKS)
PUBLISHED_HEADS: tuple[Cell, ...] = (
    ("params", ""),
    ("step time", ""),
    *BENCHMARK_HEADS,
    ("Overall", ""),
    ("difference", "Overall"),
)
# The answer comes first: how much worse, how sure, and whether anything else changed.
OWN_HEADS: tuple[Cell, ...] = (
    ("difference", "Overall, 95%"),
    ("Overall", ""),
    ("seeds", ""),
    ("paired", ""),
    ("ratio", "step time"),
    ("step time", ""),
    ("params", ""),
    *BENCHMARK_HEADS,
)


def html_table(stored: Table, *, show: str, row: str = "", state: dict[str, str] | None = None, when: str = "") -> str:
    """All rows in the paper's groups. `row` is the chosen one; `state` is what its links keep of the address."""
    built = stored.table
    over = span("published (Flamingo-3B)", len(PUBLISHED_HEADS))
    heads = cells("th", PUBLISHED_HEADS, COLUMN)
    if show != PUBLISHED:
        over += span("ours", len(OWN_HEADS) + 1)
        drawn = f'{html_axis(scale_of(built))}<span class="unseen">difference, drawn</span>'
        heads += f'<th scope="col" class="first strip">{drawn}</th>{cells("th", OWN_HEADS, COLUMN, first=False)}'
    bodies = []
    for setting, group in groupby(built["rows"], key=lambda entry: setting_of(entry["row"])):
        entries = list(group)
        bodies.append("<tbody>")
        for place, entry in enumerate(entries):
            name = escape(entry["row"])
            bodies.append(f'<tr id="{name}"{CHOSEN * (entry["row"] == row)}>')
            if place == 0:
                title, original = setting
                shown = title, f"{original} \u2192" if original else ""
                bodies.append(cell("th", shown, f' scope="rowgroup" rowspan="{len(entries)}"'))
            bodies += [label(entry["row"], state or {}), figures(entry, stored, show), "</tr>"]
        bodies.append("</tbody>")
    return (
        '<div class="scroll" role="region" aria-label="Table 3" tabindex="0"><table class="rows">'
        f"<caption><div>{escape(caption(built, show, when))}</div></caption>"
        f'<thead><tr><td colspan="2"></td>{over}</tr><tr><th scope="col">setting</th><th scope="col">row</th>{heads}'
        f"</tr></thead>{''.join(bodies)}</table></div>"
    )


def caption(built: build.PlainTable, show: str, when: str) -> str:
    """What stands where, how it was computed, and what it is not."""
    paper = f"Published: Table 3 of the Flamingo paper, one run a row; {shown_scores(show)}."
    if show == PUBLISHED:
        return paper
    return " ".join(filter(None, (own_caption(built), paper, agreement_in_words(built)))) + when


def shown_scores(show: str) -> str:
    """What the columns of scores hold."""
    return "scores are differences from the baseline, in points" if show == DELTA else "scores in points"


def label(name: str, state: dict[str, str]) -> str:
    """The changed value as the paper has it, and the row's name, which leads to what is stored of it."""
    address = "?" + urlencode({"row": name, **state}, quote_via=quote)
    shown = escape(name).replace("+", "+<wbr>")  # a combination may take several lines
    return f'<th scope="row">{escape(label_of(name))} <a href="{escape(address)}" target="_self">{shown}</a></th>'


def figures(entry: Row, stored: Table, show: str) -> str:
    """What is published of a row, and ours or the command that makes it."""
    name = entry["row"]
    html = cells("td", published_cells(table3.rows().get(name), show))
    if show == PUBLISHED:
        return html
    if name not in stored.broken and entry["n"]:
        return html + drawn_cell(entry, stored) + cells("td", own_cells(entry, stored, show), first=False)
    instead = f"<code>{escape(stored.fill_command(name) or '')}</code>"
    if name in stored.broken:
        instead = f"cannot be read: {escape(stored.broken[name])}"
    return html + f'<td class="first wide" colspan="{len(OWN_HEADS) + 1}">{instead}</td>'


def drawn_cell(entry: Row, stored: Table) -> str:
    """The difference of Overall with its interval, on the scale that all rows share."""
    overall, built = entry["overall"], stored.table
    drawn = html_strip(overall, scale_of(built), built["delta"])
    return f'<td class="first strip">{"" if entry["row"] == BASELINE else drawn}</td>'


def published_cells(paper: PublishedRow | None, show: str) -> list[Cell]:
    """The paper's figures, and the difference of Overall from its baseline."""
    if paper is None:
        return [(UNKNOWN, "")] * len(PUBLISHED_HEADS)
    base = table3.rows()[BASELINE]
    delta = show == DELTA and paper is not base
    scores = [paper.scores[one.metric] - (base.scores[one.metric] if delta else 0) for one in BENCHMARKS]
    figures = [
        f"{paper.params_b:.1f}B",
        f"{paper.step_time_s:.2f} s",
        *(points(score, signed=delta) for score in scores),
        points(paper.overall),
        "" if paper is base else points(paper.overall - base.overall, signed=True),
    ]
    return [(figure, "") for figure in figures]


def own_cells(entry: Row, stored: Table, show: str) -> list[Cell]:
    """Our figures of a row that is stored."""
    overall, scores, is_baseline = entry["overall"], entry["scores"], entry["row"] == BASELINE
    wanted = len(stored.table["seeds"])
    ratio = entry["step_time_ratio"]
    difference = points(overall["difference"], signed=True) + half_width(overall["low"], overall["high"])
    shown: list[Cell] = [(points(scores[one.metric]["mean"]), "") for one in BENCHMARKS]
    if show == DELTA and not is_baseline:
        deltas = [scores[one.metric] for one in BENCHMARKS]
        shown = [(points(one["difference"], signed=True), half_width(one["low"], one["high"])) for one in deltas]
    return [
        ("", "") if is_baseline else (difference, answer(overall)),
        (points(overall["mean"]), ""),
        (str(entry["n"]), f"of {wanted}" if entry["n"] < wanted else ""),
        ("", "") if is_baseline else (PAIRED[entry["certificate"]], ""),
        (
            UNKNOWN if ratio is None else f"{ratio:.2f}",
            half_width(entry["step_time_ratio_low"], entry["step_time_ratio_high"], digits=2),
        ),
        (step_time_beside(entry), ""),
        (count(entry["params_total"]), ""),
        *shown,
    ]


def half_width(low: float | None, high: float | None, digits: int = 1) -> str:
    """Half an interval as it stands after a figure; nothing where there is none."""
    return "" if low is None or high is None else f" \u00b1{(high - low) / 2:.{digits}f}"


def span(title: str, columns: int) -> str:
    """The heading over one side of the table."""
    return f'<th scope="colgroup" class="first" colspan="{columns}">{title}</th>'


def cells(tag: str, pairs: "list[Cell] | tuple[Cell, ...]", attributes: str = "", *, first: bool = True) -> str:
    """Cells of one side of the table, the first of which is set apart where these are the `first` of it."""
    return "".join(
        cell(tag, pair, attributes + ' class="first"' * (first and place == 0)) for place, pair in enumerate(pairs)
    )


def cell(tag: str, pair: Cell, attributes: str = "") -> str:
    """A cell of two texts."""
    small = f" <small>{escape(pair[1].strip())}</small>" if pair[1] else ""
    return f"<{tag}{attributes}>{escape(pair[0])}{small}</{tag}>"
