"""The table from what is stored; nothing is trained.

python -m experiments.report [scale=desk] [--format md|brief|csv|json|latex|html|svg|runs] [--out FILE]
                             [--from FILE,FILE] [--rows a,b] [--seeds N] [--baseline-seeds N] [--delta POINTS]

A difference of Overall within --delta (default 1) is harmless. More of the baseline counts where it is asked for.
Without --rows all published rows and whatever else is stored, without --seeds all seeds that are. On an empty store it
is the published table with the command that makes each row. latex also holds a macro for each figure, html is one file,
svg the picture of its intervals. runs is a line a run; --from makes the table again from such a file, with no store,
or of several: a table whose seeds ran on several machines.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import TABLE_FLAGS, Flag, main, number, points, split_flags
from experiments.common.exit_codes import DONE
from experiments.common.plain_text import visible_lines
from experiments.common.problems import Problem, UserError, refuse
from experiments.published.table3 import HARMLESS_POINTS
from experiments.rows import stored_rows

if TYPE_CHECKING:
    from experiments.analysis.table.runs_file import RunsFile

FORMATS = ("md", "brief", "csv", "json", "latex", "html", "svg", "runs")
FLAGS = (*TABLE_FLAGS, Flag(("--format",), FORMATS), Flag(("--out",), ()), Flag(("--from",), ()))


def report(argv: list[str]) -> int:
    """Read the store, or a file of runs, and print the table, or write it to a file."""
    problems: list[Problem] = []
    flags, overrides = split_flags(argv, FLAGS, problems)
    if "--help" in flags:
        print(__doc__)
        return DONE
    from experiments.analysis import Table
    from experiments.analysis.formats import as_text
    from experiments.analysis.table import pair_cache
    from experiments.analysis.table.build import unverified_in_words
    from experiments.analysis.whole_file import check_out, write_out
    from experiments.store import reader

    sources = flags["--from"].split(",") if "--from" in flags else None
    out = check_out(flags["--out"], sources or (), problems) if "--out" in flags else None
    seeds = number("--seeds", flags, problems)
    baseline_seeds = number("--baseline-seeds", flags, problems) or 0
    delta = points("--delta", flags, HARMLESS_POINTS, problems)
    kept = None if sources is None else _files_of_runs(sources, problems)
    finished = reader.runs() if kept is None else list(kept.runs)
    scale, rows = stored_rows(overrides, flags.get("--rows"), finished, problems, of_file=kept is not None)
    refuse(problems)
    table = Table.load(
        scale,
        rows=rows,
        seeds=range(seeds) if seeds else None,
        baseline_seeds=range(baseline_seeds),
        finished=finished,
        delta=delta,
        evidence=pair_cache.opened if kept is None else kept.evidence,
    )
    text = as_text(table, flags.get("--format", FORMATS[0]))
    if not table.runs:
        said = f"no finished baseline is stored at scale {scale}: {table.fill_command('baseline')}"
        print(visible_lines(said), file=sys.stderr)
    for row, reason in table.broken.items():
        print(visible_lines(f"{row} cannot be read: {reason}\nhint: {table.fill_command(row)}"), file=sys.stderr)
    if table.table["unverified"]:
        print(unverified_in_words(table.table["unverified"]), file=sys.stderr)
    if out is None:
        print(text, end="")
    else:
        write_out(out, text)
    return DONE


def _files_of_runs(names: list[str], problems: list[Problem]) -> "RunsFile":
    from experiments.analysis.table.runs_file import joined, read

    files = []
    for name in names:
        try:
            files.append(read(Path(name)))
        except UserError as error:
            problems += error.problems
    return joined(files)


if __name__ == "__main__":
    sys.exit(main(report))
