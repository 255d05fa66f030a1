"""The printed row: the figures of the store in the places the contract gives them, on any width of terminal."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.analysis.formats import figures, terminal
from experiments.analysis.formats import terminal_examples as shown
from experiments.analysis.table import build
from experiments.evaluation.benchmark import published
from experiments.published.table3 import rows as published_rows
from experiments.store import reader
from tests.experiments.stored_runs import a_certificate, a_tree, answers, scored

StoreRun = Callable[..., str]

BASELINE_COSTS = {"params_total": 2_250_000.0, "params_trainable": 1_350_000.0, "step_time_s": 0.453}
ROW_COSTS = {
    **{"params_total": 1_550_000.0, "params_trainable": 650_000.0, "step_time_s": 0.212},
    **{"step_time_ratio": 0.64, "step_time_ratio_low": 0.62, "step_time_ratio_high": 0.66},
    "paired_baseline_step_time_s": 0.331,  # of the row's own rounds, another hour than the baseline's above
}


def some_predictions(seed: int) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    return {one.name: answers(rng.choice([0.0, 100.0], 30).tolist(), benchmark=one.name) for one in published()}


@pytest.fixture
def stored(store_run: StoreRun) -> dict[str, reader.StoredRun]:
    """A baseline and a row, complete."""
    store_run(metrics=BASELINE_COSTS, predictions=some_predictions(0), certificate=a_certificate())
    row = a_certificate()
    del row["weights"]["xattn.1"]
    store_run("xattn_every_4th", metrics=ROW_COSTS, predictions=some_predictions(1), certificate=row)
    return {run.row: run for run in reader.runs()}


def printed(*runs: reader.StoredRun, width: int = 120, **arguments: Any) -> str:
    """The last run beside the first, where there are two."""
    built = build.build(runs, scale=runs[0].tags["scale"], seeds=[runs[0].seed])
    return terminal.printed_row(built, runs[-1], runs[0] if len(runs) > 1 else None, width=width, **arguments)


def line_of(text: str, label: str, *, nth: int = 0) -> str:
    return [line for line in text.splitlines()[1:] if re.match(rf"{re.escape(label)}(  |$)", line)][nth]


def test_the_lines_are_those_of_the_contract(
    stored: dict[str, reader.StoredRun], store_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels, headings and their order, to the letter; what is known of the published rows, to the digit."""
    monkeypatch.chdir(store_file.parents[1])
    lines = printed(stored["baseline"], stored["xattn_every_4th"]).splitlines()
    assert lines[:3] == [
        "xattn_every_4th against baseline   tiny, seed 0, 4 shots, one training run: no interval over seeds",
        "                     params  trained  step time  ratio   COCO  OKVQA  VQAv2 MSVDQA  VATEX  Overall",
        "                                                        CIDEr   top1   top1   top1  CIDEr",
    ]
    assert [line[:19].rstrip() for line in lines[3:12]] == [
        *(
            "baseline",
            "xattn_every_4th",
            "  difference",
            "  95% over examples",
            "  blind: baseline",
            "  blind: this row",
        ),
        *("published baseline", "published Every 4th", "  difference"),
    ]
    assert lines[9:12] == [
        "published baseline     3.2B        -     1.74 s   1.00   86.5   42.1   55.8   36.3   53.4     70.7",
        "published Every 4th    2.3B        -     1.02 s   0.59   82.3   42.7   55.1   34.6   50.8     68.8",
        "  difference          -0.9B        -    -0.72 s          -4.2   +0.6   -0.7   -1.7   -2.6     -1.9",
    ]
    assert lines[12:16] == [
        "paired: 4 of 4 untouched modules, batches, prompts, data equal",
        "Overall here divides by the tiny scale's ceilings: compare differences with the published rows, not levels.",
        f"stored: store/mlflow.db   query: export MLFLOW_TRACKING_URI=sqlite:///{store_file}   look: make dashboard   "
        f"ui: mlflow ui --backend-store-uri sqlite:///{store_file}",
        "next: python -m experiments.table3 scale=tiny --rows xattn_every_4th --seeds 5",
    ]
    assert lines[3].startswith("baseline              2.25M    1.35M     331 ms   1.00 ")
    assert lines[4].startswith("xattn_every_4th       1.55M    0.65M     212 ms   0.64 ")
    assert lines[5].startswith("  difference         -0.70M   -0.70M    -119 ms        ")
    assert lines[6].startswith("  95% over examples                             +-0.02 ")
    assert all(line == line.rstrip() for line in lines)


