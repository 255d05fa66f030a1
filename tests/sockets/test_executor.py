"""An executor from outside: one file and one YAML in a folder of one's own, with no edit in this repository."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.command.cli import main
from experiments.common.checkout import ROOT
from experiments.jobs import reconcile
from experiments.jobs.executor import EXECUTORS
from experiments.run import run
from experiments.store import reader
from experiments.table3 import table3
from tests.docs.page import blocks, section
from tests.experiments.commands import QUICK, left_in_work

MODULE, SETTINGS, TEST = "my/module.py", "my_conf/executor/fresh.yaml", "my/test_module.py"
EXAMPLE = dict(blocks(section("An executor")))
TABLE = shlex.split(EXAMPLE["bash"].removeprefix("python -m experiments.table3"))
OURS = ["--executor", "fresh", "components=[my.module]", "--config-dir", "my_conf"]


def lay(folder: Path, **changed: str) -> Path:
    """Write the page's files to a folder; `changed` is another text for a module or its settings."""
    for path, text in {MODULE: EXAMPLE[MODULE], SETTINGS: EXAMPLE[SETTINGS], TEST: EXAMPLE[TEST], **changed}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """The page's files in a folder to stand in; what its module registers is forgotten afterwards."""
    EXECUTORS.names()
    monkeypatch.setattr(EXECUTORS, "_entries", dict(EXECUTORS._entries))
    monkeypatch.setattr(EXECUTORS, "_modules", dict(EXECUTORS._modules))
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(lay(home))
    monkeypatch.syspath_prepend(str(home))
    yield home
    for name in ("my", "my.module"):
        sys.modules.pop(name, None)


def started_by(monkeypatch) -> list[str]:
    """The jobs that the page's executor is given from now on."""
    import my.module

    start, titles = my.module.Fresh.start, []
    monkeypatch.setattr(my.module.Fresh, "start", lambda fresh, job: titles.append(job.title) or start(fresh, job))
    return titles


def test_the_page_s_executor_runs_a_table_and_a_sweep(at_home, store_file, monkeypatch, capsys):
    """It is used for every job and for their timing, and the table is whole; the spec hash does not know of it."""
    titles = started_by(monkeypatch)
    assert "fresh" in TABLE and set(OURS) <= set(TABLE)
    assert main(table3, [*TABLE, *QUICK, "--workers=2"]) == 0
    printed = capsys.readouterr()
    assert "missing" not in printed.out and "resampler_mlp" in printed.out
    assert re.search(r"^baseline seed 0: step 0/2", printed.err, re.M), "lines come back from its processes"
    assert sorted(titles) == ["baseline seed 0", "baseline seed 0", "resampler_mlp seed 0", "resampler_mlp seed 0"]
    stored = {run.row: run for run in reader.runs(status=None)}
    assert {run.status for run in stored.values()} == {"FINISHED"} and len(stored) == 2
    assert "step_time_ratio" in stored["resampler_mlp"].metrics
    assert left_in_work(store_file) == []

    monkeypatch.setattr(reconcile, "is_complete", lambda spec: True)  # its timing is as the table's
    assert main(run, ["-m", "seed=0,1", "compare=false", *OURS, *QUICK]) == 0
    assert titles[4:] == ["baseline seed 1"], "seed 0 is stored: the executor is outside the hash"


@pytest.mark.parametrize("command", [run, table3])
def test_help_lists_it(command, at_home, capsys):
    """By its module or by its YAML; a module that cannot be imported keeps nobody from help."""
    assert main(command, ["--help"]) == 0
    listed = capsys.readouterr().out.partition("executors: --executor NAME\n")[2].splitlines()
    assert [line.split()[0] for line in listed[:2]] == ["in_process", "local"]
    for words in (["components=[my.module]"], ["--config-dir", "my_conf"]):
        assert "fresh" not in "".join(listed)
        assert main(command, ["--help", *words]) == 0
        assert re.search(r"^  fresh +A new process of low priority for every job\.$", capsys.readouterr().out, re.M)
    for typed in ("[my.modul]", "my.modul"):
        assert main(command, ["--help", f"components={typed}"]) == 0
        printed = capsys.readouterr()
        assert "  local " in printed.out and "`components` is `my.modul`" in printed.err


