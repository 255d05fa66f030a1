"""Words for a row: its setting, its label, the answer without a number."""

from experiments.analysis.table.plain_table import Overall, is_over_examples
from experiments.published import table3
from experiments.published.table3 import BASELINE

OWN_ROWS = "Combinations and rows of our own"
PAIRED = {"equal": "paired", "differs": "NOT PAIRED", None: "no certificate"}
BORROWED = "one run, noise borrowed from other rows"


def setting_of(name: str, group: str) -> tuple[str, str]:
    """Group and setting as the paper has them, and the value that the rows change; rows of our own come last.

    Those stand under the group that their files name, if they name one.
    """
    row = table3.rows().get(name)
    if row is None:
        return (group if table3.has_own_group(name, group) else OWN_ROWS), ""
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
        # about how many seeds would decide; nothing where that is not known
        plan = f", about {overall['seeds_needed']} seeds for 80%" if overall["seeds_needed"] else ""
        return f"{overall['verdict']}{plan}"
    if low is None or high is None:
        return "no interval"
    return "worse" if high < 0 else "better" if low > 0 else "unclear"


def over(overall: Overall) -> str:
    """The source of an interval's width: seeds, or at one seed examples."""
    return "95% over examples" if is_over_examples(overall) else "95% over seeds"
