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

from experiments.command.cli import TABLE_FLAGS, Flag, main, number, points, split_flags
from experiments.command.rows import files_of_runs, stored_rows
from experiments.common.exit_codes import DONE
from experiments.common.problems import Problem, refuse
from experiments.common.say import say
from experiments.published.table3 import HARMLESS_POINTS

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
    from experiments.command.out_file import check_out, write_out
    from experiments.store import reader

    sources = flags["--from"].split(",") if "--from" in flags else None
    out = check_out(flags["--out"], sources or (), problems) if "--out" in flags else None
    seeds = number("--seeds", flags, problems)
    baseline_seeds = number("--baseline-seeds", flags, problems) or 0
    delta = points("--delta", flags, HARMLESS_POINTS, problems)
    kept = None if sources is None else files_of_runs(sources, problems)
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
        say(said)
    for row, reason in table.broken.items():
        say(f"{row} cannot be read: {reason}\nhint: {table.fill_command(row)}")
    if table.table["unverified"]:
        say(unverified_in_words(table.table["unverified"]))
    if out is None:
        print(text, end="")
    else:
        write_out(out, text)
    return DONE


if __name__ == "__main__":
    sys.exit(main(report))
