"""The table's answer as one SVG image: one line per row, with its interval and the paper's difference on one scale."""

from experiments.analysis import Table
from experiments.analysis.formats import Format, figures
from experiments.analysis.formats.strip import AXIS_HEIGHT, HEIGHT, Limits, axis_marks, ground, in_words, mark, scale_of
from experiments.analysis.formats.wording import seeds_in_words
from experiments.analysis.table.method import unverified_in_words
from experiments.analysis.table.row_view import RowView
from experiments.common.plain_text import as_html as escape

NAMES, DRAWN, WORDS = 340, 340, 360  # pixels: column widths
MARGIN, LINE = 12, 22  # pixels: the outer margin, and a row's height
WIDTH = MARGIN + NAMES + DRAWN + WORDS + MARGIN
# An embedded image does not inherit the page's colours: always black on white.
STYLE = "text{font:13px system-ui,sans-serif;fill:currentColor}.small{font-size:11px;opacity:.75}"


def as_svg(stored: Table) -> str:
    """All rows but the baseline, in the paper's order, under a title that names the compared score."""
    table = stored.table
    limits = scale_of(table)
    rows = [row for row in stored.views() if not row.is_baseline]
    top = MARGIN + 2 * LINE + AXIS_HEIGHT
    height = top + LINE * len(rows) + LINE + MARGIN
    over = next((row.over for row in rows if row.over), None)
    title = f"Overall: row - baseline, in points; scale {table['scale']}, {seeds_in_words(table['seeds'])}"
    legend = (
        "diamond: ours"
        + (f", line: {over}" if over else "")
        + f"; circle: the paper's; band: within \u00b1{table['delta']:g} points"
        + (f"; {unverified_in_words(table['unverified'])}" if table["unverified"] else "")
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'color="#111" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _text(MARGIN, MARGIN + 13, title, ' font-weight="bold"'),
        _text(MARGIN, MARGIN + LINE + 11, legend, ' class="small"'),
        f'<g transform="translate({MARGIN + NAMES} {top - AXIS_HEIGHT})">{axis_marks(limits, DRAWN)}</g>',
        *(_line(row, limits, top + LINE * place) for place, row in enumerate(rows)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _line(row: RowView, limits: Limits, top: int) -> str:
    """A row's name, marks and words."""
    overall = row.overall
    label = f"{row.setting[0]}: {row.label}" if row.published else row.name
    words = "not stored yet" if row.broken is None else "cannot be read"
    if row.n:
        words = f"{figures.difference(overall)} {row.answer}"
    marks = ground(limits, row.table["delta"], DRAWN)
    marks += mark(row.published_difference, None, None, limits, paper=True, width=DRAWN)
    marks += mark(overall.difference, overall.low, overall.high, limits, width=DRAWN)
    middle = top + LINE // 2
    drawn = f'<svg x="{MARGIN + NAMES}" y="{middle - HEIGHT // 2}" width="{DRAWN}" height="{HEIGHT}">{marks}</svg>'
    said = f"{row.name}: {in_words(overall.difference, overall.low, overall.high)}"
    return (
        f"<g><title>{escape(said)}</title>"
        + _text(MARGIN, middle + 4, label)
        + drawn
        + _text(MARGIN + NAMES + DRAWN + MARGIN, middle + 4, words)
        + "</g>"
    )


def _text(x: int, y: int, said: str, attributes: str = "") -> str:
    return f'<text x="{x}" y="{y}"{attributes}>{escape(said)}</text>'


FORMAT = Format("svg", "the picture of the intervals of Overall", as_svg, place=7)
