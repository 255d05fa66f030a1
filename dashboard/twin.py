"""The table's twin for a spreadsheet."""

from experiments.analysis.table import Table
from experiments.record import OVERALL


def csv(table: Table) -> str:
    """The table's twin for a spreadsheet."""
    import pandas as pd

    lines = [
        {
            "row": entry["row"],
            **{f"published_{name}": value for name, value in entry["published"].items()},
            **{key: entry[key] for key in ("n", "params_total", "step_time_s", "step_time_ratio", "certificate")},
            **{name: score["mean"] for name, score in entry["scores"].items()},
            **{f"{OVERALL}_{key}": entry["overall"][key] for key in ("mean", "difference", "low", "high", "blind")},
        }
        for entry in table["rows"]
    ]
    return pd.DataFrame(lines).to_csv(index=False)
