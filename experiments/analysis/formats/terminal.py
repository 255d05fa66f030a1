"""The printed row: one row beside the baseline and beside the published one, as plain text.

Figures come from the table's object, so that what is printed is what `--json` prints. Numbers of the second header line
are points; what is not known is `-`. An interval is printed as half its width.
"""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shlex import quote

from experiments.analysis.formats.terminal_examples import predictions_block, relative
from experiments.analysis.table import pairing
from experiments.analysis.table.build import Overall, PlainTable, Row, is_over_examples, left_out_in_words
from experiments.analysis.table.step_times import shown_step_time_s
from experiments.common.plain_text import visible
from experiments.published import table3
from experiments.published.table3 import BASELINE
from experiments.store.commands import command, origin
from experiments.store.error import URI_VARIABLE
from experiments.store.locate import Store, locate
from experiments.store.names import BENCHMARKS, CONFIG_DIR, OVERALL, SCORES
from experiments.store.stored_run import StoredRun

UNKNOWN = "-"
PIPE_WIDTH = 120  # columns where there is no terminal
LABEL_WIDTH = 19
SEEDS = 5  # of the whole table, proposed at the end

# Column -> (width, heading, what is measured). A narrow terminal drops DROPPED, in this order.
COLUMNS = {
    "params": (8, "params", ""),
    "trained": (9, "trained", ""),
    "step_time": (11, "step time", ""),
    "ratio": (7, "ratio", ""),
    **{benchmark.metric: (7, benchmark.label, benchmark.measure) for benchmark in BENCHMARKS},
    OVERALL: (9, "Overall", ""),
}
DROPPED = ("trained", "step_time", "ratio")
UNITS = ((1e9, "B"), (1e6, "M"), (1e3, "K"))

Line = tuple[str, dict[str, str]]  # label, cells by column


def printed_row(
    table: PlainTable,
    row: StoredRun,
    baseline: StoredRun | None = None,
    *,
    picture_file: Callable[[str], Path | None] | None = None,
    width: int | None = None,
) -> str:
    """The row that one run is, beside its baseline of the same seed where it has one, and beside the paper's.

    `table` is built from just these runs; `picture_file` says where a medium's picture is, if anywhere.
    `row` may be the baseline.
    """
    if row.row == BASELINE:
        baseline = None
    rows = {entry["row"]: entry for entry in table["rows"]}
    ours, theirs = rows[row.row], rows[BASELINE] if baseline else None
    lines = [*_own_lines(ours, theirs), *_published_lines(row.row, alone=baseline is None)]
    store = locate()
    text = [_title(table, row, baseline), *_aligned(lines, _terminal_width() if width is None else width)]
    if baseline is not None:
        pair = pairing.of_runs(row, baseline)
        text.append(pair.sentence() if pair else "NOT PAIRED: no certificate is stored")
    if row.tags.get("overrides"):
        text.append(f"changed for the baseline as well: {row.tags['overrides']}   (no table takes such a run)")
    text.append(
        f"Overall here divides by the {table['scale']} scale's ceilings: "
        "compare differences with the published rows, not levels."
    )
    if row.row != BASELINE and table["left_out"]["other_designs"]:
        text.append(f"{left_out_in_words(table['left_out'])}   (tables show the newest)")
    text += [_stored_line(store), f"next: {_next(row)}"]
    return "\n".join(map(visible, [*text, *predictions_block(row, baseline, picture_file)])) + "\n"


