"""How a table is put into words, wherever it stands: settings, labels, answers, and what a reader must be told."""

from collections.abc import Sequence
from typing import Any

from experiments.analysis.formats.terminal import points, seeds_in_plan
from experiments.analysis.table.build import Overall, PlainTable, Row, Score, is_over_examples
from experiments.published import table3
from experiments.published.table3 import BASELINE

OWN_ROWS = "Combinations and rows of our own"
PAIRED = {"equal": "paired", "differs": "NOT PAIRED", None: "no certificate"}
WORSE_OR_BETTER = (
    "Worse or better: the whole interval lies below or above zero; unclear: it holds zero. "
    "It speaks of these weights, not of the design"
)
BORROWED = "one run, noise borrowed from other rows"
PUBLISHED = "Table 3 of the Flamingo paper (Flamingo-3B, 4 shots), one run a row"


def setting_of(name: str) -> tuple[str, str]:
    """Group and setting as the paper has them, and the value that the rows change; rows of our own come last."""
    row = table3.rows().get(name)
    if row is None:
        return OWN_ROWS, ""
    return ("Baseline", "") if name == BASELINE else (f"({row.group}) {row.setting}", row.original_value)


def label_of(name: str) -> str:
    """The changed value as the paper has it; nothing for a row that it does not have."""
    row = table3.rows().get(name)
    return "" if row is None else row.setting if name == BASELINE else row.changed_value


def answer(overall: Overall) -> str:
    """The answer without a number: the verdict where there is one, else where the interval over examples lies."""
    low, high = overall["low"], overall["high"]
    if overall["difference"] is None:
        return "no seed in common"
    if overall.get("borrowed_noise"):
        return BORROWED
    if overall["verdict"] is not None:
        return f"{overall['verdict']}{seeds_in_plan(overall)}"
    if low is None or high is None:
        return "no interval"
    return "worse" if high < 0 else "better" if low > 0 else "unclear"


def interval(low: float | None, high: float | None) -> str:
    """Both ends as they stand after a figure; nothing where there is no interval."""
    if low is None or high is None:
        return ""
    return f" [{points(low, signed=True)}, {points(high, signed=True)}]"


def same_digits(value: Any) -> Any:
    """A number to eight significant digits, which are the same on every processor; anything else as it is.

    Sums and matrix products round differently with the width of a processor's vectors: of sixteen digits the last
    three or four may differ. The table itself and `--json` are not rounded.
    """
    return float(f"{value:.8g}") if isinstance(value, float) else value


def ratio_interval(row: Row) -> str:
    """Both ends of a step time ratio's interval as they stand after it; nothing where there is none."""
    low, high = row["step_time_ratio_low"], row["step_time_ratio_high"]
    return "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"


def over(overall: Overall) -> str:
    """What an interval is over: seeds, or at one seed examples."""
    return "95% over examples" if is_over_examples(overall) else "95% over seeds"


def parts_in_words(score: Score) -> str:
    """How a difference splits: what is no longer seen, and what is no longer said. Nothing at one seed."""
    vision, language = score["vision"], score["language"]
    if vision is None or language is None:
        return ""
    shown = (points(part["difference"], signed=True) for part in (vision, language))
    return "vision {}, language {}".format(*shown)


def seeds_in_words(seeds: Sequence[int]) -> str:
    """`seed 0`, `seeds 0, 2`, `seeds 0 to 4`."""
    in_a_row = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    listed = f"{seeds[0]} to {seeds[-1]}" if in_a_row else ", ".join(map(str, seeds))
    return f"seed{'s' if len(seeds) > 1 else ''} {listed}"


def own_caption(table: PlainTable) -> str:
    """Scale, seeds, method and what Overall divides by: what nobody may have to look for."""
    scale, seeds = table["scale"], table["seeds"]
    if not any(row["n"] for row in table["rows"]):
        return f"Ours: no finished baseline is stored at scale {scale}; {table['method']}."
    has_examples = any(is_over_examples(row["overall"]) for row in table["rows"])
    words = f" {WORSE_OR_BETTER}." if has_examples else ""
    of_baseline = next((row["n"] for row in table["rows"] if row["row"] == BASELINE), 0)
    more = f", of the baseline {of_baseline}" if of_baseline > len(seeds) else ""
    return (
        f"Ours: scale {scale}, n = {len(seeds)} ({seeds_in_words(seeds)}){more}; {table['method']}.{words} Our Overall "
        f"divides by the {scale} scale's ceilings: compare differences with the published ones, not levels."
    )