def test_without_the_baselines_step_of_the_same_rounds_no_ms_stand_beside_it(store_run: StoreRun) -> None:
    """A row that older code timed: its ratio with the interval, and no ms that would contradict it."""
    unpaired = {name: value for name, value in ROW_COSTS.items() if not name.startswith("paired")}
    store_run(metrics=BASELINE_COSTS, predictions=some_predictions(0), certificate=a_certificate())
    store_run("xattn_every_4th", metrics=unpaired, predictions=some_predictions(1), certificate=a_certificate())
    runs = {run.row: run for run in reader.runs()}
    lines = printed(runs["baseline"], runs["xattn_every_4th"]).splitlines()
    assert lines[3].startswith("baseline              2.25M    1.35M     453 ms   1.00 ")
    assert lines[4].startswith("xattn_every_4th       1.55M    0.65M          -   0.64 ")
    assert lines[5].startswith("  difference         -0.70M   -0.70M          -        ")
    assert lines[6].startswith("  95% over examples                             +-0.02 ")


@pytest.mark.parametrize(
    ("base", "ratio", "cell"),
    [(0.196, 0.9, "176/196 ms"), (0.0402, 0.8, "32/40 ms"), (0.0091, 0.5, "4.5/9.1 ms"), (2.1, 0.5, "1.1/2.1 s")],
)
def test_in_a_table_a_rows_step_stands_with_the_baselines_of_its_rounds(
    store_run: StoreRun, base: float, ratio: float, cell: str
) -> None:
    """The baseline's own line is of another hour: 453 ms. The row's cell agrees with its ratio."""
    costs = {"step_time_s": ratio * base, "step_time_ratio": ratio, "paired_baseline_step_time_s": base}
    store_run(metrics=BASELINE_COSTS, certificate=a_certificate())
    store_run("xattn_every_4th", metrics=costs, certificate=a_certificate())
    built = build.build(reader.runs(), scale="tiny", seeds=[0])
    text = terminal.printed_table(built, width=120)
    level = line_of(text, "xattn_every_4th")
    assert f" {cell}   {ratio:.2f}" in level
    assert figures.seconds((ratio - 1) * base, like=base, signed=True) in line_of(text, "  difference")
    assert " 453 ms   1.00" in line_of(text, "baseline")
    assert "the baseline's in the same rounds" in built["method"]


def test_every_printed_score_is_the_stored_one(stored: dict[str, reader.StoredRun]) -> None:
    """Scores, differences, half-widths and blind twins, rounded once, from what `--json` prints."""
    runs = stored["baseline"], stored["xattn_every_4th"]
    text = printed(*runs)
    ours, theirs = scored(some_predictions(1)), scored(some_predictions(0))
    metrics = [*(one.metric for one in published()), "overall"]
    row = build.build(runs, scale="tiny", seeds=[0])["rows"][1]
    whole = {**row["scores"], "overall": row["overall"]}

    def scores_in(label: str, nth: int = 0) -> list[str]:
        return line_of(text, label, nth=nth).split()[-6:]

    assert scores_in("baseline") == [f"{theirs[metric]:.1f}" for metric in metrics]
    assert scores_in("xattn_every_4th") == [f"{ours[metric]:.1f}" for metric in metrics]
    assert scores_in("  difference") == [f"{ours[metric] - theirs[metric]:+.1f}" for metric in metrics]
    halves = [(whole[metric]["high"] - whole[metric]["low"]) / 2 for metric in metrics]  # type: ignore[literal-required]
    assert scores_in("  95% over examples") == [f"+-{half:.1f}" for half in halves]
    assert scores_in("  blind: baseline") == [f"{theirs[f'blind_{metric}']:.1f}" for metric in metrics]
    assert scores_in("  blind: this row") == [f"{ours[f'blind_{metric}']:.1f}" for metric in metrics]


@pytest.mark.parametrize(
    ("width", "dropped"),
    [(98, ()), (97, ("trained",)), (80, ("trained", "step time")), (71, ("trained", "step time", "ratio")), (20, ...)],
)
def test_a_narrow_terminal_drops_columns_and_never_a_score(
    width: int, dropped: Any, stored: dict[str, reader.StoredRun]
) -> None:
    """From `trained` on, as many as it takes; every other column stays as it is on a wide one."""
    wide = printed(stored["baseline"], stored["xattn_every_4th"]).splitlines()
    narrow = printed(stored["baseline"], stored["xattn_every_4th"], width=width).splitlines()
    dropped = ("trained", "step time", "ratio") if dropped is ... else dropped
    assert [name for name in ("trained", "step time", "ratio") if name not in narrow[1]] == list(dropped)
    for heading in ("params", *(one.label for one in published()), "Overall"):
        wide_end, narrow_end = (lines[1].index(heading) + len(heading) for lines in (wide, narrow))
        for place in range(3, 12):
            cells = [wide[place][:wide_end].split()[-1], narrow[place][:narrow_end].split()[-1]]
            assert cells[0] == cells[1]
    if width > 80:
        assert max(map(len, narrow[1:12])) <= width


