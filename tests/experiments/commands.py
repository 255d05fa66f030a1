"""Commands as a user types them, in this process or in one of their own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.command.cli import main
from experiments.run import run
from experiments.spec.spec import Spec, make_spec

# Two training steps, the fewest queries that a blind twin allows: everything runs, nothing takes long.
QUICK = ("scale=tiny", "train.steps=2", "data.world.queries=18", "eval.max_new_tokens=4")
# Jobs in the process of the command itself: nothing that they import is imported twice.
ONE_PROCESS = "--workers=1"


def run_here(*arguments: str) -> int:
    """`python -m experiments.run` in this process, its jobs too; returns its exit code."""
    return main(run, [*arguments, ONE_PROCESS])


def start(module: str, *arguments: str, store: Path, cwd: Path | None = None) -> subprocess.Popen[str]:
    """`python -m module` in a process of its own, against the sqlite file `store`."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store}"}
    command: Sequence[str] = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command, env=environment, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def processes_of(command: subprocess.Popen[str]) -> list[int]:
    """The command, the server its workers are forked from, and the workers."""
    found, wanted = [], [command.pid]
    while wanted:
        pid = wanted.pop()
        found.append(pid)
        wanted += map(int, subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split())
    return found


def left_in_work(store: Path) -> list[str]:
    """Files in the work folder beside a store."""
    files = (path for path in (store.parent / "work").rglob("*") if path.is_file())
    return sorted({path.name for path in files})


def tiny_spec(*arguments: str, config_dir: Path | None = None) -> Spec:
    """`make_spec` at the tiny scale."""
    return make_spec("scale=tiny", *arguments, config_dir=config_dir)
