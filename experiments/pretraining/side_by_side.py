"""Runs modules in parallel, each in its own process."""

import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence

from experiments.common.cores import usable_cores
from experiments.common.exit_codes import DONE, FAILED, REFUSED
from experiments.common.interrupt import How, ask

LOOK_AGAIN_S = 0.2


def side_by_side(modules: Sequence[Sequence[str]]) -> int:
    """Run modules with their arguments, each in its own process, one per core; returns one exit code for all.

    Raises:
        KeyboardInterrupt: stopped; the running processes were asked to stop, and have stopped.
    """
    waiting, running, codes = deque(modules), list[subprocess.Popen](), [DONE]
    try:
        while waiting or running:
            while waiting and len(running) < usable_cores():
                running.append(subprocess.Popen([sys.executable, "-m", *waiting.popleft()]))
            time.sleep(LOOK_AGAIN_S)
            codes += [child.returncode for child in running if child.poll() is not None]
            running = [child for child in running if child.returncode is None]
    except BaseException:
        _stop(running)
        raise
    return max(code if code in (DONE, REFUSED) else FAILED for code in codes)  # a killed process counts as failed


def _stop(children: Sequence[subprocess.Popen]) -> None:
    """Ask processes to stop and wait until they have; at the next signal, tell them to stop at once."""
    how: How = "checkpoint"
    while True:
        try:
            for child in children:
                if child.poll() is None:
                    ask(child.pid, how)
            for child in children:
                child.wait()
            return
        except KeyboardInterrupt:
            how = "at once"
