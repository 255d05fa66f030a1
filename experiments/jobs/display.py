"""What a table of jobs shows on stderr while it runs: a live board in a terminal, lines anywhere else."""

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
    """Told by the scheduler of everything that happens to jobs."""

    def started(self, job: Job) -> None:
        """An attempt begins."""

    def said(self, job: Job, line: str) -> None:
        """The job printed a line."""

    def waits(self, job: Job) -> None:
        """The attempt is over and another will follow."""

    def done(self, job: Job) -> None:
        """It is stored."""

    def failed(self, failure: "Failure", *, again: bool) -> None:
        """An attempt went wrong; there will be another one, or not."""

    def note(self, text: str) -> None:
        """Something that no job said."""

    def __enter__(self) -> "Display": ...

    def __exit__(self, *_: object) -> None: ...


def make_display(jobs: Sequence[Job], *, live: bool) -> Display:
    """The board where `live` and stderr is a terminal, else lines."""
    return Board(jobs) if live and jobs and sys.stderr.isatty() else Lines()


def told_of_failure(failure: "Failure", *, again: bool) -> str:
    """A failed attempt as it is told at once: which job, why, and its last lines."""
    job, outcome = failure.job, failure.outcome
    will = "; it is tried again" if again else ""
    return "\n".join([f"error: {job.title}: {outcome.reason}{will}", *(f"  | {line}" for line in failure.last_lines)])


class Lines:
    """Every line as it comes, for logs and pipes; each already says which job it is of."""

    def started(self, job: Job) -> None:
        """Nothing: the job's first line tells."""

    def said(self, job: Job, line: str) -> None:
        """As it is."""
        self.note(line)

    def waits(self, job: Job) -> None:
        """Nothing: a note has said why."""

    def done(self, job: Job) -> None:
        """Nothing: its last line tells."""

    def failed(self, failure: "Failure", *, again: bool) -> None:
        """At once, with its last lines: other jobs' lines stand between them above."""
        self.note(told_of_failure(failure, again=again))

    def note(self, text: str) -> None:
        """A line."""
        print(visible_lines(text), file=sys.stderr, flush=True)

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None: ...


class Board:
    """A line a running job with its bar and the time left, and a line on all of them; what is said scrolls above."""

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
        """Give it a line."""
        self._begun_s[job.key] = time.monotonic()
        self._tasks[job.key] = self._progress.add_task(job.title, total=None, note="starting")
        self._set(job, "running")

    def said(self, job: Job, line: str) -> None:
        """Move the bar, or print above the board."""
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
        """Take its line away."""
        self._end(job, "waiting")

    def done(self, job: Job) -> None:
        """Count it."""
        self._took_s.append(time.monotonic() - self._begun_s[job.key])
        self._end(job, "done")

    def failed(self, failure: "Failure", *, again: bool) -> None:
        """Tell it above the board."""
        self.note(told_of_failure(failure, again=again))
        self._end(failure.job, "waiting" if again else "failed")

    def note(self, text: str) -> None:
        """Print above the board; what a job printed is text, neither markup nor a terminal's commands."""
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
        left = counts["waiting"] + counts["running"] / 2  # those that run are half done, on average
        if self._took_s and left:
            mean_s = sum(self._took_s) / len(self._took_s)
            minutes = left * mean_s / max(1, counts["running"]) / 60
            parts.append(f"about {max(1, round(minutes))} min left")
        self._progress.update(self._all, completed=counts["done"] + counts["failed"], note=", ".join(parts))
