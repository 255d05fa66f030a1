"""The rows of Table 3 on one or several seeds: what is stored is not run again, what was stopped goes on.

python -m experiments.table3 [scale=desk] [--rows a,b] [--seeds N] [key=value ...]

  --rows a,b          these rows and the baseline; without it, all
  --seeds N           seeds 0 to N-1 of each row (default 1)
  --baseline-seeds N  as many of the baseline, where more of it is wanted (default: as --seeds)
  --workers N         jobs side by side, one thread each (default: one a core); timing comes after, alone
  --executor NAME     where jobs run; the executors stand below
  --config-dir DIR    add the YAML files in DIR/ablation, DIR/scale and DIR/executor
  --delta POINTS      a difference of Overall that would be harmless (default 1)
  --fail-fast         stop at the first row that fails
  --dry-run           what would run and how long it would take; nothing is run
  --json              one object on stdout
"""

import sys
from typing import TYPE_CHECKING

from experiments.command import cli
from experiments.command.cli import Flag, main, number, points, split_flags
from experiments.command.executors import AskedExecutor
from experiments.command.help import executors_help
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
FLAGS = (*cli.TABLE_FLAGS, cli.JSON, cli.CONFIG_DIR, cli.EXECUTOR, cli.WORKERS, FAIL_FAST, DRY_RUN)


def table3(argv: list[str]) -> int:
    """Run what is missing of rows x seeds, the baseline first, and print the table of all of them."""
    problems: list[Problem] = []
    flags, overrides = split_flags(argv, FLAGS, problems)
    if "--help" in flags:
        print(__doc__, executors_help(flags.get("--config-dir"), overrides), sep="\n")
        return DONE
    asked = AskedExecutor.of(flags, overrides, number("--workers", flags, problems), problems)
    seeds = number("--seeds", flags, problems) or 1
    baseline_seeds = max(seeds, number("--baseline-seeds", flags, problems) or seeds)
    delta = points("--delta", flags, HARMLESS_POINTS, problems)
    with aside():
        sweeps = wanted(flags.get("--rows"), seeds, baseline_seeds, overrides, problems, asked.config_dir)
        if "--dry-run" not in flags and not any(sweep.problems for sweep in sweeps):
            asked.warm_up()
        specs, executor = asked.resolve(sweeps)
    if "--dry-run" in flags:
        from experiments.jobs.forecast import forecast

        print(forecast(specs, workers=asked.workers, executor=executor, as_json="--json" in flags))
        return DONE
    from experiments.analysis.formats.terminal import printed_table
    from experiments.jobs.reconcile import reconcile, report_failures

    runs: dict[str, StoredRun] = {}

    def collect(_: "Spec", *pair: "StoredRun | None") -> None:
        runs.update({run.run_id: run for run in pair if run is not None})

    with aside():
        failures = reconcile(specs, collect, workers=asked.workers, executor=executor, fail_fast="--fail-fast" in flags)
    more = baseline_seeds if "--baseline-seeds" in flags else None
    table = table_of_rows(specs, runs.values(), seeds, more, delta=delta)
    print(dumps(table, indent=1) if "--json" in flags else printed_table(table))
    return report_failures(failures)


if __name__ == "__main__":
    sys.exit(main(table3))
