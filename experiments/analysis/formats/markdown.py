"""The table as Markdown, for a pull request or a page: ours, differences, blind twins, the published row."""

import re
import string
from collections.abc import Iterable, Sequence
from itertools import groupby

from experiments.analysis import Table
from experiments.analysis.formats import Format, figures
from experiments.analysis.formats.figures import UNKNOWN, points
from experiments.analysis.formats.wording import PUBLISHED, own_caption
from experiments.analysis.table import columns
from experiments.analysis.table.agreement import agreement_in_words
from experiments.analysis.table.published_view import PublishedView
from experiments.analysis.table.row_view import RowView
from experiments.common.plain_text import visible

COSTS = ("n", "params", "trained", "step time", "ratio")  # beside the row's name, before its scores
WORDS = ("verdict", "certificate")  # after them
SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$])")


def as_markdown(stored: Table) -> str:
    """A caption, one table with the paper's groups as heading rows, and the commands for missing runs."""
    rows = stored.views()
    scores = [escaped(f"{one.label} {one.measure}") for one in columns.columns_of(stored.table)]
    heads = ["row", *COSTS, *scores, "Overall", *WORDS]
    lines = [line(heads), line(["---", *["---:"] * (len(heads) - 1 - len(WORDS)), *["---"] * len(WORDS)])]
    for heading, group in groupby(rows, key=lambda row: row.heading):
        lines.append(line([f"**{escaped(heading)}**", *[""] * (len(heads) - 1)]))
        for row in group:
            lines += _lines_of(row, len(heads))
    text = [
        f"**Table 3 at scale {escaped(stored.table['scale'])}, and as published.** "
        f"{escaped(own_caption(stored.table))} Published: {escaped(PUBLISHED)}. "
        f"{escaped(agreement_in_words(stored.table))}".rstrip(),
        "",
        *lines,
    ]
    return "\n".join([*text, *what_is_missing(rows)]) + "\n"


def what_is_missing(rows: Sequence[RowView]) -> list[str]:
    """The command to complete each row that lacks runs or cannot be read."""
    missing = [f"- {code(row.name)}: {code(row.command)}" for row in rows if row.command is not None]
    return ["", "Not stored yet:", "", *missing] if missing else []


def escaped(text: str) -> str:
    """Text escaped for Markdown, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(visible(text, keep=string.whitespace).split()))


def code(text: str) -> str:
    """Text as inline code, fenced with more backticks than it contains; bars are escaped, as they would end a cell."""
    plain = " ".join(visible(text, keep=string.whitespace).split()).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence, pad = "`" * (longest + 1), " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _lines_of(row: RowView, width: int) -> list[str]:
    label = f"{escaped(row.label)} {code(row.name)}".strip()
    lines = []
    if row.broken is not None:
        lines.append(line([f"{label}: cannot be read: {escaped(row.broken)}", *[""] * (width - 1)]))
    elif not row.is_stored:
        lines.append(line([f"{label}: not stored yet", "0", *[""] * (width - 2)]))
    else:
        lines += _own_lines(label, row)
    return lines if row.published is None else [*lines, _published_line(row.published)]


def _own_lines(label: str, row: RowView) -> list[str]:
    own = [
        f"**{label}**",
        figures.seeds(row, short=row.is_short),
        figures.params(row),
        figures.trained(row),
        figures.step_time_beside(row),
        figures.step_time_ratio(row) + figures.ratio_interval(row),
        *(points(score.mean) for score in row.all_scores),
        row.answer,
        row.pairing,
    ]
    difference = ["difference", *[""] * 3, figures.step_time_difference(row), ""]
    difference += [*map(figures.difference, row.all_scores), figures.parts_in_words(row.overall), ""]
    blind = ["blind", *[""] * len(COSTS), *(points(score.blind) for score in row.all_scores), "", ""]
    return [line(cells) for cells in ((own, blind) if row.is_baseline else (own, difference, blind))]


def _published_line(paper: PublishedView) -> str:
    costs = [figures.published_params(paper), UNKNOWN, figures.published_step_time(paper)]
    costs.append(figures.ratio(paper.step_time_ratio))
    label = "published" if paper.is_baseline else "published (difference)"
    return line([label, "1", *costs, *map(figures.published_points, paper.all_scores), "", ""])


def line(cells: Sequence[str] | Iterable[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


FORMAT = Format(
    "md", "Markdown, for a pull request or a page: differences, blind twins, the published rows", as_markdown, place=1
)
