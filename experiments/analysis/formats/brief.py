"""Only the answer, as Markdown, one line per row: for a README or a message."""

from experiments.analysis import Table
from experiments.analysis.formats import Format, figures
from experiments.analysis.formats.figures import points
from experiments.analysis.formats.markdown import code, escaped, line, what_is_missing
from experiments.analysis.formats.wording import own_caption
from experiments.analysis.table.agreement import agreement_in_words
from experiments.analysis.table.row_view import RowView

HEADS = ("row", "n", "params", "step time", "Overall", "difference, 95%", "verdict", "published")


def as_brief(stored: Table) -> str:
    """One table, its caption, and missing runs; step time is the ratio to the baseline's: ours, then the paper's."""
    rows = stored.views()
    lines = [line(HEADS), line(["---", *["---:"] * (len(HEADS) - 1)]), *map(_line_of, rows)]
    said = " ".join(filter(None, (own_caption(stored.table), agreement_in_words(stored.table))))
    return "\n".join([*lines, "", f"*{escaped(said)}*", *what_is_missing(rows)]) + "\n"


def _line_of(row: RowView) -> str:
    paper, difference, verdict = row.published, figures.difference(row.overall), row.answer
    if row.broken is not None:
        verdict = f"cannot be read: {escaped(row.broken)}"
    elif not row.is_stored:
        difference, verdict = "", "not stored yet"
    elif row.is_baseline:
        difference = ""
    return line(
        [
            f"{escaped(row.label)} {code(row.name)}".strip(),
            str(row.n),
            figures.params(row),
            f"{figures.step_time_ratio(row)} / {figures.ratio(paper.step_time_ratio if paper else None)}",
            points(row.overall.mean),
            difference,
            verdict,
            "" if paper is None else figures.published_points(paper.overall),
        ]
    )


FORMAT = Format("brief", "the answer alone as Markdown, a line a row", as_brief, place=2)
