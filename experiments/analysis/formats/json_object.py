"""The table's object itself, as printed by `--json` of `run` and `table3`."""

from experiments.analysis import Table
from experiments.analysis.formats import Format
from experiments.common.plain_json import dumps


def as_json(stored: Table) -> str:
    """One JSON object, numbers in full precision."""
    return dumps(stored.table, indent=1) + "\n"


FORMAT = Format("json", "the object that `--json` of other commands prints", as_json, place=4)
