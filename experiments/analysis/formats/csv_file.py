"""The table for a spreadsheet or a program: one line a row, figures in the digits that every processor agrees on."""

import csv
import io
from typing import Any

from experiments.analysis import Table
from experiments.analysis.formats.wording import same_digits
from experiments.analysis.table.build import Overall, Row, Score
from experiments.analysis.table.step_times import StepTimes, shown_step_time_s
from experiments.common.plain_text import inert
from experiments.published.table3 import BASELINE
from experiments.store.names import OVERALL

PARTS = ("language", "vision")


def as_csv(stored: Table) -> str:
    """One line a row, under a heading; what is not known is empty, run ids and commands stand with spaces or `; `.

    Text that a spreadsheet would take for a formula begins with an apostrophe; figures are figures.
    """
    text = io.StringIO()
    lines = [{key: same_digits(value) for key, value in _line(row, stored).items()} for row in stored.table["rows"]]
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({key: inert(value) if isinstance(value, str) else value for key, value in line.items()})
    return text.getvalue()


def _line(row: Row, stored: Table) -> dict[str, Any]:
    runs = stored.runs.get(row["row"], {}).values()
    unverified = " ".join(run.run_id for run in runs if not run.verified)
    keys = ("row", "group", "n", "params_total", "params_trainable", *StepTimes.__annotations__)
    shown = {**row, "step_time_s": shown_step_time_s(row, is_baseline=row["row"] == BASELINE)}
    return {
        "scale": stored.table["scale"],
        **{key: shown[key] for key in keys},
        **{
            f"{metric}_{key}": value
            for metric, score in (*row["scores"].items(), (OVERALL, row["overall"]))
            for key, value in _flat(score).items()
        },
        "family": row["family"],
        "family_size": row["family_size"],
        "certificate": row["certificate"],
        "run_ids": " ".join(row["run_ids"]),
        **(
            {"unverified": unverified} if stored.table["unverified"] else {}
        ),  # a column where there is something to say
        "missing": "; ".join(row["missing"]),
        "other_design_runs": sum(
            one["runs"] for one in stored.table["left_out"]["other_designs"] if one["row"] == row["row"]
        ),
        "broken": stored.broken.get(row["row"]),
        **{f"published_{name}": value for name, value in row["published"].items()},
    }


def _flat(score: Score | Overall) -> dict[str, Any]:
    """A score's figures, those of its parts as `vision_low` and so on."""
    flat: dict[str, Any] = {}
    for key, value in score.items():
        if key in PARTS:
            part: Any = value or {}
            flat[key] = part.get("difference")
            flat |= {f"{key}_{end}": part.get(end) for end in ("low", "high")}
        else:
            flat[key] = value
    return flat