def test_the_baseline_alone_is_printed_with_its_published_row(stored: dict[str, reader.StoredRun]) -> None:
    """No differences, no pairing; the next step is an ablation."""
    text = printed(stored["baseline"])
    labels = [line[:19].rstrip() for line in text.splitlines()[3:6]]
    assert labels == ["baseline", "  blind: baseline", "published baseline"]
    assert text.startswith("baseline   tiny, seed 0, 4 shots, one training run")
    assert "  difference" not in text and "paired:" not in text and "PAIRED" not in text
    assert "next: python -m experiments.run ablation=xattn_every_4th scale=tiny\n" in text


def test_a_row_without_a_baseline_stands_alone(store_run: StoreRun) -> None:
    """`compare=false`: its own figures and the published row's, no ratio, no difference."""
    store_run("xattn_every_4th", metrics={"params_total": 1e6, "coco_cider": 7.0})
    text = printed(reader.runs()[0])
    lines = text.splitlines()
    assert lines[0].startswith("xattn_every_4th   tiny")
    assert [line[:19].rstrip() for line in lines[3:6]] == [
        "xattn_every_4th",
        "  blind: this row",
        "published Every 4th",
    ]
    assert line_of(text, "xattn_every_4th").split() == ["xattn_every_4th", "1.00M", *"---", "7.0", *"-----"]
    assert "  difference" not in text and "paired" not in text


def test_a_combination_has_no_published_row(stored: dict[str, reader.StoredRun], store_run: StoreRun) -> None:
    """The published baseline still stands beside the baseline; a long name moves the columns, not the figures."""
    store_run("xattn_every_4th+resampler_mlp", metrics=ROW_COSTS)
    text = printed(stored["baseline"], reader.runs()[0])
    assert [line for line in text.splitlines() if line.startswith("published")] == [line_of(text, "published baseline")]
    assert line_of(text, "published baseline").split()[2:4] == ["3.2B", "-"]
    assert "xattn_every_4th+resampler_mlp   1.55M    0.65M     212 ms" in text
    assert (
        "next: python -m experiments.run -m 'ablation=[xattn_every_4th,resampler_mlp]' scale=tiny seed=1,2,3,4" in text
    )


def test_a_pair_that_differs_is_shouted(stored: dict[str, reader.StoredRun], store_run: StoreRun) -> None:
    """What differs is named; without a certificate nothing is claimed."""
    other = a_certificate()
    other["environment"]["threads"] = 2
    store_run("xattn_every_2nd", certificate=other, tree=a_tree("every_2nd"))
    assert "NOT PAIRED: environment.threads (2 against 1)\n" in printed(stored["baseline"], reader.runs()[0])
    store_run("resampler_mlp")
    assert "NOT PAIRED: no certificate is stored\n" in printed(stored["baseline"], reader.runs()[0])


def test_overrides_are_said(store_run: StoreRun) -> None:
    """A reader sees that this is not the scale's own recipe."""
    store_run("xattn_every_4th", overrides=("eval.shots=0",))
    text = printed(reader.runs()[0])
    assert "eval.shots=0   (no table takes such a run)" in text
    assert "next: python -m experiments.run -m ablation=xattn_every_4th scale=tiny seed=1,2,3,4 eval.shots=0\n" in text


@pytest.mark.parametrize("name", ["baseline", "xattn_every_4th", "my_row"])
def test_what_comes_next_names_what_is_not_ours(name: str, store_run: StoreRun) -> None:
    """A scale of one's own is none that the command of the whole table could find."""
    store_run(name, scale="my_scale", tree=a_tree(components=["my.module"]), config_dir="/home/me/conf")
    words = shlex.split(printed(reader.runs()[0]).split("\nnext: ")[1].splitlines()[0])
    assert words[:3] == ["python", "-m", "experiments.run"]
    assert words[-3:] == ["components=[my.module]", "--config-dir", "/home/me/conf"]
    assert f"ablation={name}" in words or name == "baseline"


@pytest.mark.parametrize("name", list(published_rows()))
def test_every_published_row_is_printed_from_the_csv(name: str, store_run: StoreRun) -> None:
    """Its label is the setting the paper changed; its figures are the csv's."""
    store_run(name, tree=a_tree())
    row = published_rows()[name]
    text = printed(reader.runs()[0])
    line = line_of(text, f"published {row.changed_value or 'baseline'}")
    figures = [f"{row.scores[one.metric]:.1f}" for one in published()]
    assert line.split()[-6:] == [*figures, f"{row.overall:.1f}"]
    assert f"{row.params_b}B" in line and f"{row.step_time_s:.2f} s" in line


@pytest.mark.parametrize(
    ("form", "value", "like", "expected"),
    [
        (figures.count, 80_100_000_000.0, None, "80.10B"),
        (figures.count, 2_254_999.0, None, "2.25M"),
        (figures.count, 12_300.0, None, "12.30K"),
        (figures.count, 17.0, None, "17"),
        (figures.count, 650_000.0, 1.55e6, "+0.65M"),
        (figures.count, -700_000.0, 2.25e6, "-0.70M"),
        (figures.count, 0.0, 2.25e6, "0.00M"),
        (figures.seconds, 0.0421, None, "42.1 ms"),
        (figures.seconds, 0.331, None, "331 ms"),
        (figures.seconds, 1.744, None, "1.74 s"),
        (figures.seconds, -0.2, 1.1, "-0.20 s"),
        (figures.seconds, 0.05, 0.331, "+50 ms"),
        (figures.seconds, None, None, "-"),
    ],
)
def test_numbers_are_written_in_their_unit(
    form: Callable[..., str], value: float | None, like: float | None, expected: str
) -> None:
    """A difference is written in the unit of what it is a difference from, with its sign."""
    assert form(value, like=like, signed=like is not None) == expected


def test_a_difference_that_rounds_to_nothing_has_no_sign() -> None:
    """Neither +0.0 nor -0.0 is printed."""
    assert [figures.points(value, signed=True) for value in (-0.04, 0.04, 0.0, 0.06)] == ["0.0", "0.0", "0.0", "+0.1"]


def test_predictions_are_the_first_that_flip(store_run: StoreRun) -> None:
    """Each of another benchmark, where one is right and the other wrong, with what the model saw and was asked."""
    base = {one.name: answers([100.0] * 6, benchmark=one.name) for one in published()}
    ours = {one.name: answers([100.0] * 6, benchmark=one.name) for one in published()}
    ours["okvqa"] = answers([100.0, 100.0, 0.0, 0.0, 100.0, 100.0], benchmark="okvqa")
    ours["msvdqa"] = answers([100.0, 30.0, 0.0, 0.0, 100.0, 100.0], benchmark="msvdqa")
    store_run(predictions=base)
    store_run("xattn_every_4th", predictions=ours)
    runs = {run.row: run for run in reader.runs()}
    runs = {name: runs[name] for name in ("baseline", "xattn_every_4th")}
    chosen = shown.choose(runs, published())
    assert [(one.benchmark.name, one.answers["baseline"]["id"], one.flipped) for one in chosen] == [
        ("coco", "coco/0", False),
        ("okvqa", "okvqa/2", True),
        ("msvdqa", "msvdqa/1", True),
    ]
    text = printed(*runs.values(), picture_file=lambda _, medium: Path("/pictures") / f"{medium.replace('/', '_')}.png")
    block = text[text.index("3 predictions") :].splitlines()
    assert block[7:13] == [
        "OKVQA   what is in picture 2 ?   [okvqa/2]",
        "  picture          /pictures/medium_2.png",
        "  demonstrations   red | two | a ball | yes",
        "  references       blue | navy",
        "  baseline         answer 2 right   right",
        "  xattn_every_4th  answer 2 wrong   wrong",
    ]
    assert block[1] == "COCO   (a caption)   [coco/0]" and block[5].endswith("CIDEr 100.0")
    assert block[-1].endswith("wrong (30.0 points)")


def test_text_from_a_model_cannot_steer_the_terminal(store_run: StoreRun) -> None:
    """Escape sequences and line breaks in answers and questions are spelled out."""
    frame = answers([0.0]).assign(answer="\x1b[2Jblue\nnext", prompt="<image> what\r?")
    store_run(predictions={"vqav2": frame})
    text = printed(reader.runs()[0])
    assert "\x1b" not in text and "\r" not in text
    assert "\\x1b[2Jblue\\nnext   wrong" in text


def test_an_empty_answer_is_said(store_run: StoreRun) -> None:
    """A model that answers nothing leaves no gap that reads like a fault of the printing."""
    store_run(predictions={"vqav2": answers([0.0]).assign(answer="")})
    assert "  (nothing)   wrong" in printed(reader.runs()[0])


def test_without_predictions_no_block_is_printed(store_run: StoreRun) -> None:
    """The row ends with what to do next."""
    store_run()
    assert printed(reader.runs()[0]).splitlines()[-1].startswith("next: ")
