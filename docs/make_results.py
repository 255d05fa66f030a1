"""Writes the tables of docs/results/desk/ and the one in README.md from docs/results/desk/runs.csv.

python docs/make_results.py

The runs come from a store: python -m experiments.report --format runs --out docs/results/desk/runs.csv
"""

import re
from pathlib import Path

from experiments.analysis import Table
from experiments.analysis.formats import as_text
from experiments.analysis.table.runs_file import read

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
FOLDER = DOCS / "results" / "desk"
FORMATS = {"table.md": "md", "table.csv": "csv", "table.html": "html", "table.tex": "latex", "intervals.svg": "svg"}
START, END = (f"<!-- {said} -->\n" for said in ("python -m experiments.report --from {} --format brief", "end"))


def files() -> dict[Path, str]:
    """Every file that is made of the runs, as it should stand."""
    runs = read(FOLDER / "runs.csv")
    table = Table.load("desk", finished=runs.runs, evidence=runs.evidence)
    start = START.format((FOLDER / "runs.csv").relative_to(README.parent).as_posix())
    before = README.read_text(encoding="utf-8")
    brief = re.sub(
        f"{re.escape(start)}.*?{re.escape(END)}", lambda _: f"{start}{as_text(table, 'brief')}{END}", before, flags=re.S
    )
    return {README: brief} | {FOLDER / name: as_text(table, format_) for name, format_ in FORMATS.items()}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
