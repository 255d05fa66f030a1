"""Plot of intervals as SVG: all rows on one scale, zero is the baseline, drawn in the colour of the text."""

from experiments.analysis.table.plain_table import PlainTable
from experiments.analysis.table.row_view import views

WIDTH, HEIGHT, EDGE = 220, 18, 8  # pixels; the edge keeps marks from being clipped
AXIS_HEIGHT = 16
STEPS = (1, 2, 5)

Limits = tuple[float, float]


def scale_of(table: PlainTable) -> Limits:
    """The left and right end of the scale in points: round numbers that enclose all marks and zero."""
    drawn = [0.0, -table["delta"], table["delta"]]
    for row in views(table):
        ours = row.overall
        known = (ours.difference, ours.low, ours.high, row.published_difference)
        drawn += [value for value in known if value is not None]
    step = _step(max(drawn) - min(drawn))
    return step * (min(drawn) // step), step * -(-max(drawn) // step)


def axis(limits: Limits) -> str:
    """The axis labels above the strip: both ends, and zero."""
    return f'<svg {_size(AXIS_HEIGHT)} aria-hidden="true">{axis_marks(limits)}</svg>'


def strip(
    difference: float | None,
    low: float | None,
    high: float | None,
    limits: Limits,
    delta: float,
    *,
    paper: bool = False,
) -> str:
    """One mark with its interval, and a text alternative: a diamond, for the paper a hollow circle."""
    parts = ground(limits, delta) + mark(difference, low, high, limits, paper=paper)
    return f'<svg {_size(HEIGHT)} role="img" aria-label="{in_words(difference, low, high)}">{parts}</svg>'


def axis_marks(limits: Limits, width: int = WIDTH) -> str:
    """The labels of `axis`, without the enclosing SVG element."""
    marks = []
    for value, anchor in ((limits[0], "start"), (0.0, "middle"), (limits[1], "end")):
        if value or anchor == "middle":
            place = {"start": 0.0, "middle": _x(0.0, limits, width), "end": float(width)}[anchor]
            marks.append(f'<text x="{place:.1f}" y="12" text-anchor="{anchor}">{value:+g}</text>'.replace("+0<", "0<"))
    return "".join(marks)


def ground(limits: Limits, delta: float, width: int = WIDTH) -> str:
    """The background of a row's marks: the band of harmless differences and the line at zero."""
    left, right = _x(-delta, limits, width), _x(delta, limits, width)
    return (
        f'<rect x="{left:.1f}" y="0" width="{right - left:.1f}" height="{HEIGHT}" fill="currentColor" opacity="0.12"/>'
        f'<path d="M{_x(0, limits, width):.1f} 0V{HEIGHT}" stroke="currentColor" opacity="0.5"/>'
    )


def mark(
    difference: float | None,
    low: float | None,
    high: float | None,
    limits: Limits,
    *,
    paper: bool = False,
    width: int = WIDTH,
) -> str:
    """A difference with its interval, as far as known."""
    if difference is None:
        return ""
    middle, x, drawn = HEIGHT / 2, _x(difference, limits, width), ""
    if low is not None and high is not None:
        left, right = _x(low, limits, width), _x(high, limits, width)
        drawn = (
            f'<path d="M{left:.1f} {middle - 4}V{middle + 4}M{left:.1f} {middle}H{right:.1f}'
            f'M{right:.1f} {middle - 4}V{middle + 4}" stroke="currentColor" stroke-width="1.5" fill="none"/>'
        )
    if paper:
        return (
            drawn + f'<circle cx="{x:.1f}" cy="{middle}" r="4" fill="none" stroke="currentColor" stroke-width="1.3"/>'
        )
    return drawn + f'<path d="M{x:.1f} {middle - 5}l5 5l-5 5l-5 -5z" fill="currentColor"/>'


def in_words(difference: float | None, low: float | None, high: float | None) -> str:
    """The drawing in words, for screen readers."""
    if difference is None:
        return "no difference is known"
    ends = "" if low is None or high is None else f", 95% from {low:+.1f} to {high:+.1f}"
    return f"{difference:+.1f} points{ends}"


def _size(height: int) -> str:
    return f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'


def _x(value: float, limits: Limits, width: int) -> float:
    left, right = limits
    return EDGE + (width - 2 * EDGE) * (value - left) / (right - left)


def _step(span: float) -> float:
    """A round step such that a few steps cover the span."""
    power = 1.0
    while True:
        for step in STEPS:
            if span <= 12 * step * power:
                return step * power
        power *= 10