REFUSED = {
    "misspelt": ("fres", {}, ["`--executor` is `fres`; allowed: fresh, in_process, local", "did you mean `fresh`?"]),
    "no such setting": (
        "fresh",
        {SETTINGS: "nicenes: 10\n"},
        [f"{SETTINGS}: `executor.fresh.nicenes` is `10`, but there is no such key", "did you mean `executor.fresh.nic"],
    ),
    "another type": ("fresh", {SETTINGS: "niceness: high\n"}, ["`executor.fresh.niceness` is `high`; allowed: whole"]),
    "not allowed": ("fresh", {SETTINGS: "niceness: -1\n"}, ["`executor.fresh.niceness` is `-1`; allowed: whole num"]),
    "no value": ("fresh", {SETTINGS: "# nothing\n"}, ["`executor.fresh.niceness` has no value", "write it in "]),
    "no YAML": ("fresh", {SETTINGS: "- 10\n"}, [f"{SETTINGS}, line 1: it is not YAML"]),
    "a taken name": (
        "fresh",
        {MODULE: EXAMPLE[MODULE].replace('"fresh", config', '"local", config')},
        ["`components` is `my.module`", "executor `local` is registered twice"],
    ),
    "half an executor": (
        "fresh",
        {MODULE: EXAMPLE[MODULE].replace("def stop(", "def halt(")},
        ["`components` is `my.module`", "executor `fresh`: Fresh lacks stop"],
    ),
    "settings of no class": (
        "fresh",
        {MODULE: EXAMPLE[MODULE].replace("config=FreshConfig", "config=dict")},
        ["executor `fresh`: its config is `dict`; allowed: a dataclass of plain values"],
    ),
}


@pytest.mark.parametrize(
    ("case", "command"), [*((case, [run]) for case in REFUSED), ("misspelt", [table3, "--rows", "baseline"])]
)
def test_what_is_wrong_with_it_is_refused(case, command, at_home, store_file, capsys):
    """Exit 2, what is allowed with a hint, nothing begun and nothing written."""
    (name, changed, said), (entry, *words) = REFUSED[case], command
    lay(at_home, **changed)
    assert main(entry, [*words, "--executor", name, *OURS[2:], *QUICK]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "hint: " in printed.err and "Traceback" not in printed.err
    assert all(text in printed.err for text in said), printed.err
    assert reader.runs(status=None) == [] and not (store_file.parent / "work").exists()


def test_everything_wrong_is_named_at_once(at_home, capsys):
    """The executor beside a key of the model, which is known to be wrong only once components are imported."""
    assert main(run, ["--executor", "fres", *OURS[2:], *QUICK, "model.resampler.name=mpl"]) == 2
    err = capsys.readouterr().err
    assert "`--executor` is `fres`" in err and "`model.resampler.name` is `mpl`" in err


def test_a_module_that_is_not_named_is_not_there(at_home, capsys):
    """Its YAML alone makes no executor, and the hint says what is missing; settings that are needed must be there."""
    assert main(run, ["--executor", "fresh", "--config-dir", "my_conf", *QUICK]) == 2
    assert (
        "`--executor` is `fresh`; allowed: in_process, local\nhint: its settings were found" in capsys.readouterr().err
    )
    assert main(run, ["--executor", "fresh", "components=[my.module]", *QUICK]) == 2
    err = capsys.readouterr().err
    assert "`executor.fresh.niceness` has no value\nhint: write `niceness: ...` in DIR/executor/fresh.yaml" in err


def test_it_keeps_its_contract(tmp_path):
    """The page's own test, by the page's command."""
    prove = dict(blocks(section("Prove it")))["bash"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MINE": str(lay(tmp_path))}
    command = ["bash", "-c", f"{prove} -v -p no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert len(re.findall(r"my/test_module\.py::TestFresh::\S+ PASSED", done.stdout)) >= 15, done.stdout