def printed_table(table: PlainTable, *, width: int | None = None) -> str:
    """All rows, each with its difference from the baseline and the published row under it."""
    lines: list[Line] = []
    for row in table["rows"]:
        lines.append((row["row"], {**_level(row), "step_time": step_time_beside(row)}))
        if row["row"] != BASELINE:
            cells = {name: points(score["difference"], signed=True) for name, score in _by_column(row).items()}
            cells["step_time"] = step_time_difference(row)
            verdict = row["overall"]["verdict"]
            lines.append(("  difference" if verdict is None else f"  {verdict}{seeds_in_plan(row['overall'])}", cells))
            if row["overall"]["low"] is not None:
                over = "examples" if is_over_examples(row["overall"]) else "seeds"
                lines.append((f"  95% over {over}", _half_widths(row)))
        lines += [(f"  {label}", cells) for label, cells in _published_lines(row["row"], alone=True)[:1]]
    seeds = ", ".join(map(str, table["seeds"]))
    title = f"{table['scale']}, seed{'s' if len(table['seeds']) > 1 else ''} {seeds}   {table['method']}"
    text = [title, *_aligned(lines, _terminal_width() if width is None else width)]
    text += [
        f"{row['row']} is NOT PAIRED with the baseline" for row in table["rows"] if row["certificate"] == "differs"
    ]
    text += [f"missing: {command}" for row in table["rows"] for command in row["missing"]]
    return "\n".join(map(visible, text)) + "\n"


def seeds_in_plan(overall: Overall) -> str:
    """What follows `undecided`: how many seeds would probably decide; nothing where that is not known."""
    return f", about {overall['seeds_needed']} seeds for 80%" if overall["seeds_needed"] else ""


def count(value: float | None, *, like: float | None = None, signed: bool = False) -> str:
    """Parameters as `2.25M`; `like` gives the unit, of a part or a difference that of the whole."""
    if value is None:
        return UNKNOWN
    size = abs(value if like is None else like)
    unit, letter = next((unit for unit in UNITS if size >= unit[0]), (1, ""))
    return _number(value / unit, 2 if letter else 0, signed=signed) + letter


def seconds(value: float | None, *, like: float | None = None, signed: bool = False) -> str:
    """A step time as `331 ms` or `1.74 s`; `like` gives the unit of a difference."""
    if value is None:
        return UNKNOWN
    size = value if like is None else like
    if size >= 1:
        return _number(value, 2, signed=signed) + " s"
    return _number(1000 * value, 0 if size >= 0.1 else 1, signed=signed) + " ms"


def step_time(row: Row) -> str:
    """A row's step beside the baseline's; where they are not of the same rounds, the ratio says all."""
    shown = shown_step_time_s(row, is_baseline=row["row"] == BASELINE)
    return seconds(shown, like=row["paired_baseline_step_time_s"])


def step_time_beside(row: Row) -> str:
    """Where the baseline's line is of other rounds: `184/196 ms`, the row's step and the baseline's of its own."""
    base = row["paired_baseline_step_time_s"]
    own = shown_step_time_s(row, is_baseline=row["row"] == BASELINE)
    if base is None or own is None:
        return step_time(row)
    unit, size = ("s", base) if base >= 1 else ("ms", 1000 * base)
    digits = 1 if size < 10 else 0  # short enough for its column
    return f"{_number(own * size / base, digits, signed=False)}/{_number(size, digits, signed=False)} {unit}"


def step_time_difference(row: Row) -> str:
    """From the baseline's of the same rounds; never of two timing passes."""
    return seconds(row["step_time_difference_s"], like=row["paired_baseline_step_time_s"], signed=True)


def points(value: float | None, *, signed: bool = False) -> str:
    """A score, or with a sign a difference of scores."""
    return UNKNOWN if value is None else _number(value, 1, signed=signed)


def _number(value: float, digits: int, *, signed: bool) -> str:
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text  # neither -0.0 nor +0.0


