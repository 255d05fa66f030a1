"""Streams that are closed, full, unread or not UTF-8: no traceback, no failed job, nothing but data on stdout."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.common.checkout import ROOT
from experiments.jobs import attempt
from experiments.store import reader
from tests.experiments.commands import QUICK, run_here


def ended(command: str, redirected: str = "", *, encoding: str = "utf-8") -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a process whose command is a piece of Python, its streams as a shell says."""
    imports = "import sys; from experiments.command.cli import main"
    code = f"{imports}\ndef do(argv):\n  {command}\n  return 0\nsys.exit(main(do))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    words = ["sh", "-c", f'exec "$0" -c "$1" {redirected}', sys.executable, code]
    done = subprocess.run(words, env=environment, capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_file_opened_later_gets_nothing_that_is_printed(closed: str, tmp_path: Path) -> None:
    """A closed descriptor's number is not given to it: neither text nor data of a child process goes there."""
    file = tmp_path / "opened"
    command = (
        f"file = open({str(file)!r}, 'w'); print('data'); print('said', file=sys.stderr, flush=True); "
        "import os; sys.stdout.flush(); os.system('echo child; echo child >&2'); file.close()"
    )
    code, printed, said = ended(command, closed)
    assert code == 0
    assert file.read_text() == ""
    assert (b"said" in printed, b"data" in said) == (False, False)


def test_data_that_cannot_be_written_is_one_message() -> None:
    """Exit 2 as for any full disk, and that a job's results are not lost."""
    code, _, said = ended("print('data')", ">/dev/full")
    assert code == 2
    assert said.startswith(b"error: standard output cannot be written: [Errno 28] No space left on device\nhint: what")
    assert said.count(b"\n") == 2


def test_what_cannot_be_said_changes_no_exit_code() -> None:
    """Neither Python's own code for a stream that it could not empty, nor a traceback."""
    assert ended("print('data'); print('said', file=sys.stderr)", "2>/dev/full")[:2] == (0, b"data\n")
    assert ended("raise KeyboardInterrupt", "2>/dev/full")[0] == 130
    assert ended("print('data')", ">/dev/full 2>/dev/full")[0] == 2


@pytest.mark.parametrize(("encoding", "arrow"), [("ascii", "?"), ("latin-1", "?"), ("utf-8", "\u2192")])
def test_what_an_encoding_does_not_have_is_replaced(encoding: str, arrow: str) -> None:
    """For file names that are no text at all, too; on stderr by Python's own escapes."""
    text = r"'a \u2192 b \udcff'"
    code, printed, said = ended(f"print({text}); print({text}, file=sys.stderr)", encoding=encoding)
    assert (code, printed) == (0, f"a {arrow} b ?\n".encode())
    assert said.startswith(b"a ") and said.count(b"\n") == 1


class Gone(io.StringIO):
    """A stream of which every write fails, as of a terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("stream", [lambda: None, Gone], ids=["none", "gone"])
def test_a_job_whose_terminal_is_gone_is_done_once(
    stream: Callable[[], io.StringIO | None],
    store_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It trains, is timed and stored at the first attempt; stdout has its row and nothing of what was said."""
    attempts = []
    run_job = attempt.run_job
    monkeypatch.setattr(attempt, "run_job", lambda job: attempts.append(job) or run_job(job))
    monkeypatch.setattr(sys, "stderr", stream())
    assert run_here("compare=false", "--json", *QUICK) == 0
    assert len(attempts) == 1
    assert [run.status for run in reader.runs(status=None)] == ["FINISHED"]
    assert json.loads(capsys.readouterr().out)["scale"] == "tiny"


def test_what_others_print_is_no_data(
    store_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's lines and a component's go to stderr."""
    run_job = attempt.run_job
    monkeypatch.setattr(attempt, "run_job", lambda job: print("\U0001f3c3 View run") or run_job(job))
    assert run_here("compare=false", "--json", *QUICK) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["scale"] == "tiny"
    assert "View run" in printed.err
