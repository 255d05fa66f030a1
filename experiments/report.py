"""The table from what is stored; nothing is trained.

python -m experiments.report [scale=desk] [--format md|csv|json|latex|html] [--out FILE] [--rows a,b] [--seeds N]
                             [--delta POINTS]

A difference of Overall within --delta (default 1) is harmless.
Without --rows all published rows and whatever else is stored, without --seeds all seeds that are. On an empty store it
is the published table with the command that makes each row. latex also holds a macro for each figure, html is one file.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import DELTA, DONE, HELP, Flag, main, number, points, split_flags
from experiments.published import HARMLESS_POINTS
from experiments.refusal import Problem, refuse, wrong_value

if TYPE_CHECKING:
    from experiments.analysis.results import StoredRun

FORMATS = ("md", "csv", "json", "latex", "html")
FLAGS = (HELP, Flag(("--format",), FORMATS), Flag(("--out",), ()), Flag(("--rows",), ()), Flag(("--seeds",), ()), DELTA)


def report(argv: list[str]) -> int:
    """Read the store and print the table, or write it to a file."""
    problems: list[Problem] = []
    flags, overrides = split_flags(argv, FLAGS, problems)
    if "--help" in flags:
        print(__doc__)
        return DONE
    from experiments.analysis import Table, results
    from experiments.analysis.formats import as_text
    from experiments.analysis.whole_file import write_whole

    out = Path(flags["--out"]) if "--out" in flags else None
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        problems.append(wrong_value("--out", out, "a file in a folder that exists", f"mkdir -p {out.parent}"))
    seeds = number("--seeds", flags, problems)
    delta = points("--delta", flags, HARMLESS_POINTS, problems)
    finished = results.runs()
    scale, rows = _asked(overrides, flags.get("--rows"), finished, problems)
    refuse(problems)
    table = Table.load(scale, rows=rows, seeds=range(seeds) if seeds else None, finished=finished, delta=delta)
    text = as_text(table, flags.get("--format", FORMATS[0]))
    if not table.runs:
        print(f"no finished baseline is stored at scale {scale}: {table.fill_command('baseline')}", file=sys.stderr)
    for row, reason in table.broken.items():
        print(f"{row} cannot be read: {reason}\nhint: {table.fill_command(row)}", file=sys.stderr)
    if out is None:
        print(text, end="")
    else:
        write_whole(out, text.encode())
    return DONE


def _asked(
    overrides: list[str], names: str | None, finished: "list[StoredRun]", problems: list[Problem]
) -> tuple[str, list[str] | None]:
    """Scale and rows of the command: ours, published, or what runs are stored of."""
    from experiments import published
    from experiments.compose import SCALE, default_scale, known

    said = {key: value for key, _, value in (override.partition("=") for override in overrides)}
    scale, rows = said.pop(SCALE, default_scale()), None if names is None else names.split(",")
    for key, value in said.items():
        meant = {"ablation": "--rows", "seed": "--seeds"}.get(key)
        hint = f"did you mean `{meant}`?" if meant else "of keys a table takes scale=NAME: its runs have no overrides"
        problems.append(wrong_value(key, value, "not here", hint))
    scales = list(dict.fromkeys([*known(SCALE), *sorted({run.tags.get(SCALE, "") for run in finished} - {""})]))
    stored = list(dict.fromkeys([*published.rows(), *sorted({run.row for run in finished})]))
    for key, values, allowed in ((SCALE, [scale], scales), ("--rows", rows or [], stored)):
        problems += [wrong_value(key, value, allowed) for value in values if value not in allowed]
    return scale, rows


if __name__ == "__main__":
    sys.exit(main(report))