def _minus(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours - theirs


def _plus_minus(low: float | None, high: float | None, *, digits: int) -> str:
    return UNKNOWN if low is None or high is None else f"+-{(high - low) / 2:.{digits}f}"


def _own_lines(row: Row, baseline: Row | None) -> list[Line]:
    if baseline is None:
        lines = [(row["row"], {**_level(row), "step_time": seconds(row["step_time_s"])})]
    else:
        beside = row["paired_baseline_step_time_s"]  # the baseline's of the rounds that the ratio is of
        of_baseline = _level(baseline) if beside is None else {**_level(baseline), "step_time": seconds(beside)}
        lines = [(BASELINE, of_baseline), (row["row"], _level(row))]
        lines.append(("  difference", _difference(row, baseline)))
        cells = {"ratio": _plus_minus(row["step_time_ratio_low"], row["step_time_ratio_high"], digits=2)}
        lines.append(("  95% over examples", {**cells, **_half_widths(row)}))
        lines.append(("  blind: baseline", _blind(baseline)))
    lines.append(("  blind: baseline" if row["row"] == BASELINE else "  blind: this row", _blind(row)))
    return lines


def _level(row: Row) -> dict[str, str]:
    return {
        "params": count(row["params_total"]),
        "trained": count(row["params_trainable"], like=row["params_total"]),
        "step_time": step_time(row),
        "ratio": UNKNOWN if row["step_time_ratio"] is None else f"{row['step_time_ratio']:.2f}",
        **{name: points(score["mean"]) for name, score in _by_column(row).items()},
    }


def _difference(row: Row, baseline: Row) -> dict[str, str]:
    total = baseline["params_total"]
    return {
        "params": count(_minus(row["params_total"], total), like=total, signed=True),
        "trained": count(_minus(row["params_trainable"], baseline["params_trainable"]), like=total, signed=True),
        "step_time": step_time_difference(row),
        **{name: points(score["difference"], signed=True) for name, score in _by_column(row).items()},
    }


def _half_widths(row: Row) -> dict[str, str]:
    return {name: _plus_minus(score["low"], score["high"], digits=1) for name, score in _by_column(row).items()}


def _blind(row: Row) -> dict[str, str]:
    return {name: points(score["blind"]) for name, score in _by_column(row).items()}


def _by_column(row: Row) -> Mapping[str, Mapping[str, float | None]]:
    return {**row["scores"], OVERALL: row["overall"]}  # type: ignore[dict-item]  # a TypedDict that has more keys


def _published_lines(name: str, *, alone: bool) -> list[Line]:
    """The paper's baseline, and its row and difference where it has this row."""
    base, row = table3.rows()[BASELINE], table3.rows().get(name)

    def level(one: table3.PublishedRow) -> dict[str, str]:
        return {
            "params": f"{one.params_b:.1f}B",
            "trained": UNKNOWN,
            "step_time": seconds(one.step_time_s, like=base.step_time_s),
            "ratio": f"{one.step_time_s / base.step_time_s:.2f}",
            **{metric: points(one.scores[metric]) for metric in SCORES},
            OVERALL: points(one.overall),
        }

    lines = [("published baseline", level(base))]
    if row is not None and row is not base:
        lines.append((f"published {row.changed_value}", level(row)))
        difference = {metric: points(row.scores[metric] - base.scores[metric], signed=True) for metric in SCORES}
        lines.append(
            (
                "  difference",
                {
                    "params": _number(row.params_b - base.params_b, 1, signed=True) + "B",
                    "trained": UNKNOWN,
                    "step_time": seconds(row.step_time_s - base.step_time_s, like=base.step_time_s, signed=True),
                    **difference,
                    OVERALL: points(row.overall - base.overall, signed=True),
                },
            )
        )
    return lines[1:2] if alone and row is not None and row is not base else lines


def _aligned(lines: Sequence[Line], width: int) -> list[str]:
    """Header and lines in columns, less those that a narrow terminal has no room for."""
    label_width = max(LABEL_WIDTH, *(len(label) for label, _ in lines))
    columns = dict(COLUMNS)
    for name in DROPPED:
        if label_width + sum(size for size, *_ in columns.values()) > width:
            del columns[name]

    def line(label: str, cells: Mapping[str, str]) -> str:
        text = "".join(cells.get(name, "").rjust(size) for name, (size, *_) in columns.items())
        return (label.ljust(label_width) + text).rstrip()

    headings = {name: heading for name, (_, heading, _) in columns.items()}
    measures = {name: measure for name, (_, _, measure) in columns.items()}
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
