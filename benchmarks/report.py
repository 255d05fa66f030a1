"""How long a table takes from many stored runs: `experiments.report`, and the dashboard's first table.

python -m benchmarks.report [1000 10000]

Each figure is of a process of its own, imports included: CPU time, which other jobs on the machine change little, and
wall time. Cold: the summary beside the store is not there; warm: it is, the median of three.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import print_table
from benchmarks.stored import make_store
from experiments.common.checkout import ROOT

SIZES = (1000, 10_000)
# The app as it draws itself, less the server: what stands between the request and the first table.
DASHBOARD = "from tests.dashboard.reading import markup, page; assert 'scale desk, n = ' in markup(page())"
MLFLOW = "from experiments.store import reader; from experiments.store.locate import locate; "
COMMANDS = {
    "report": [sys.executable, "-m", "experiments.report", "--format", "html", "--out", os.devnull],
    "first dashboard table": [sys.executable, "-c", DASHBOARD],
}
SEARCH_RUNS = [sys.executable, "-c", MLFLOW + "assert reader._from_mlflow(locate(), 'FINISHED', {'scale': 'desk'})"]


def main(arguments: list[str]) -> None:
    """Make a store of each size and time every reader of it."""
    lines = []
    for runs in [int(argument) for argument in arguments] or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "mlflow.db"
            make_store(file, runs)
            for name, command in COMMANDS.items():
                for summary in file.parent.glob("*.summary.jsonl"):
                    summary.unlink()
                cold, *warm = (_seconds(command, file) for _ in range(4))
                lines.append([f"{runs:,} runs: {name}", *_shown(cold), *_shown(sorted(warm)[1])])
            lines.append([f"{runs:,} runs: search_runs alone", *_shown(_seconds(SEARCH_RUNS, file)), "", ""])
    print_table(["", "cold: CPU", "wall", "warm: CPU", "wall"], lines)


def _shown(seconds: tuple[float, float]) -> list[str]:
    return [f"{one:.1f} s" for one in seconds]


def _seconds(command: list[str], store: Path) -> tuple[float, float]:
    """CPU and wall time of one process."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store}"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr[-2000:]
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


if __name__ == "__main__":
    main(sys.argv[1:])
