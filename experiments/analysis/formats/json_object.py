"""The table's object itself, the one that `--json` of `run` and `table3` prints."""

from experiments.analysis import Table
from experiments.analysis.formats import Format
from experiments.common.plain_json import dumps


def as_json(stored: Table) -> str:
    """One JSON object, figures in full precision."""
    return dumps(stored.table, indent=1) + "\n"


FORMAT = Format("json", "the object that `--json` of other commands prints", as_json, place=4)
