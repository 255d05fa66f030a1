"""The runs that a table is computed from: a file from which `report --from` rebuilds the table."""

from experiments.analysis.formats import Format
from experiments.analysis.table.runs_file import as_runs

FORMAT = Format("runs", "a line a run; --from makes the table again from such a file, with no store", as_runs, place=8)
