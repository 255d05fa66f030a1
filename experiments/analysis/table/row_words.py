"""Words for a row: its setting, its label, the answer without a number."""

from experiments.analysis.table.plain_table import Overall, is_over_examples
from experiments.published import table3
from experiments.published.table3 import BASELINE

OWN_ROWS = "Combinations and rows of our own"
PAIRED = {"equal": "paired", "differs": "NOT PAIRED", None: "no certificate"}
BORROWED = "one run, noise borrowed from other rows"


def setting_of(name: str, group: str) -> tuple[str, str]:
    """Group and setting in the paper's words, and the original value that the rows change.

    Rows that the paper lacks use the group that their files name, else a common heading.
    """
    row = table3.rows().get(name)
    if row is None:
        return (group if table3.has_own_group(name, group) else OWN_ROWS), ""
    return ("Baseline", "") if name == BASELINE else (f"({row.group}) {row.setting}", row.original_value)


def label_of(name: str) -> str:
    """The changed value in the paper's words; empty for a row that the paper lacks."""
    row = table3.rows().get(name)
    return "" if row is None else row.setting if name == BASELINE else row.changed_value


def answer(overall: Overall) -> str:
    """The answer in words: the verdict if there is one, else where the interval over examples lies relative to zero."""
    low, high = overall["low"], overall["high"]
    if overall["difference"] is None:
        return "no seed in common"
    if overall.get("borrowed_noise"):
        return BORROWED
    if overall["verdict"] is not None:
        # about how many seeds would decide the row, if known
        plan = f", about {overall['seeds_needed']} seeds for 80%" if overall["seeds_needed"] else ""
        return f"{overall['verdict']}{plan}"
    if low is None or high is None:
        return "no interval"
    return "worse" if high < 0 else "better" if low > 0 else "unclear"


def over(overall: Overall) -> str:
    """What an interval's noise is over: seeds, or examples if there is one seed."""
    return "95% over examples" if is_over_examples(overall) else "95% over seeds"
