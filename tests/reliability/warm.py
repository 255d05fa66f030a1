"""Commands in children of one warm process: imports are paid once, and a child may be killed at any of its steps."""

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from experiments.common.checkout import ROOT
from tests.reliability.failing_disk import FailingDisk

# Where things are written, sent or removed, and where a step or an evaluated batch ends: calls made here count.
WATCHED = (
    "experiments/jobs",
    "experiments/store/lifecycle.py",
    "experiments/store/writer.py",
    "experiments/store/connection.py",
    "experiments/store/patience.py",
    "experiments/training/checkpoint.py",
    "experiments/training/loop.py",
    "experiments/evaluation/evaluate.py",
    "experiments/common/progress.py",
    "experiments/data/feature_cache.py",
    "flamingo_core/checkpoint.py",
)


STEPS = 6
QUICK = ("scale=tiny", "data.world.queries=18", "eval.max_new_tokens=2", "compare=false")
COMMAND = (*QUICK, f"train.steps={STEPS}", "train.checkpoint_every=2")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative: the signal), what it printed, how many calls were counted."""

    code: int
    out: str
    err: str
    calls: int
    listed: tuple[str, ...]  # the file operations that the disk was asked for, the last one failed


class WarmProcess:
    """Has done the command once, in a store of its own; every further command is a child of it."""

    def __init__(self) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload(["experiments.jobs.preload"])
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        assert self._connection.poll(240) and self._connection.recv() == "warm"

    def run(self, *words: str, store: Path, kill_at: int | None = None, disk: FailingDisk | None = None) -> Ended:
        """`python -m experiments.run`; killed where the call with this number is made. At 0 calls are only counted."""
        (ended,) = self.run_at_once(("run", *words), store=store, kill_at=kill_at, disk=disk)
        return ended

    def run_at_once(
        self, *commands: Sequence[str], store: Path, kill_at: int | None = None, disk: FailingDisk | None = None
    ) -> list[Ended]:
        """Commands by their names with their words, each a child, all at the same time."""
        self._connection.send((commands, store, kill_at, disk))
        assert self._connection.poll(240), "the commands do not end"
        ended: list[Ended] = self._connection.recv()
        return ended

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self._process.join(30)
        if self._process.is_alive():
            self._process.kill()


def _serve(connection: Connection) -> None:
    from experiments.training import timing
    from tests.experiments.commands import run_here

    timing.ROUNDS = 2
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        assert run_here(*COMMAND) == 0
    connection.send("warm")
    while True:
        try:
            commands, *how = connection.recv()
        except EOFError:
            return
        with tempfile.TemporaryDirectory() as folder:
            places = [Path(folder, str(number)) for number in range(len(commands))]
            children = []
            for words, place in zip(commands, places, strict=True):
                place.mkdir()
                children.append(os.fork())
                if children[-1] == 0:
                    os._exit(_child(words, *how, place))
            codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
            connection.send([_ended(code, place) for code, place in zip(codes, places, strict=True)])


def _ended(code: int, folder: Path) -> Ended:
    texts = [folder / name for name in ("out", "err", "calls", "listed")]
    out, err, calls, listed = (text.read_text() if text.exists() else "" for text in texts)
    return Ended(code, out, err, int(calls or 0), tuple(listed.splitlines()))


def _child(words: Sequence[str], store: Path, kill_at: int | None, disk: FailingDisk | None, folder: Path) -> int:
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{store}"
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    counter = _Counter(kill_at)
    if kill_at is not None or disk is not None:
        sys.setprofile(disk or counter)
    try:
        return _called(*words)
    finally:
        sys.setprofile(None)
        (folder / "calls").write_text(str(counter.calls))
        (folder / "listed").write_text("\n".join(disk.listed if disk else ()))


def _called(name: str, *words: str) -> int:
    from experiments.command.cli import main
    from experiments.report import report
    from experiments.run import run
    from experiments.table3 import table3
    from tests.experiments.commands import ONE_PROCESS

    if name in ("run", "table3"):
        return main(run if name == "run" else table3, [*words, ONE_PROCESS])
    return main(report if name == "report" else _look, list(words))


def _look(words: list[str]) -> int:
    """Read a scale's table as a screen of the dashboard does."""
    from dashboard.cached import last_write, stored

    print(len(stored(os.environ["MLFLOW_TRACKING_URI"], last_write(), *words).table["rows"]))
    return 0


class _Counter:
    """Counts the calls that watched code makes, of Python or C, and may kill its process at one of them."""

    def __init__(self, kill_at: int | None):
        self.calls = 0
        self._kill_at = kill_at
        self._watched: dict[str, bool] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "c_call"):
            return
        file = frame.f_code.co_filename
        if file not in self._watched:
            self._watched[file] = any(file.startswith(str(ROOT / place)) for place in WATCHED)
        if self._watched[file]:
            self.calls += 1
            if self.calls == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
