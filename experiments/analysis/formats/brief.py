"""The answer alone as Markdown, a line a row: for a README or a message."""

from experiments import published
from experiments.analysis import Table
from experiments.analysis.formats.markdown import code, escaped, line
from experiments.analysis.render import UNKNOWN, count, points
from experiments.analysis.table import Row
from experiments.analysis.wording import answer, interval, label_of, own_caption
from experiments.published import BASELINE

HEADS = ("row", "n", "params", "step time", "Overall", "difference, 95%", "verdict", "published difference")


def as_brief(stored: Table) -> str:
    """One table and its caption; step time is the ratio to the baseline's, ours and then the paper's."""
    lines = [line(HEADS), line(["---", *["---:"] * (len(HEADS) - 1)])]
    lines += [_line_of(row) for row in stored.table["rows"]]
    return "\n".join([*lines, "", f"*{escaped(own_caption(stored.table))}*"]) + "\n"


def _line_of(row: Row) -> str:
    overall, is_baseline = row["overall"], row["row"] == BASELINE
    paper, base = published.rows().get(row["row"]), published.rows()[BASELINE]
    ratios = [row["step_time_ratio"], paper.step_time_s / base.step_time_s if paper else None]
    difference = points(overall["difference"], signed=True) + interval(overall["low"], overall["high"])
    return line(
        [
            f"{escaped(label_of(row['row']))} {code(row['row'])}".strip(),
            str(row["n"]),
            count(row["params_total"]),
            " / ".join(UNKNOWN if ratio is None else f"{ratio:.2f}" for ratio in ratios),
            points(overall["mean"]),
            "" if is_baseline else difference,
            "" if is_baseline else answer(overall),
            "" if paper is None or paper is base else points(paper.overall - base.overall, signed=True),
        ]
    )
