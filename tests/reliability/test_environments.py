"""A table of environments: in each of them the same command runs, and what is stored prints the same."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.common.checkout import ROOT
from experiments.store import reader
from experiments.store.error import CACHE_VARIABLE, URI_VARIABLE
from experiments.store.names import SPEC_FILE, WEIGHTS_FILE
from experiments.store.places import LOCKS_VARIABLE
from tests.experiments.commands import run_here

QUICK = ("scale=tiny", "train.steps=1", "data.world.queries=18", "eval.max_new_tokens=1")
STORED = ("ablation=xattn_every_4th", *QUICK)
NEW = ("compare=false", "seed=1", *QUICK)
HOSTILE = "läs mig #1; locked, read-only, full"


class Original(NamedTuple):
    """A store with one row and its baseline, moved away from where it was written; what printed when it was."""

    folder: Path
    written_in: Path
    printed: str


def essence(printed: str) -> str:
    """Output of a command, without the places of store and pictures."""
    lines = [line for line in printed.splitlines() if not line.startswith("stored: ")]
    return re.sub(r"(?m)^(  picture +).*?(test/\w+/\d+)(\.png)?$", r"\1\2", "\n".join(lines))


@pytest.fixture(scope="module")
def original(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    """Made once; `FLAMINGO_CACHE` is a folder of the tests."""
    written_in = tmp_path_factory.mktemp("original") / "store"
    written_in.mkdir()
    shutil.copy(empty_database, written_in / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(URI_VARIABLE, f"sqlite:///{written_in}/mlflow.db")
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        assert run_here(*STORED) == 0
        capture = tmp_path_factory.mktemp("printed") / "out"
        with capture.open("w") as file, pytest.MonkeyPatch.context() as stdout:
            stdout.setattr(sys, "stdout", file)
            assert run_here(*STORED) == 0
        moved = written_in.with_name("moved")
        shutil.move(written_in, moved)
        yield Original(moved, written_in, essence(capture.read_text()))


def environment(name: str, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Make this process's surroundings what `name` says; the folder in which the store is to lie."""
    if name == "spaces, accents and words of errors in the path":
        return folder / HOSTILE
    if name == "long TMPDIR":
        long = folder / ("t" * 100) / ("m" * 100)
        long.mkdir(parents=True)
        patch.setenv("TMPDIR", str(long))
        patch.setattr(tempfile, "tempdir", None)
    if name == "no HOME":
        for variable in ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME"):
            patch.delenv(variable, raising=False)
    if name == "no git":
        patch.setenv("PATH", str(folder))
    if name == "another working directory":
        (folder / "here").mkdir()
        patch.chdir(folder / "here")
    if name == "no cache":
        patch.setenv(CACHE_VARIABLE, "/proc/nothing/can/be/made/here")
    return folder / "store"


@pytest.mark.parametrize(
    "name",
    [
        "copied, the original deleted",
        "spaces, accents and words of errors in the path",
        "long TMPDIR",
        "no HOME",
        "no git",
        "another working directory",
        "no cache",
    ],
)
def test_the_same_command_runs_and_a_stored_row_prints_the_same(
    name: str, original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing of the row is run again; a new run is whole beside the store, and nothing is written where it was."""
    folder = environment(name, tmp_path, monkeypatch)
    shutil.copytree(original.folder, folder)
    monkeypatch.setenv(URI_VARIABLE, f"sqlite:///{folder}/mlflow.db")
    assert run_here(*STORED) == 0
    printed = capfd.readouterr()
    assert essence(printed.out) == original.printed
    assert printed.err.count("is stored, nothing is run") == 2 and "encoding" not in printed.err
    assert run_here(*NEW) == 0, capfd.readouterr().err
    (new,) = (run for run in reader.runs() if run.seed == 1)
    for file in (SPEC_FILE, WEIGHTS_FILE):
        assert reader.artifact(new, file) == folder / "artifacts" / new.run_id / "artifacts" / file
    assert not original.written_in.exists()


def test_a_store_that_cannot_be_written_prints_its_rows(original: Original, tmp_path: Path) -> None:
    """Nothing but the store is asked, and nothing is written to it: not a lock, a summary or a picture."""
    folder = tmp_path / "store"
    shutil.copytree(original.folder, folder)
    for summary in folder.glob("*.summary.jsonl"):
        summary.unlink()
    code = f"import sys; from tests.experiments.commands import run_here; sys.exit(run_here(*{STORED!r}))"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "PYTHONPATH": str(ROOT)}
    words = [*read_only(folder), sys.executable, "-c", code]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert essence(done.stdout) == original.printed


def checkout(folder: Path) -> Path:
    """A copy of what a command needs of this checkout."""
    for package in ("experiments", "flamingo_core"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def read_only(folder: Path) -> list[str]:
    """The beginning of a command for which a folder, and nothing else, cannot be written to."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    mounting = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    words = ["unshare", *as_root, "--mount", "sh", "-c", mounting, str(folder)]
    tried = subprocess.run([*words, "sh", "-c", f"touch '{folder}/file' 2>&1"], capture_output=True, text=True)
    if "Read-only" not in tried.stdout:
        pytest.skip(f"nothing can be made read-only here: {tried.stdout}{tried.stderr}")
    return words


@pytest.mark.slow
def test_another_checkout_that_is_read_only(original: Original, tmp_path: Path) -> None:
    """Without HOME, git or a short TMPDIR, from the root folder: the row prints, and jobs run in workers."""
    other, folder = checkout(tmp_path / "another checkout"), tmp_path / HOSTILE
    shutil.copytree(original.folder, folder)
    long = tmp_path / ("t" * 100)
    long.mkdir()
    said = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        LOCKS_VARIABLE: os.environ[LOCKS_VARIABLE],
        **{"PYTHONPATH": str(other), "TMPDIR": str(long), "PATH": "/nowhere", "OMP_NUM_THREADS": "1"},
    }
    runner = (
        "from experiments.training import timing; timing.ROUNDS = 2\nfrom experiments.run import *; sys.exit(main(run))"
    )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*read_only(other), "env", "-i", *(f"{name}={value}" for name, value in said.items())]
        return subprocess.run(
            [*command, sys.executable, "-c", runner, *words], cwd="/", capture_output=True, text=True, timeout=280
        )

    done = run("-m", "ablation=xattn_every_4th", "seed=0,1", *QUICK, "--workers=2")
    assert done.returncode == 0, done.stderr
    assert original.printed in essence(done.stdout), done.stdout
    assert done.stderr.count("is stored, nothing is run") == 2 and "cannot be written to" in done.stderr
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [".cache", "artifacts", "work"]


def test_sockets_have_short_names_wherever_temporary_files_lie(tmp_path: Path) -> None:
    """A process is forked from the server, and the folder of its socket is gone at the end."""
    long = tmp_path / ("t" * 100)
    long.mkdir()
    code = (
        "from multiprocessing.util import get_temp_dir\n"
        "from experiments.jobs.executors import local; local.PRELOADED = []\n"
        "process = local._context().Process(target=print, args=('hello',)); process.start(); process.join()\n"
        "print(get_temp_dir())"
    )
    environment = {**os.environ, "TMPDIR": str(long), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stderr == "" and done.stdout.startswith("hello\n")
    assert not Path(done.stdout.splitlines()[1]).exists() and list(long.iterdir()) == []
