"""One experiment: the row beside its baseline and the published one.

python -m experiments.run ablation=xattn_every_4th [scale=desk] [seed=0] [key=value ...]
"""

import sys
from typing import TYPE_CHECKING

from experiments.command.cli import main, parse_run
from experiments.command.tables import printed, stored_of, tables_of
from experiments.common.exit_codes import DONE
from experiments.common.plain_json import dumps
from experiments.common.streams import aside

if TYPE_CHECKING:
    from experiments.spec.spec import Spec
    from experiments.store.stored_run import StoredRun


def run(argv: list[str]) -> int:
    """Run what a command line asks for and print it; a job that fails does not keep the others from running."""
    with aside():
        parsed = parse_run(argv)
        parsed.warm_up()
        request = parsed.resolve()
    if request.reply is not None:
        print(request.reply)
        return DONE
    from experiments.jobs.reconcile import reconcile, report_failures

    done: list[tuple[Spec, StoredRun, StoredRun | None]] = []
    with aside():
        failures = reconcile(
            request.specs, lambda *one: done.append(one), workers=request.workers, executor=request.executor
        )
    finished = stored_of({spec.scale for spec in request.specs})
    if request.json:
        tables = tables_of(done, finished)
        print(dumps(tables[0] if len(tables) == 1 else {"tables": tables}, indent=1))
    else:
        for one in done:
            print(printed(*one, finished))
    return report_failures(failures)


if __name__ == "__main__":
    sys.exit(main(run))
