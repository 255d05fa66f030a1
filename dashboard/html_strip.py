"""Plot of the Overall difference with its interval, all rows on one scale. HTML, because streamlit removes SVG."""

from experiments.analysis.formats.strip import Limits, in_words
from experiments.analysis.table.row_view import ScoreView


def html_strip(score: ScoreView, limits: Limits, delta: float) -> str:
    """A diamond on the interval's line; the band around zero marks harmless differences."""
    difference, low, high = score.difference, score.low, score.high
    marks = [mark("band", -delta, delta, limits), mark("zero", 0.0, 0.0, limits)]
    if difference is not None:
        if low is not None and high is not None:
            marks.append(mark("line", low, high, limits))
        marks.append(mark("difference", difference, difference, limits))
    return f'<div class="drawn" role="img" aria-label="{in_words(difference, low, high)}">{"".join(marks)}</div>'


def html_axis(limits: Limits) -> str:
    """The axis labels above the strips: both ends, and zero."""
    ends = [f'<i style="left: {percent(end, limits):.1f}%">{end:+g}</i>' for end in limits if end]
    return f'<div class="drawn axis">{"".join(ends)}<i style="left: {percent(0.0, limits):.1f}%">0</i></div>'


def mark(kind: str, low: float, high: float, limits: Limits) -> str:
    """An element that spans from one value to another."""
    left = percent(low, limits)
    return f'<i class="{kind}" style="left: {left:.1f}%; width: {percent(high, limits) - left:.1f}%"></i>'


def percent(value: float, limits: Limits) -> float:
    """A value's position between the limits, in percent."""
    return 100 * (value - limits[0]) / (limits[1] - limits[0])
