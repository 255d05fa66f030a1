"""Three examples under the printed row: the question and image, each model's answer, and whether it is right.

The choice depends only on the stored predictions: from each benchmark, the first example that one model answers right
and the other wrong; if there are fewer than three, the first example of other benchmarks.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.common.plain_text import visible
from experiments.data.marks import IMAGE
from experiments.store import damage, reader
from experiments.store.columns import Column
from experiments.store.stored_run import StoredRun

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 3
RIGHT_FROM = 50.0  # an answer with at least this many points counts as right: half of the maximum score


@dataclass(frozen=True)
class Example:
    """One example as each run answered it; the runs share question, demonstrations and references."""

    benchmark: Column
    answers: dict[str, Any]  # the row of the predictions frame, by run name
    flipped: bool


def predictions_block(
    row: StoredRun,
    baseline: StoredRun | None,
    picture_file: Callable[[str, str], Path | None] | None,
    benchmarks: Sequence[Column],
) -> list[str]:
    """The printed lines; empty if no predictions of these benchmarks are stored."""
    runs = {run.row: run for run in (baseline, row) if run is not None}
    chosen = choose(runs, benchmarks)
    if not chosen:
        return []
    what = "first answered right by one and wrong by the other" if len(runs) > 1 else "first of their benchmarks"
    if len(runs) > 1 and not all(example.flipped for example in chosen):
        what = f"{what}, else first of their benchmarks" if any(x.flipped for x in chosen) else "no answer flips"
    lines = ["", f"{len(chosen)} predictions ({what}):"]
    width = max(len("demonstrations"), *(len(name) for name in runs))
    for example in chosen:
        lines += _printed(example, picture_file, width)
    return lines


def choose(runs: dict[str, StoredRun], benchmarks: Sequence[Column]) -> list[Example]:
    """Up to three examples from different benchmarks, in the order of the benchmarks."""
    flips: list[Example] = []
    firsts: list[Example] = []
    for benchmark in benchmarks:
        frames = {name: _readable(run, benchmark) for name, run in runs.items()}
        rows = _side_by_side({name: frame for name, frame in frames.items() if frame is not None})
        if len(frames) > len(rows[0] if rows else ()):
            continue  # one of them has no predictions here
        flipped = next((answers for answers in rows if _flips(benchmark, answers)), None)
        if flipped is not None:
            flips.append(Example(benchmark, flipped, flipped=True))
        else:
            firsts.append(Example(benchmark, rows[0], flipped=False))
    chosen = [*flips, *firsts][:SHOWN]
    return sorted(chosen, key=lambda example: benchmarks.index(example.benchmark))


def _readable(run: StoredRun, benchmark: Column) -> "pd.DataFrame | None":
    """A run's predictions; None if they are missing, or, with a warning, if they cannot be read."""
    try:
        return reader.load_predictions(run, benchmark.name)
    except damage.UNREADABLE as error:
        damage.tell(f"{damage.in_words(error)}\nhint: {damage.makes_again(run, stored=True)}")
        return None


def judgement(benchmark: Column, score: float) -> str:
    """`right` or `wrong`, with the points where annotators disagree; a graded answer's score in points."""
    if benchmark.graded:
        return f"{benchmark.measure} {score:.1f}"
    word = "right" if score >= RIGHT_FROM else "wrong"
    return word if score in (0.0, 100.0) else f"{word} ({score:.1f} points)"


def relative(file: Path) -> str:
    """The path relative to the working directory if the file is below it, else unchanged."""
    here = Path(os.getcwd())
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _side_by_side(frames: "dict[str, pd.DataFrame]") -> list[dict[str, Any]]:
    """The examples that all frames contain, in the order of the first frame."""
    by_id = {
        name: {record["id"]: record for record in frame.to_dict("records")}  # one record per prediction
        for name, frame in frames.items()
    }
    if not by_id:
        return []
    first = next(iter(by_id.values()))
    return [
        {name: records[identity] for name, records in by_id.items()}
        for identity in first
        if all(identity in records for records in by_id.values())
    ]


def _flips(benchmark: Column, answers: dict[str, Any]) -> bool:
    return not benchmark.graded and len({answer["score"] >= RIGHT_FROM for answer in answers.values()}) > 1


def _printed(example: Example, picture_file: Callable[[str, str], Path | None] | None, width: int) -> list[str]:
    any_run = next(iter(example.answers.values()))
    question = any_run["prompt"].rsplit(IMAGE, 1)[-1].strip() or "(a caption)"
    medium = any_run["medium"]
    file = None if picture_file is None else picture_file(example.benchmark.name, medium)
    picture = medium if file is None else relative(file)
    facts = {
        "picture": picture,
        "demonstrations": " | ".join(map(str, any_run["demonstrations"])),
        "references": " | ".join(dict.fromkeys(map(str, any_run["references"]))),
    }
    lines = [f"{example.benchmark.label}   {visible(question)}   [{visible(any_run['id'])}]"]
    lines += [f"  {name.ljust(width)}  {visible(text)}" for name, text in facts.items()]
    for name, answer in example.answers.items():
        verdict = judgement(example.benchmark, answer["score"])
        said = visible(answer["answer"]) or "(nothing)"
        lines.append(f"  {name.ljust(width)}  {said}   {verdict}")
    return lines
