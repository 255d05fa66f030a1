r"""The table for a paper: booktabs, and a macro for each figure, so that text and table cannot disagree.

The file compiles by itself, to one page to look at; with `\input` in a document's body it is the table alone.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from experiments.analysis import Table
from experiments.analysis.formats.terminal import (
    UNKNOWN,
    count,
    points,
    step_time,
    step_time_beside,
    step_time_difference,
)
from experiments.analysis.formats.wording import PUBLISHED, answer, interval, label_of, own_caption, setting_of
from experiments.analysis.table.build import Row
from experiments.analysis.table.step_times import HIGH, LOW, RATIO
from experiments.published import table3
from experiments.published.table3 import BASELINE, PublishedRow
from experiments.store.names import BENCHMARKS, OVERALL

HEADS = (
    "",
    "params",
    "step",
    "ratio",
    *(one.label for one in BENCHMARKS),
    "Overall",
    "blind",
    "difference, 95\\%",
    "verdict",
    "$n$",
)
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
    """Run ids as comments, macros, the table."""
    table = stored.table
    lines = [
        f"% Table 3 at scale {_comment(table['scale'])}: made by python -m experiments.report --format latex",
        ALONE,
    ]
    names = macro_names([row["row"] for row in table["rows"]], table["scale"])
    for row in table["rows"]:
        lines += ["", f"% {_comment(row['row'])}: runs {' '.join(map(_comment, row['run_ids'])) or 'none'}"]
        if command := stored.fill_command(row["row"]):
            lines.append(f"% missing: {_comment(command)}")
        lines += [f"\\newcommand{{\\{names[row['row']]}{name}}}{{{value}}}" for name, value in _figures(row)]
    lines += ["", *_table(stored), "\\endofreport"]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text as TeX prints it, on one line; what its fonts may lack is a question mark."""
    line = " ".join(text.split())
    return "".join(SPECIAL.get(c, c if c.isascii() and c.isprintable() else "?") for c in line)


def macro_names(rows: Sequence[str], scale: str) -> dict[str, str]:
    """A prefix of letters for each row, as `DeskXattnEveryFourth`; two that would be equal get a letter more."""
    names: dict[str, str] = {}
    for row in rows:
        name = _letters(scale) + _letters(row)
        while name in names.values():
            name += "X"
        names[row] = name
    return names


def _letters(text: str) -> str:
    """A name as TeX allows it in a macro: words joined, digits spelled."""
    spelled = re.sub(r"[0-9]", lambda digit: f" {DIGITS[int(digit.group())]}", text)
    return "".join(word[0].upper() + word[1:] for word in re.split(r"[^A-Za-z]+", spelled) if word) or "X"


def _comment(text: str) -> str:
    """Text that stays inside its comment."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _figures(row: Row) -> Iterator[tuple[str, str]]:
    """The end of each macro's name, and what it expands to: the figure as the table prints it."""
    yield "N", str(row["n"])
    yield "Params", escaped(count(row["params_total"]))
    yield "Trained", escaped(count(row["params_trainable"], like=row["params_total"]))
    yield "StepTime", escaped(step_time(row))
    yield "StepTimeDifference", escaped(step_time_difference(row))
    for name, ratio in (("", RATIO), ("Low", LOW), ("High", HIGH)):
        yield f"Ratio{name}", UNKNOWN if row[ratio] is None else f"{row[ratio]:.2f}"  # type: ignore[literal-required]
    for metric, score in (*row["scores"].items(), (OVERALL, row["overall"])):
        name = _letters(metric)
        yield f"{name}Mean", _number(score["mean"])
        for key in ("difference", "low", "high"):
            yield f"{name}{key.capitalize()}", _number(score[key], signed=True)
        yield f"{name}Blind", _number(score["blind"])
        yield f"{name}Published", _number(row["published"][metric])
    yield "Verdict", "" if row["row"] == BASELINE or not row["n"] else escaped(answer(row["overall"]))


def _number(value: float | None, *, signed: bool = False) -> str:
    return "--" if value is None else f"\\ensuremath{{{points(value, signed=signed)}}}"


def _table(stored: Table) -> Iterator[str]:
    yield "\\begin{table*}"
    yield "\\centering\\scriptsize\\setlength{\\tabcolsep}{3pt}"
    notes = [
        f"{UNPAIRED} not paired with the baseline." if _unpaired(stored) else "",
        f"{INCOMPLETE} seeds are missing; the source has the command." if _incomplete(stored) else "",
    ]
    text = f"{escaped(own_caption(stored.table))} Published, in italics: {escaped(PUBLISHED)}. {' '.join(notes)}"
    yield f"\\caption{{{text.strip()}}}\\par\\smallskip"
    # wider than some columns of text: then it stands in the middle of the page
    yield f"\\makebox[\\textwidth][c]{{\\begin{{tabular}}{{l{'r' * (len(HEADS) - 3)}lr}}"
    yield "\\toprule"
    yield " & ".join(HEADS) + " \\\\"
    for (title, original), group in groupby(stored.table["rows"], key=lambda row: setting_of(row["row"])):
        said = escaped(f"{title}: {original} \u2192" if original else title)
        yield "\\midrule"
        yield f"\\multicolumn{{{len(HEADS)}}}{{l}}{{\\textbf{{{said}}}}} \\\\"
        for row in group:
            yield _own_line(row, stored)
            if row["row"] in table3.rows():
                yield _published_line(table3.rows()[row["row"]])
    yield "\\bottomrule"
    yield "\\end{tabular}}"
    yield "\\end{table*}"


def _unpaired(stored: Table) -> bool:
    return any(row["certificate"] == "differs" for row in stored.table["rows"])


def _incomplete(stored: Table) -> bool:
    return any(stored.fill_command(row["row"]) for row in stored.table["rows"])


def _own_line(row: Row, stored: Table) -> str:
    label = escaped(label_of(row["row"]) or row["row"])
    label += UNPAIRED * (row["certificate"] == "differs") + INCOMPLETE * bool(stored.fill_command(row["row"]))
    if not row["n"]:
        why = "cannot be read" if row["row"] in stored.broken else "not stored yet"
        return f"{label} & \\multicolumn{{{len(HEADS) - 1}}}{{l}}{{{why}}} \\\\"
    overall, is_baseline = row["overall"], row["row"] == BASELINE
    ends = interval(overall["low"], overall["high"])
    difference = f"${points(overall['difference'], signed=True)}$" + (f" ${ends.strip()}$" if ends else "")
    cells = [
        label,
        escaped(count(row["params_total"])),
        escaped(step_time_beside(row)),
        UNKNOWN if row["step_time_ratio"] is None else f"{row['step_time_ratio']:.2f}",
        *(points(row["scores"][one.metric]["mean"]) for one in BENCHMARKS),
        points(overall["mean"]),
        points(overall["blind"]),
        "" if is_baseline else difference,
        "" if is_baseline else escaped(answer(overall)),
        str(row["n"]),
    ]
    return " & ".join(cells) + " \\\\"


def _published_line(paper: PublishedRow) -> str:
    base = table3.rows()[BASELINE]
    cells = [
        "\\quad published",
        f"{paper.params_b:.1f}B",
        f"{paper.step_time_s:.2f} s",
        f"{paper.step_time_s / base.step_time_s:.2f}",
        *(points(paper.scores[one.metric]) for one in BENCHMARKS),
        points(paper.overall),
        "",
        "" if paper is base else f"${points(paper.overall - base.overall, signed=True)}$",
        "",
        "",
    ]
    return " & ".join(f"\\textit{{{cell}}}" if cell and "$" not in cell else cell for cell in cells) + " \\\\"
