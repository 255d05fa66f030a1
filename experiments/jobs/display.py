"""Display of running jobs on stderr: a live board in a terminal, plain lines elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from experiments.common.plain_text import visible, visible_lines
from experiments.common.progress import read_line
from experiments.jobs.job import Job

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from experiments.jobs.executor import Failure


class Display(Protocol):
    """Receives everything that happens to jobs from the scheduler."""

    def started(self, job: Job) -> None:
        """An attempt begins."""

    def said(self, job: Job, line: str) -> None:
        """The job printed a line."""

    def waits(self, job: Job) -> None:
        """The attempt is over and there will be another one."""

    def done(self, job: Job) -> None:
        """The job is stored."""

    def failed(self, failure: "Failure", *, again: bool) -> None:
        """An attempt failed; `again`: there will be another one."""

    def note(self, text: str) -> None:
        """A message that is not from a job."""

    def __enter__(self) -> "Display": ...

    def __exit__(self, *_: object) -> None: ...


def make_display(jobs: Sequence[Job], *, live: bool) -> Display:
    """A `Board` if `live` and stderr is a terminal, else `Lines`."""
    return Board(jobs) if live and jobs and sys.stderr.isatty() else Lines()


def told_of_failure(failure: "Failure", *, again: bool) -> str:
    """The message about a failed attempt: the job, the reason, and its last lines."""
    job, outcome = failure.job, failure.outcome
    will = "; it is tried again" if again else ""
    return "\n".join([f"error: {job.title}: {outcome.reason}{will}", *(f"  | {line}" for line in failure.last_lines)])


class Lines:
    """Prints every line as it comes, for logs and pipes; each line already names its job."""

    def started(self, job: Job) -> None:
        """Print nothing: the job's first line says so."""

    def said(self, job: Job, line: str) -> None:
        """Print the line."""
        self.note(line)

    def waits(self, job: Job) -> None:
        """Print nothing: a note has said why."""

    def done(self, job: Job) -> None:
        """Print nothing: the job's last line says so."""

    def failed(self, failure: "Failure", *, again: bool) -> None:
        """Print the failure with the job's last lines, which above are mixed with those of other jobs."""
        self.note(told_of_failure(failure, again=again))

    def note(self, text: str) -> None:
        """Print a message."""
        print(visible_lines(text), file=sys.stderr, flush=True)

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None: ...


class Board:
    """A live board: one line per running job with a bar and the time left, and one for all; messages scroll above."""

    def __init__(self, jobs: Sequence[Job], console: "Console | None" = None):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = console or Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            refresh_per_second=4,
        )
        self._states = {job.key: "waiting" for job in jobs}
        self._tasks: dict[tuple[str, int], TaskID] = {}
        self._begun_s: dict[tuple[str, int], float] = {}
        self._took_s: list[float] = []
        self._all = self._progress.add_task("all", total=len(jobs), note="")
        self._tell()

    def started(self, job: Job) -> None:
        """Add a line for the job."""
        self._begun_s[job.key] = time.monotonic()
        self._tasks[job.key] = self._progress.add_task(job.title, total=None, note="starting")
        self._set(job, "running")

    def said(self, job: Job, line: str) -> None:
        """Move the job's bar if the line is progress, else print it above the board."""
        reading = read_line(visible(line))
        if reading is None:
            self.note(line)
            return
        text = f"{reading.unit} {reading.count}/{reading.total}{reading.note}, {reading.left} left"
        what = "" if reading.label == job.title else f" {reading.label.removesuffix(job.title).strip()}"
        self._progress.update(
            self._tasks[job.key], total=reading.total, completed=reading.count, note=text, description=job.title + what
        )

    def waits(self, job: Job) -> None:
        """Remove the job's line."""
        self._end(job, "waiting")

    def done(self, job: Job) -> None:
        """Remove the job's line and count the job."""
        self._took_s.append(time.monotonic() - self._begun_s[job.key])
        self._end(job, "done")

    def failed(self, failure: "Failure", *, again: bool) -> None:
        """Print the failure above the board."""
        self.note(told_of_failure(failure, again=again))
        self._end(failure.job, "waiting" if again else "failed")

    def note(self, text: str) -> None:
        """Print above the board; output of jobs is shown as text, never as markup or terminal commands."""
        self._console.print(visible_lines(text), markup=False)

    def __enter__(self) -> "Board":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _end(self, job: Job, state: str) -> None:
        self._progress.remove_task(self._tasks.pop(job.key))
        self._set(job, state)

    def _set(self, job: Job, state: str) -> None:
        self._states[job.key] = state
        self._tell()

    def _tell(self) -> None:
        counts = Counter(self._states.values())
        parts = [f"{counts[state]} {state}" for state in ("running", "waiting", "done", "failed") if counts[state]]
        left = counts["waiting"] + counts["running"] / 2  # running jobs are half done, on average
        if self._took_s and left:
            mean_s = sum(self._took_s) / len(self._took_s)
            minutes = left * mean_s / max(1, counts["running"]) / 60
            parts.append(f"about {max(1, round(minutes))} min left")
        self._progress.update(self._all, completed=counts["done"] + counts["failed"], note=", ".join(parts))
