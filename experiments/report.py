"""The table from what is stored; nothing is trained.

python -m experiments.report [scale=desk] [--format NAME] [--out FILE] [--from FILE,FILE]
                             [--rows a,b] [--seeds N] [--baseline-seeds N] [--delta POINTS]

A difference of Overall within --delta (default 1) is harmless. More of the baseline counts where it is asked for.
Without --rows all published rows and whatever else is stored, without --seeds all seeds that are. On an empty store it
is the published table with the command that makes each row. --from takes files of --format runs in place of the store,
several where a table's seeds ran on several machines.
"""

import sys
from typing import Any

from experiments.analysis.formats import found, help_on
from experiments.command.cli import TABLE_FLAGS, Flag, main, number, points, split_flags
from experiments.command.rows import files_of_runs, stored_rows
from experiments.common.exit_codes import DONE
from experiments.common.problems import Problem, refuse
from experiments.common.say import say
from experiments.published.table3 import HARMLESS_POINTS

FILES = (Flag(("--out",), ()), Flag(("--from",), ()))


def report(argv: list[str]) -> int:
    """Read the store, or a file of runs, and print the table, or write it to a file."""
    problems: list[Problem] = []
    formats = found()
    flags, overrides = split_flags(argv, (*TABLE_FLAGS, Flag(("--format",), tuple(formats)), *FILES), problems)
    if "--help" in flags:
        print(__doc__, help_on(formats.values()), sep="\n")
        return DONE
    from experiments.analysis import Table
    from experiments.analysis.table import pair_cache
    from experiments.analysis.table.method import unverified_in_words
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
    text = formats[flags.get("--format", next(iter(formats)))].as_text(table)
    if not table.runs:
        say(f"no finished baseline is stored at scale {scale}: {table.fill_command('baseline')}")
    for row, reason in table.broken.items():
        say(f"{row} cannot be read: {reason}\nhint: {table.fill_command(row)}")
    if table.table["unverified"]:
        say(unverified_in_words(table.table["unverified"]))
    if out is None:
        print(text, end="")
    else:
        write_out(out, text)
    return DONE


def __getattr__(name: str) -> Any:
    """`FORMATS`: the names of those found."""
    if name == "FORMATS":
        return tuple(found())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    sys.exit(main(report))
