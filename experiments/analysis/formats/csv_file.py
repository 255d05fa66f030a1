"""The table for a spreadsheet or a program: one line per row, numbers rounded to digits that are equal on every CPU."""

import csv
import io
from typing import Any

from experiments.analysis import Table
from experiments.analysis.formats import Format
from experiments.analysis.formats.figures import same_digits
from experiments.analysis.table.plain_table import Part
from experiments.analysis.table.row_view import RowView, ScoreView
from experiments.analysis.table.step_times import StepTimes
from experiments.common.plain_text import inert
from experiments.store.names import OVERALL


def as_csv(stored: Table) -> str:
    """One line per row, under a heading; unknown values are empty, run ids are joined by spaces, commands by `; `.

    Text that a spreadsheet would read as a formula starts with an apostrophe; numbers stay numbers.
    """
    text = io.StringIO()
    lines = [{key: same_digits(value) for key, value in _line(row).items()} for row in stored.views()]
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({key: inert(value) if isinstance(value, str) else value for key, value in line.items()})
    return text.getvalue()


def _line(row: RowView) -> dict[str, Any]:
    keys = ("row", "group", "n", "params_total", "params_trainable", *StepTimes.__annotations__)
    plain: dict[str, Any] = {**row.row, "step_time_s": row.step_time_s}
    paper = row.published
    return {
        "scale": row.table["scale"],
        **{key: plain[key] for key in keys},
        **{f"{score.metric}_{key}": value for score in row.all_scores for key, value in _of_score(score).items()},
        f"{OVERALL}_verdict": row.verdict,
        f"{OVERALL}_seeds_needed": row.seeds_needed,
        f"{OVERALL}_borrowed_noise": row.has_borrowed_noise,
        "family": plain["family"],
        "family_size": plain["family_size"],
        "certificate": plain["certificate"],
        "run_ids": " ".join(plain["run_ids"]),
        # this column exists only if some runs are unverified
        **({"unverified": " ".join(row.unverified)} if row.table["unverified"] else {}),
        "missing": "; ".join(plain["missing"]),
        "other_design_runs": row.other_design_runs,
        "broken": row.broken,
        "published_params_b": paper.params_b if paper else None,
        "published_step_time_s": paper.step_time_s if paper else None,
        **{
            f"published_{score.metric}": paper.all_scores[place].level if paper else None
            for place, score in enumerate(row.all_scores)
        },
    }


def _of_score(score: ScoreView) -> dict[str, Any]:
    """A score's numbers; those of its parts as `vision_low` and so on."""
    figures = {key: getattr(score, key) for key in ("mean", "difference", "low", "high", "blind")}
    return {**figures, **_of_part("language", score.language), **_of_part("vision", score.vision)}


def _of_part(name: str, part: Part | None) -> dict[str, Any]:
    return {
        name: part["difference"] if part else None,
        f"{name}_low": part["low"] if part else None,
        f"{name}_high": part["high"] if part else None,
    }


FORMAT = Format("csv", "a line a row, for a spreadsheet or a program", as_csv, place=3)
