r"""The table for a paper: booktabs, and a macro for each number, so that text and table cannot disagree.

The file compiles on its own, to a one-page preview; with `\input` in a document's body it is only the table.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from experiments.analysis import Table
from experiments.analysis.formats import Format, figures
from experiments.analysis.formats.figures import points
from experiments.analysis.formats.wording import PUBLISHED, own_caption
from experiments.analysis.table import columns
from experiments.analysis.table.published_view import PublishedView, published_score
from experiments.analysis.table.row_view import RowView
from experiments.analysis.table.step_times import HIGH, LOW, RATIO

COSTS = ("", "params", "step", "ratio")  # before the scores
BEHIND = ("blind", "difference, 95\\%", "verdict", "$n$")  # Overall
DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
SPECIAL = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "''",
    "\u2192": "$\\to$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
UNPAIRED, INCOMPLETE = "\\textsuperscript{*}", "\\textsuperscript{\\dag}"
ALONE = r"""% By itself this file is a page to look at; in the body of a document \input it, with \usepackage{booktabs}.
\expandafter\ifx\csname @nodocument\endcsname\relax
  \let\endofreport\relax
\else
  \documentclass{article}
  \usepackage[a4paper,landscape,margin=1cm]{geometry}
  \usepackage{booktabs}
  \begin{document}
  \def\endofreport{\end{document}}
\fi"""


def as_latex(stored: Table) -> str:
    """The LaTeX source: run ids as comments, macros, the table."""
    table, rows = stored.table, stored.views()
    lines = [
        f"% Table 3 at scale {_comment(table['scale'])}: made by python -m experiments.report --format latex",
        ALONE,
    ]
    names = macro_names([row.name for row in rows], table["scale"])
    used: set[str] = set()  # a benchmark may have the name of a cost, and macro names must be unique
    for row in rows:
        lines += ["", f"% {_comment(row.name)}: runs {' '.join(map(_comment, row.row['run_ids'])) or 'none'}"]
        if row.command is not None:
            lines.append(f"% missing: {_comment(row.command)}")
        for name, value in _figures(row):
            lines.append(f"\\newcommand{{\\{_unused(names[row.name] + name, used)}}}{{{value}}}")
    lines += ["", *_table(stored, rows), "\\endofreport"]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text escaped for TeX, on one line; characters that its fonts may lack become question marks."""
    line = " ".join(text.split())
    return "".join(SPECIAL.get(c, c if c.isascii() and c.isprintable() else "?") for c in line)


def macro_names(rows: Sequence[str], scale: str) -> dict[str, str]:
    """A prefix of letters for each row, as `DeskXattnEveryFourth`; a duplicate gets an extra letter."""
    used: set[str] = set()
    return {row: _unused(_letters(scale) + _letters(row), used) for row in rows}


def _unused(name: str, used: set[str]) -> str:
    """Make a macro name unique, and mark it as used."""
    while name in used:
        name += "X"
    used.add(name)
    return name


def _letters(text: str) -> str:
    """A name that TeX allows in a macro: words joined, digits spelled out."""
    spelled = re.sub(r"[0-9]", lambda digit: f" {DIGITS[int(digit.group())]}", text)
    return "".join(word[0].upper() + word[1:] for word in re.split(r"[^A-Za-z]+", spelled) if word) or "X"


def _comment(text: str) -> str:
    """Text without characters that could end a comment."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _figures(row: RowView) -> Iterator[tuple[str, str]]:
    """The suffix of each macro's name, and its expansion: the number as the table prints it."""
    yield "N", str(row.n)
    yield "Params", escaped(figures.params(row))
    yield "Trained", escaped(figures.trained(row))
    yield "StepTime", escaped(figures.step_time(row))
    yield "StepTimeDifference", escaped(figures.step_time_difference(row))
    for name, ratio in (("", RATIO), ("Low", LOW), ("High", HIGH)):
        yield f"Ratio{name}", figures.ratio(row.row[ratio])  # type: ignore[literal-required]
    for score in row.all_scores:
        name = _letters(score.metric)
        yield f"{name}Mean", _number(score.mean)
        yield f"{name}Difference", _number(score.difference, signed=True)
        yield f"{name}Low", _number(score.low, signed=True)
        yield f"{name}High", _number(score.high, signed=True)
        yield f"{name}Blind", _number(score.blind)
        yield f"{name}Published", _number(published_score(row.name, score.metric).level)
    yield "Verdict", escaped(row.answer)


def _number(value: float | None, *, signed: bool = False) -> str:
    return "--" if value is None else f"\\ensuremath{{{points(value, signed=signed)}}}"


def _table(stored: Table, rows: Sequence[RowView]) -> Iterator[str]:
    yield "\\begin{table*}"
    yield "\\centering\\scriptsize\\setlength{\\tabcolsep}{3pt}"
    notes = [
        f"{UNPAIRED} not paired with the baseline." if any(row.is_unpaired for row in rows) else "",
        f"{INCOMPLETE} seeds are missing; the source has the command." if any(row.command for row in rows) else "",
    ]
    text = f"{escaped(own_caption(stored.table))} Published, in italics: {escaped(PUBLISHED)}. {' '.join(notes)}"
    heads = [*COSTS, *(escaped(one.label) for one in columns.columns_of(stored.table)), "Overall", *BEHIND]
    yield f"\\caption{{{text.strip()}}}\\par\\smallskip"
    # may be wider than the text: then centre it on the page
    yield f"\\makebox[\\textwidth][c]{{\\begin{{tabular}}{{l{'r' * (len(heads) - 3)}lr}}"
    yield "\\toprule"
    yield " & ".join(heads) + " \\\\"
    for heading, group in groupby(rows, key=lambda row: row.heading):
        yield "\\midrule"
        yield f"\\multicolumn{{{len(heads)}}}{{l}}{{\\textbf{{{escaped(heading)}}}}} \\\\"
        for row in group:
            yield _own_line(row, len(heads))
            if row.published is not None:
                yield _published_line(row.published)
    yield "\\bottomrule"
    yield "\\end{tabular}}"
    yield "\\end{table*}"


def _own_line(row: RowView, width: int) -> str:
    label = escaped(row.label or row.name) + UNPAIRED * row.is_unpaired + INCOMPLETE * bool(row.command)
    if not row.n:
        why = "not stored yet" if row.broken is None else "cannot be read"
        return f"{label} & \\multicolumn{{{width - 1}}}{{l}}{{{why}}} \\\\"
    overall = row.overall
    ends = figures.interval(overall.low, overall.high)
    difference = f"${points(overall.difference, signed=True)}$" + (f" ${ends.strip()}$" if ends else "")
    cells = [
        label,
        escaped(figures.params(row)),
        escaped(figures.step_time_beside(row)),
        figures.step_time_ratio(row),
        *(points(score.mean) for score in row.all_scores),
        points(overall.blind),
        "" if row.is_baseline else difference,
        escaped(row.answer),
        str(row.n),
    ]
    return " & ".join(cells) + " \\\\"


def _published_line(paper: PublishedView) -> str:
    difference = paper.overall.difference
    cells = [
        "\\quad published",
        figures.published_params(paper),
        figures.published_step_time(paper),
        figures.ratio(paper.step_time_ratio),
        *(points(score.level) for score in paper.all_scores),
        "",
        "" if difference is None else f"${points(difference, signed=True)}$",
        "",
        "",
    ]
    return " & ".join(f"\\textit{{{cell}}}" if cell and "$" not in cell else cell for cell in cells) + " \\\\"


FORMAT = Format("latex", "booktabs, with a macro for each figure", as_latex, place=5)
