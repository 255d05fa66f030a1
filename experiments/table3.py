"""The rows of Table 3 on one or several seeds: what is stored is not run again, what was stopped goes on.

python -m experiments.table3 [scale=desk] [--rows a,b] [--seeds N] [key=value ...]

  --rows a,b          these rows and the baseline; without it, all
  --seeds N           seeds 0 to N-1 of each row (default 1)
  --baseline-seeds N  as many of the baseline, where more of it is wanted (default: as --seeds)
  --workers N         jobs side by side, one thread each (default: one a core); timing comes after, alone
  --executor local    where jobs run
  --fail-fast         stop at the first row that fails
  --dry-run           what would run and how long it would take; nothing is run
  --json              one object on stdout
"""

import json
import sys
from typing import TYPE_CHECKING

from experiments.cli import DONE, HELP, JSON, WORKERS, Flag, main, number, split_flags
from experiments.refusal import Problem, refuse, wrong_value

if TYPE_CHECKING:
    from experiments.analysis.results import StoredRun
    from experiments.spec import Spec

ROWS, SEEDS, BASELINE_SEEDS = Flag(("--rows",), ()), Flag(("--seeds",), ()), Flag(("--baseline-seeds",), ())
FAIL_FAST, DRY_RUN = Flag(("--fail-fast",)), Flag(("--dry-run",))
FLAGS = (HELP, JSON, ROWS, SEEDS, BASELINE_SEEDS, Flag(("--executor",), ("local",)), WORKERS, FAIL_FAST, DRY_RUN)


def table3(argv: list[str]) -> int:
    """Run what is missing of rows x seeds, the baseline first, and print the table of all of them."""
    problems: list[Problem] = []
    flags, overrides = split_flags(argv, FLAGS, problems)
    if "--help" in flags:
        print(__doc__)
        return DONE
    workers = number("--workers", flags, problems)
    seeds = number("--seeds", flags, problems) or 1
    baseline_seeds = max(seeds, number("--baseline-seeds", flags, problems) or seeds)
    specs = _specs(flags.get("--rows"), seeds, baseline_seeds, overrides, problems)
    if "--dry-run" in flags:
        from experiments.jobs.forecast import forecast

        print(forecast(specs, workers=workers, as_json="--json" in flags))
        return DONE
    from experiments.analysis.render import printed_table
    from experiments.analysis.table import build
    from experiments.jobs.reconcile import reconcile, report_failures

    runs: dict[str, StoredRun] = {}

    def collect(_: "Spec", *pair: "StoredRun | None") -> None:
        runs.update({run.run_id: run for run in pair if run is not None})

    failures = reconcile(specs, collect, workers=workers, fail_fast="--fail-fast" in flags)
    wanted = sorted({spec.seed for spec in specs})
    rows = list(dict.fromkeys(spec.name for spec in specs))
    table = build(list(runs.values()), scale=specs[0].scale, seeds=wanted, rows=rows)
    print(json.dumps(table, indent=1) if "--json" in flags else printed_table(table))
    return report_failures(failures)


def _specs(
    rows: str | None, seeds: int, baseline_seeds: int, overrides: list[str], problems: list[Problem]
) -> "list[Spec]":
    """One spec a job. Everything wrong with the command is found first."""
    from experiments import published
    from experiments.compose import ABLATION, known
    from experiments.published import BASELINE
    from experiments.spec import make_specs

    names = list(published.rows()) if rows is None else [BASELINE, *rows.split(",")]
    for name in dict.fromkeys(names):
        if name not in known(ABLATION):
            problems.append(wrong_value("--rows", name, list(known(ABLATION))))
    for override in overrides:
        key = override.partition("=")[0]
        if key in (ABLATION, "seed"):
            hint = "did you mean `--rows`?" if key == ABLATION else "did you mean `--seeds`?"
            problems.append(wrong_value(key, override.partition("=")[2], "not here", hint))
    refuse(problems)
    asked = [(list(dict.fromkeys(names)), range(seeds))]
    if baseline_seeds > seeds:
        asked.append(([BASELINE], range(seeds, baseline_seeds)))
    return [
        spec
        for some, numbers in asked
        for spec in make_specs(
            [f"ablation={','.join(some)}", f"seed={','.join(map(str, numbers))}", *overrides], sweeps=True
        )
    ]


if __name__ == "__main__":
    sys.exit(main(table3))
