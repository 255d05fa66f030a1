"""The printed row: one row beside the baseline and beside the published one, as plain text.

Numbers come from the table's object, so they are the same as those of `--json`. Scores are in points; unknown values
are `-`. An interval is printed as its half-width.
"""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shlex import quote

from experiments.analysis.formats import figures
from experiments.analysis.formats.figures import UNKNOWN, count, points, seconds
from experiments.analysis.formats.terminal_examples import predictions_block, relative
from experiments.analysis.table import columns, pairing
from experiments.analysis.table.method import left_out_in_words
from experiments.analysis.table.plain_table import PlainTable
from experiments.analysis.table.published_view import PublishedView, published_view
from experiments.analysis.table.row_view import RowView, views
from experiments.common.plain_text import visible
from experiments.published import table3
from experiments.published.table3 import BASELINE
from experiments.store.commands import command, origin
from experiments.store.error import URI_VARIABLE
from experiments.store.locate import Store, locate
from experiments.store.names import CONFIG_DIR, OVERALL
from experiments.store.stored_run import StoredRun

PIPE_WIDTH = 120  # columns without a terminal
LABEL_WIDTH = 19
SEEDS = 5  # number of seeds in the suggested next command

PARAMS, TRAINED, STEP_TIME, RATIO = "cost/params", "cost/trained", "cost/step time", "cost/ratio"  # not metric names
# Column -> (width, heading, measure); scores follow. A narrow terminal drops the columns of DROPPED, in this order.
COSTS = {
    PARAMS: (8, "params", ""),
    TRAINED: (9, "trained", ""),
    STEP_TIME: (11, "step time", ""),
    RATIO: (7, "ratio", ""),
}
SCORE_WIDTH, OVERALL_WIDTH = 7, 9  # minimum: a longer heading widens its column to leave one space
DROPPED = (TRAINED, STEP_TIME, RATIO)

Columns = dict[str, tuple[int, str, str]]
Line = tuple[str, dict[str, str]]  # label, cells by column


def printed_row(
    table: PlainTable,
    row: StoredRun,
    baseline: StoredRun | None = None,
    *,
    picture_file: Callable[[str, str], Path | None] | None = None,
    width: int | None = None,
) -> str:
    """The row of one run, beside its baseline of the same seed if there is one, and beside the paper's.

    `table` is built from just these runs; `picture_file` returns the image file of a benchmark's medium, if there is
    one. `row` may be the baseline.
    """
    if row.row == BASELINE:
        baseline = None
    ours = next(view for view in views(table) if view.name == row.row)
    lines = [*_own_lines(ours, alone=baseline is None), *_published_lines(ours, alone=baseline is None)]
    store = locate()
    wide = _terminal_width() if width is None else width
    text = [_title(table, row, baseline), *_aligned(lines, columns_shown(table), wide)]
    if baseline is not None:
        pair = pairing.of_runs(row, baseline)
        text.append(pair.sentence() if pair else "NOT PAIRED: no certificate is stored")
    if row.tags.get("overrides"):
        text.append(f"changed for the baseline as well: {row.tags['overrides']}   (no table takes such a run)")
    text.append(
        f"Overall here divides by the {table['scale']} scale's ceilings: "
        "compare differences with the published rows, not levels."
    )
    uncounted = columns.uncounted_in_words(columns.columns_of(table))
    text += [f"{uncounted}."] if uncounted else []
    if row.row != BASELINE and table["left_out"]["other_designs"]:
        text.append(f"{left_out_in_words(table['left_out'])}   (tables show the newest)")
    text += [_stored_line(store), f"next: {_next(row)}"]
    text += predictions_block(row, baseline, picture_file, columns.columns_of(table))
    return "\n".join(map(visible, text)) + "\n"


def printed_table(table: PlainTable, *, width: int | None = None) -> str:
    """All rows, each followed by its difference from the baseline and the published row."""
    rows = views(table)
    lines: list[Line] = []
    for row in rows:
        lines.append((row.name, {**_level(row), STEP_TIME: figures.step_time_beside(row)}))
        if not row.is_baseline:
            cells = {**_differences(row), STEP_TIME: figures.step_time_difference(row)}
            lines.append(("  difference" if row.verdict is None else f"  {row.answer}", cells))
            if row.over:
                lines.append((f"  {row.over}", _half_widths(row)))
        lines += [(f"  {label}", cells) for label, cells in _published_lines(row, alone=True)[:1]]
    seeds = ", ".join(map(str, table["seeds"]))
    title = f"{table['scale']}, seed{'s' if len(table['seeds']) > 1 else ''} {seeds}   {table['method']}"
    text = [title, *_aligned(lines, columns_shown(table), _terminal_width() if width is None else width)]
    text += [f"{row.name} is NOT PAIRED with the baseline" for row in rows if row.is_unpaired]
    text += [f"missing: {command}" for row in rows for command in row.row["missing"]]
    return "\n".join(map(visible, text)) + "\n"


def columns_shown(table: PlainTable) -> Columns:
    """The columns for a wide terminal, in order: costs, the table's scores, Overall."""
    scores = {
        one.metric: (max(SCORE_WIDTH, len(one.label) + 1, len(one.measure) + 1), one.label, one.measure)
        for one in columns.columns_of(table)
    }
    return {**COSTS, **scores, OVERALL: (OVERALL_WIDTH, "Overall", "")}


