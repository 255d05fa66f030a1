"""The table as Markdown, for a pull request or a page: ours, differences, blind twins, the published row."""

import re
import string
from collections.abc import Iterable, Sequence
from itertools import groupby

from experiments.analysis import Table
from experiments.analysis.formats.terminal import UNKNOWN, count, points, step_time_beside, step_time_difference
from experiments.analysis.formats.wording import (
    PAIRED,
    PUBLISHED,
    answer,
    interval,
    label_of,
    own_caption,
    parts_in_words,
    ratio_interval,
    setting_of,
)
from experiments.analysis.table.agreement import agreement_in_words
from experiments.analysis.table.build import Row
from experiments.common.plain_text import visible
from experiments.published import table3
from experiments.published.table3 import BASELINE, PublishedRow
from experiments.store.names import BENCHMARKS, SCORES

HEADS = (
    "row",
    "n",
    "params",
    "trained",
    "step time",
    "ratio",
    *(f"{one.label} {one.measure}" for one in BENCHMARKS),
    "Overall",
    "verdict",
    "certificate",
)
SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$])")


def as_markdown(stored: Table) -> str:
    """A caption, one table with the paper's groups as rows of their own, and the commands that fill what is missing."""
    lines = [line(HEADS), line(["---", *["---:"] * (len(HEADS) - 3), "---", "---"])]
    for (title, original), group in groupby(stored.table["rows"], key=lambda row: setting_of(row["row"])):
        said = f"{title}: {original} \u2192" if original else title
        lines.append(line([f"**{escaped(said)}**", *[""] * (len(HEADS) - 1)]))
        for row in group:
            lines += _lines_of(row, stored)
    text = [
        f"**Table 3 at scale {escaped(stored.table['scale'])}, and as published.** "
        f"{escaped(own_caption(stored.table))} Published: {escaped(PUBLISHED)}. "
        f"{escaped(agreement_in_words(stored.table))}".rstrip(),
        "",
        *lines,
    ]
    return "\n".join([*text, *what_is_missing(stored)]) + "\n"


def what_is_missing(stored: Table) -> list[str]:
    """The command that fills each row that is not whole, or cannot be read."""
    commands = [(row["row"], stored.fill_command(row["row"])) for row in stored.table["rows"]]
    missing = [f"- {code(name)}: {code(command)}" for name, command in commands if command is not None]
    return ["", "Not stored yet:", "", *missing] if missing else []


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(visible(text, keep=string.whitespace).split()))


def code(text: str) -> str:
    """Text in backticks, more of them than stand in it; a bar would end a table's cell."""
    plain = " ".join(visible(text, keep=string.whitespace).split()).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence, pad = "`" * (longest + 1), " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _lines_of(row: Row, stored: Table) -> list[str]:
    name, paper = row["row"], table3.rows().get(row["row"])
    label = f"{escaped(label_of(name))} {code(name)}".strip()
    lines = []
    if name in stored.broken:
        lines.append(line([f"{label}: cannot be read: {escaped(stored.broken[name])}", *[""] * (len(HEADS) - 1)]))
    elif not row["n"]:
        lines.append(line([f"{label}: not stored yet", "0", *[""] * (len(HEADS) - 2)]))
    else:
        lines += _own_lines(label, row, wanted=len(stored.table["seeds"]))
    return lines if paper is None else [*lines, _published_line(paper)]


def _own_lines(label: str, row: Row, *, wanted: int) -> list[str]:
    scores = [*(row["scores"][metric] for metric in SCORES), row["overall"]]
    is_baseline = row["row"] == BASELINE
    lines = [
        line(
            [
                f"**{label}**",
                str(row["n"]) if row["n"] >= wanted else f"{row['n']} of {wanted}",
                count(row["params_total"]),
                count(row["params_trainable"], like=row["params_total"]),
                step_time_beside(row),
                UNKNOWN if row["step_time_ratio"] is None else f"{row['step_time_ratio']:.2f}{ratio_interval(row)}",
                *(points(score["mean"]) for score in scores),
                "" if is_baseline else answer(row["overall"]),
                "" if is_baseline else PAIRED[row["certificate"]],
            ]
        )
    ]
    if not is_baseline:
        shown = [points(one["difference"], signed=True) + interval(one["low"], one["high"]) for one in scores]
        lines.append(
            line(["difference", *[""] * 3, step_time_difference(row), "", *shown, parts_in_words(row["overall"]), ""])
        )
    return [*lines, line(["blind", *[""] * 5, *(points(score["blind"]) for score in scores), "", ""])]


def _published_line(paper: PublishedRow) -> str:
    base = table3.rows()[BASELINE]
    pairs = [*((paper.scores[metric], base.scores[metric]) for metric in SCORES), (paper.overall, base.overall)]
    is_baseline = paper.row == BASELINE
    shown = [points(ours) + ("" if is_baseline else f" ({points(ours - its, signed=True)})") for ours, its in pairs]
    costs = [f"{paper.params_b:.1f}B", UNKNOWN, f"{paper.step_time_s:.2f} s"]
    ratio = f"{paper.step_time_s / base.step_time_s:.2f}"
    return line(["published" if is_baseline else "published (difference)", "1", *costs, ratio, *shown, "", ""])


def line(cells: Sequence[str] | Iterable[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"
