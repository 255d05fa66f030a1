"""The answer alone as Markdown, a line a row: for a README or a message."""

from experiments.analysis import Table
from experiments.analysis.formats.markdown import code, escaped, line, what_is_missing
from experiments.analysis.formats.terminal import UNKNOWN, count, points
from experiments.analysis.formats.wording import answer, interval, label_of, own_caption
from experiments.analysis.table.agreement import agreement_in_words
from experiments.analysis.table.build import Row
from experiments.published import table3
from experiments.published.table3 import BASELINE, PublishedRow

HEADS = ("row", "n", "params", "step time", "Overall", "difference, 95%", "verdict", "published")


def as_brief(stored: Table) -> str:
    """One table, its caption, what is missing; step time is the ratio to the baseline's, ours and then the paper's."""
    lines = [line(HEADS), line(["---", *["---:"] * (len(HEADS) - 1)])]
    lines += [_line_of(row, stored) for row in stored.table["rows"]]
    said = " ".join(filter(None, (own_caption(stored.table), agreement_in_words(stored.table))))
    return "\n".join([*lines, "", f"*{escaped(said)}*", *what_is_missing(stored)]) + "\n"


def _line_of(row: Row, stored: Table) -> str:
    overall, name = row["overall"], row["row"]
    paper, base = table3.rows().get(name), table3.rows()[BASELINE]
    ratios = [row["step_time_ratio"], paper.step_time_s / base.step_time_s if paper else None]
    difference = points(overall["difference"], signed=True) + interval(overall["low"], overall["high"])
    verdict = answer(overall)
    if name in stored.broken:
        verdict = f"cannot be read: {escaped(stored.broken[name])}"
    elif not row["n"]:
        difference, verdict = "", "not stored yet"
    elif name == BASELINE:
        difference, verdict = "", ""
    return line(
        [
            f"{escaped(label_of(name))} {code(name)}".strip(),
            str(row["n"]),
            count(row["params_total"]),
            " / ".join(UNKNOWN if ratio is None else f"{ratio:.2f}" for ratio in ratios),
            points(overall["mean"]),
            difference,
            verdict,
            "" if paper is None else _published(paper, base),
        ]
    )


def _published(paper: PublishedRow, base: PublishedRow) -> str:
    difference = "" if paper is base else f" ({points(paper.overall - base.overall, signed=True)})"
    return points(paper.overall) + difference
