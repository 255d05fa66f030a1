"""The rows of Table 3 on one or several seeds: what is stored is not run again, what was stopped goes on.

python -m experiments.table3 [scale=desk] [--rows a,b] [--seeds N] [key=value ...]

  --rows a,b          these rows and the baseline; without it, all
  --seeds N           seeds 0 to N-1 of each row (default 1)
  --baseline-seeds N  as many of the baseline, where more of it is wanted (default: as --seeds)
  --workers N         jobs side by side, one thread each (default: one a core); timing comes after, alone
  --executor local    where jobs run
  --delta POINTS      a difference of Overall that would be harmless (default 1)
  --fail-fast         stop at the first row that fails
  --dry-run           what would run and how long it would take; nothing is run
  --json              one object on stdout
"""

import sys
from typing import TYPE_CHECKING

from experiments.command import cli
from experiments.command.cli import Flag, main, number, points, split_flags
from experiments.command.rows import wanted
from experiments.command.tables import table_of_rows
from experiments.common.exit_codes import DONE
from experiments.common.plain_json import dumps
from experiments.common.problems import Problem
from experiments.common.streams import aside
from experiments.published.table3 import HARMLESS_POINTS

if TYPE_CHECKING:
    from experiments.spec.spec import Spec
    from experiments.store.stored_run import StoredRun

FAIL_FAST, DRY_RUN = Flag(("--fail-fast",)), Flag(("--dry-run",))
EXECUTOR = Flag(("--executor",), ("local",))
FLAGS = (*cli.TABLE_FLAGS, cli.JSON, EXECUTOR, cli.WORKERS, FAIL_FAST, DRY_RUN)


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
    delta = points("--delta", flags, HARMLESS_POINTS, problems)
    from experiments.spec.spec import specs_of

    dry = "--dry-run" in flags
    with aside():
        sweeps = wanted(flags.get("--rows"), seeds, baseline_seeds, overrides, problems)
        if not dry and workers != 1 and not any(sweep.problems for sweep in sweeps):
            from experiments.jobs.executors.local import warm_up

            warm_up()
        specs = [spec for sweep in sweeps for spec in specs_of(sweep)]
    if dry:
        from experiments.jobs.forecast import forecast

        print(forecast(specs, workers=workers, as_json="--json" in flags))
        return DONE
    from experiments.analysis.formats.terminal import printed_table
    from experiments.jobs.reconcile import reconcile, report_failures

    runs: dict[str, StoredRun] = {}

    def collect(_: "Spec", *pair: "StoredRun | None") -> None:
        runs.update({run.run_id: run for run in pair if run is not None})

    with aside():
        failures = reconcile(specs, collect, workers=workers, fail_fast="--fail-fast" in flags)
    more = baseline_seeds if "--baseline-seeds" in flags else None
    table = table_of_rows(specs, runs.values(), seeds, more, delta=delta)
    print(dumps(table, indent=1) if "--json" in flags else printed_table(table))
    return report_failures(failures)


if __name__ == "__main__":
    sys.exit(main(table3))
