"""The table as HTML, which readers and tests can read as well as eyes; what was stored is text in it, never markup."""

from html import escape
from itertools import groupby

from experiments import published
from experiments.analysis.render import count, points, seconds
from experiments.analysis.table import Row, Table, command
from experiments.published import BASELINE
from experiments.record import BENCHMARKS

# The answer comes first: how much worse, how sure, and whether anything else changed.
OWN = (
    "difference (95%)",
    "Overall",
    "seeds",
    "paired",
    "ratio",
    "step time",
    "params",
    *(one.label for one in BENCHMARKS),
)
STYLE = """<style>
.scroll {overflow-x: auto} .rows {border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .8rem}
.rows caption {caption-side: bottom; text-align: left; padding-top: .6rem; opacity: .8}
.rows td, .rows th {padding: .2rem .45rem; text-align: right; white-space: nowrap; border: 0}
.rows th[scope=row], .rows th[scope=rowgroup], .rows thead th:first-child {text-align: left}
.rows tbody tr {border-top: 1px solid #8883}
.rows th[scope=rowgroup] {padding-top: .9rem; opacity: .75; font-weight: 600} .rows .own {border-left: 2px solid #8886}
.rows tr.chosen {outline: 2px solid #58a} .rows code {white-space: nowrap}
</style>"""


def html_table(table: Table, row: str, when: str) -> str:
    """All rows under the headings of the paper's groups."""
    heads = ["params", "step time", *(benchmark.label for benchmark in BENCHMARKS), "Overall", "difference"]
    ceilings = f"Overall of our rows divides by the {table['scale']} scale's ceilings: compare differences, not levels"
    caption = f"Ours at scale {table['scale']}: {table['method']}. Scores in points; {ceilings}{when}."
    head = (
        f'<tr><td></td><th scope="colgroup" colspan="{len(heads)}">published (Flamingo-3B)</th>'
        f'<th scope="colgroup" class="own" colspan="{len(OWN)}">ours</th></tr><tr><th scope="col">row</th>'
        + "".join(f'<th scope="col">{name}</th>' for name in heads)
        + "".join(f'<th scope="col"{" class=own" * (place == 0)}>{name}</th>' for place, name in enumerate(OWN))
    )
    width = 1 + len(heads) + len(OWN)
    bodies = []
    for (group, heading), rows in groupby(table["rows"], key=lambda entry: heading_of(entry["row"])):
        words = escape(f"{group} {heading}".strip())
        title = f'<tr><th scope="rowgroup" colspan="{width}">{words}</th></tr>' if words else ""
        bodies.append(f"<tbody>{title}{''.join(html_row(entry, table['scale'], row) for entry in rows)}</tbody>")
    return (
        f'<table class="rows"><caption>{escape(caption)}</caption><thead>{head}</tr></thead>{"".join(bodies)}</table>'
    )


def heading_of(name: str) -> tuple[str, str]:
    """Group and setting as the paper has them; rows of our own come last."""
    row = published.rows().get(name)
    if row is None:
        return "", "Combinations and rows of our own"
    return ("", "") if name == BASELINE else (f"({row.group})", row.setting)


def html_row(entry: Row, scale: str, chosen_row: str) -> str:
    """One row: label, published figures, ours or the command that makes them."""
    name = entry["row"]
    paper, base = published.rows().get(name), published.rows()[BASELINE]
    label = name if paper is None else paper.setting if name == BASELINE else paper.changed_value
    cells = [
        f'<th scope="row"><a href="?row={escape(name)}" target="_self" title="{escape(name)}">{escape(label)}</a></th>'
    ]
    cells += [f"<td>{escape(text)}</td>" for text in published_cells(paper, base)]
    ours = own_cells(entry)
    if ours is None:
        missing = entry["missing"][0] if entry["missing"] else command(name, scale=scale, seeds=[0])
        cells.append(
            f'<td class="own" colspan="{len(OWN)}" style="text-align:left"><code>{escape(missing)}</code></td>'
        )
    else:
        cells += [f"<td{' class=own' * (place == 0)}>{escape(text)}</td>" for place, text in enumerate(ours)]
    return f'<tr id="{escape(name)}"{" class=chosen" * (name == chosen_row)}>{"".join(cells)}</tr>'


def published_cells(paper: published.PublishedRow | None, base: published.PublishedRow) -> list[str]:
    """The paper's figures, and the difference of Overall from its baseline."""
    if paper is None:
        return ["-"] * (4 + len(BENCHMARKS))
    difference = "" if paper is base else points(paper.overall - base.overall, signed=True)
    scores = [points(paper.scores[benchmark.metric]) for benchmark in BENCHMARKS]
    return [f"{paper.params_b:.1f}B", f"{paper.step_time_s:.2f} s", *scores, points(paper.overall), difference]


def own_cells(entry: Row) -> list[str] | None:
    """Our figures in the same columns, None where no run is stored."""
    if not entry["n"]:
        return None
    overall, ratio = entry["overall"], entry["step_time_ratio"]
    sure = (
        ""
        if overall["low"] is None
        else f" ({points(overall['low'], signed=True)} to {points(overall['high'], signed=True)})"
    )
    difference = "" if overall["difference"] is None else points(overall["difference"], signed=True) + sure
    flag = {"equal": "paired", "differs": "NOT PAIRED", None: "" if entry["row"] == BASELINE else "no certificate"}
    return [
        difference,
        points(overall["mean"]),
        str(entry["n"]),
        flag[entry["certificate"]],
        "-" if ratio is None else f"{ratio:.2f}",
        seconds(entry["step_time_s"]),
        count(entry["params_total"]),
        *(points(entry["scores"][benchmark.metric]["mean"]) for benchmark in BENCHMARKS),
    ]
