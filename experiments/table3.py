"""The rows of Table 3 on one or several seeds: what is stored is not run again, what was stopped goes on.

python -m experiments.table3 [scale=desk] [--rows a,b] [--seeds N] [--workers N] [--json] [key=value ...]

Jobs run side by side, one thread each, as many as there are cores or as `--workers` says. Timing comes after, alone.
"""

import json
import sys
from typing import TYPE_CHECKING

from experiments.cli import DONE, HELP, JSON, WORKERS, Flag, main, number_of_workers, split_flags
from experiments.refusal import Problem, refuse, wrong_value

if TYPE_CHECKING:
    from experiments.analysis.results import StoredRun
    from experiments.spec import Spec

ROWS, SEEDS = Flag(("--rows",), ()), Flag(("--seeds",), ())
FLAGS = (HELP, JSON, ROWS, SEEDS, Flag(("--executor",), ("local",)), WORKERS)


def table3(argv: list[str]) -> int:
    """Run what is missing of rows x seeds, the baseline first, and print the table of all of them."""
    problems: list[Problem] = []
    flags, overrides = split_flags(argv, FLAGS, problems)
    if "--help" in flags:
        print(__doc__)
        return DONE
    workers = number_of_workers(flags, problems)
    specs = _specs(flags.get("--rows"), flags.get("--seeds", "1"), overrides, problems)
    from experiments.analysis.render import printed_table
    from experiments.analysis.table import build
    from experiments.run import report_failed, run_all

    runs: dict[str, StoredRun] = {}

    def collect(_: "Spec", *pair: "StoredRun | None") -> None:
        runs.update({run.run_id: run for run in pair if run is not None})

    failed = run_all(specs, workers, collect)
    seeds = sorted({spec.seed for spec in specs})
    rows = list(dict.fromkeys(spec.name for spec in specs))
    table = build(list(runs.values()), scale=specs[0].scale, seeds=seeds, rows=rows)
    print(json.dumps(table, indent=1) if "--json" in flags else printed_table(table))
    return report_failed(failed)


def _specs(rows: str | None, seeds: str, overrides: list[str], problems: list[Problem]) -> "list[Spec]":
    """One spec a job. Everything wrong with the command is found first."""
    from experiments import published
    from experiments.compose import ABLATION, known
    from experiments.spec import make_specs

    names = list(published.rows()) if rows is None else [published.BASELINE, *rows.split(",")]
    for name in dict.fromkeys(names):
        if name not in known(ABLATION):
            problems.append(wrong_value("--rows", name, list(known(ABLATION))))
    if not (seeds.isdecimal() and int(seeds) > 0):
        problems.append(wrong_value("--seeds", seeds, "a number from 1", "--seeds 3 runs seeds 0, 1 and 2"))
    for override in overrides:
        key = override.partition("=")[0]
        if key in (ABLATION, "seed"):
            hint = "did you mean `--rows`?" if key == ABLATION else "did you mean `--seeds`?"
            problems.append(wrong_value(key, override.partition("=")[2], "not here", hint))
    refuse(problems)
    ablations = ",".join(dict.fromkeys(names))
    numbers = ",".join(map(str, range(int(seeds))))
    return make_specs([f"ablation={ablations}", f"seed={numbers}", *overrides], sweeps=True)


if __name__ == "__main__":
    sys.exit(main(table3))