def _own_lines(row: RowView, *, alone: bool) -> list[Line]:
    """The row beside its baseline; if `alone`, the row with its own step time."""
    blind = ("  blind: baseline" if row.is_baseline else "  blind: this row", _blind(row))
    base = row.baseline
    if alone or base is None:
        return [(row.name, {**_level(row), STEP_TIME: seconds(row.row["step_time_s"])}), blind]
    cells = {RATIO: _plus_minus(row.ratio_half_width, digits=2), **_half_widths(row)}
    return [
        (BASELINE, {**_level(base), STEP_TIME: seconds(row.baseline_step_time_s)}),
        (row.name, _level(row)),
        ("  difference", {**_cost_differences(row, base), **_differences(row)}),
        ("  95% over examples", cells),
        ("  blind: baseline", _blind(base)),
        blind,
    ]


def _level(row: RowView) -> dict[str, str]:
    return {
        PARAMS: figures.params(row),
        TRAINED: figures.trained(row),
        STEP_TIME: figures.step_time(row),
        RATIO: figures.step_time_ratio(row),
        **{score.metric: points(score.mean) for score in row.all_scores},
    }


def _cost_differences(row: RowView, base: RowView) -> dict[str, str]:
    total = base.row["params_total"]
    return {
        PARAMS: count(row.params_difference, like=total, signed=True),
        TRAINED: count(row.trained_difference, like=total, signed=True),
        STEP_TIME: figures.step_time_difference(row),
    }


def _differences(row: RowView) -> dict[str, str]:
    return {score.metric: points(score.difference, signed=True) for score in row.all_scores}


def _half_widths(row: RowView) -> dict[str, str]:
    return {score.metric: _plus_minus(score.half_width, digits=1) for score in row.all_scores}


def _blind(row: RowView) -> dict[str, str]:
    return {score.metric: points(score.blind) for score in row.all_scores}


def _plus_minus(half: float | None, *, digits: int) -> str:
    return UNKNOWN if half is None else f"+-{half:.{digits}f}"


def _published_lines(row: RowView, *, alone: bool) -> list[Line]:
    """The paper's baseline, then its row and difference if it has this row."""
    base, paper = published_view(BASELINE, columns.columns_of(row.table)), row.published
    lines = [] if base is None else [("published baseline", _published_level(base))]
    if paper is None or paper.is_baseline:
        return lines
    of_row = [(f"published {paper.changed_value}", _published_level(paper))]
    difference = {
        PARAMS: figures.published_params_difference(paper),
        TRAINED: UNKNOWN,
        STEP_TIME: figures.published_step_time_difference(paper),
        **{score.metric: points(score.difference, signed=True) for score in paper.all_scores},
    }
    return of_row if alone else [*lines, *of_row, ("  difference", difference)]


def _published_level(paper: PublishedView) -> dict[str, str]:
    return {
        PARAMS: figures.published_params(paper),
        TRAINED: UNKNOWN,
        STEP_TIME: figures.published_step_time(paper),
        RATIO: figures.ratio(paper.step_time_ratio),
        **{score.metric: points(score.level) for score in paper.all_scores},
    }


def _aligned(lines: Sequence[Line], all_columns: Columns, width: int) -> list[str]:
    """Header and lines in aligned columns, without those that do not fit a narrow terminal."""
    label_width = max(LABEL_WIDTH, *(len(label) for label, _ in lines))
    shown = dict(all_columns)
    for name in DROPPED:
        if label_width + sum(size for size, *_ in shown.values()) > width:
            del shown[name]

    def line(label: str, cells: Mapping[str, str]) -> str:
        text = "".join(cells.get(name, "").rjust(size) for name, (size, *_) in shown.items())
        return (label.ljust(label_width) + text).rstrip()

    headings = {name: heading for name, (_, heading, _) in shown.items()}
    measures = {name: measure for name, (_, _, measure) in shown.items()}
    return [line("", headings), line("", measures), *(line(label, cells) for label, cells in lines)]


def _title(table: PlainTable, row: StoredRun, baseline: StoredRun | None) -> str:
    name = row.row if baseline is None else f"{row.row} against baseline"
    shots = row.params.get("eval.shots", UNKNOWN)
    return f"{name}   {table['scale']}, seed {row.seed}, {shots} shots, one training run: no interval over seeds"


def _stored_line(store: Store) -> str:
    uri = quote(store.shown_uri)
    look = f"mlflow ui --backend-store-uri {uri}" if store.file else store.shown_uri
    where = relative(store.file) if store.file else store.shown_uri
    return f"stored: {where}   query: export {URI_VARIABLE}={uri}   look: make dashboard   ui: {look}"


def _next(row: StoredRun) -> str:
    scale, overrides, further = row.tags["scale"], row.tags.get("overrides", ""), origin(row.row, [row])
    plain = not overrides and not further[CONFIG_DIR]
    if row.row == BASELINE and plain:
        return f"python -m experiments.run ablation=xattn_every_4th scale={scale}"
    if row.row in table3.rows() and plain:
        return f"python -m experiments.table3 scale={scale} --rows {row.row} --seeds {SEEDS}"
    others = [seed for seed in range(SEEDS) if seed != row.seed]
    return command(row.row, scale=scale, seeds=others, overrides=overrides, **further)


def _terminal_width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH
