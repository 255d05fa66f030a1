"""The paper's Table 3: row names, groups, labels and published figures, from `table3.csv` next to this file."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE3 = Path(__file__).with_name("table3.csv")

# The columns of scores, by the MLflow metric names of our own scores.
COLUMNS = ("coco_cider", "okvqa_top1", "vqav2_top1", "msvdqa_top1", "vatex_cider")

# State-of-the-art scores that the paper divides by (COCO, OKVQA, VQAv2, MSVDQA, VATEX), from memory of its appendix:
# with them all 18 printed Overall scores are reproduced within 0.17.
CEILINGS = dict(zip(COLUMNS, (143.3, 54.4, 80.2, 47.9, 76.3), strict=True))

HARMLESS_POINTS = 1.0  # default margin in Overall points within which a difference is harmless
FEWEST_SEEDS = 3  # minimum for a verdict, of a row and of the baseline
BASELINE = "baseline"
COMBINATION = "combination"  # the group of a row with several ablations


@dataclass(frozen=True)
class PublishedRow:
    """One row of Table 3. Scores are in points, `params_b` in 1e9 parameters."""

    row: str
    group: str  # i to viii; `baseline` for the first row
    setting: str
    original_value: str
    changed_value: str
    params_b: float
    step_time_s: float
    scores: dict[str, float]  # by MLflow metric name
    overall: float


@cache
def rows() -> dict[str, PublishedRow]:
    """All rows by name, in the paper's order."""
    with TABLE3.open(newline="", encoding="utf-8") as file:
        return {
            line["row"]: PublishedRow(
                row=line["row"],
                group=line["group"] or BASELINE,
                setting=line["setting"],
                original_value=line["original_value"],
                changed_value=line["changed_value"],
                params_b=float(line["params_b"]),
                step_time_s=float(line["step_time_s"]),
                scores={metric: float(line[metric]) for metric in COLUMNS},
                overall=float(line["overall"]),
            )
            for line in csv.DictReader(file)
        }


def in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Ablation names in the order of the table; names of the user's own come last, sorted."""
    order = list(rows())
    return tuple(sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name)))


def has_own_group(name: str, group: str | None) -> bool:
    """Whether a row has a group that follows neither from the paper nor from its name."""
    return group not in (None, group_of(tuple(name.split("+"))))


def group_of(names: tuple[str, ...], own: str | None = None) -> str:
    """`i` to `viii`, `baseline`, or `combination`; for a row that is not in the paper, `own` or else its name."""
    if len(names) > 1:
        return COMBINATION
    name = names[0] if names else BASELINE
    return rows()[name].group if name in rows() else own or name
