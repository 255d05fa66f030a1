"""A source from outside: one file and one YAML in a folder of one's own, with no edit in this repository."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.analysis import formats
from experiments.command.cli import main
from experiments.common.checkout import ROOT
from experiments.data.source import SOURCES
from experiments.report import report
from experiments.run import run
from experiments.spec.spec import make_spec
from experiments.store import reader
from tests.dashboard.reading import markup, page
from tests.docs.page import blocks, section
from tests.experiments.commands import QUICK
from tests.sockets.outside import add_quick_scale, lay, standing_in

MODULE, ROW, TEST = "my/module.py", "my_conf/ablation/align_of_plates.yaml", "my/test_module.py"
EXAMPLE = dict(blocks(section("A source")))
WORDS = shlex.split(EXAMPLE["bash"].removeprefix("python -m experiments.run"))
EXAMPLE_FILES = {path: EXAMPLE[path] for path in (MODULE, ROW, TEST)}
COMPONENTS = "components=[my.module]"


@pytest.fixture
def at_home(tmp_path):
    """The page's files in a folder to stand in; what its module registers is forgotten afterwards."""
    home = lay(tmp_path / "home", EXAMPLE_FILES)
    with standing_in(home, SOURCES):
        yield home


def test_the_page_s_source_trains_a_row_and_asks_a_benchmark(at_home, store_file, capsys):
    """Trained, evaluated, timed, paired and in every format; the row's batches come from it, and others stay."""
    asked = ["eval.coco.source=plates", "eval.coco.plates.plates=20"]
    assert COMPONENTS in WORDS
    assert main(run, [*WORDS, *asked, *QUICK]) == 0
    printed = capsys.readouterr().out
    assert "align_of_plates" in printed and "paired: " in printed and "NOT PAIRED" not in printed
    runs = {one.row: one for one in reader.runs()}
    row, baseline = runs["align_of_plates"], runs["baseline"]
    assert row.params["data.align.source"] == "plates" and baseline.params["data.align.source"] == "world"
    batches = [reader.certificate(one)["batches"] for one in (row, baseline)]
    assert {name for name in batches[0] if batches[0][name] != batches[1][name]} == {"align"}
    predictions = reader.load_predictions(row, "coco")
    assert set(predictions["medium"]) == {f"test/{index}" for index in range(20)}
    assert set(predictions["references"].map(lambda some: some[0])) <= {"red", "green", "blue"}
    assert "step_time_ratio" in row.metrics and row.metrics["blind_coco_cider"] >= 0


def test_its_row_is_in_every_format(at_home, store_file, capsys):
    """A report takes no runs with overrides: a scale of one's own is as quick."""
    add_quick_scale(at_home / "my_conf")
    assert main(run, [*WORDS, "scale=quick"]) == 0
    capsys.readouterr()
    for name in formats.found():
        assert main(report, ["scale=quick", "--format", name]) == 0
        assert re.search(r"align.{0,2}_of.{0,2}_plates", capsys.readouterr().out), name
    assert "align_of_plates" in markup(page(scale="quick"))


def test_help_lists_it(at_home, capsys):
    """Once its module is named."""
    for words, there in (([], False), ([COMPONENTS], True)):
        assert main(run, ["--help", *words]) == 0
        listed = capsys.readouterr().out.partition("sources: ")[2].partition("\n\n")[0]
        assert re.search(r"^  world ", listed, re.M)
        assert bool(re.search(r"^  plates +Plates of one colour, each of its own size\.$", listed, re.M)) is there


REFUSED = {
    "misspelt": (["data.align.source=plate"], {}, ["`data.align.source` is `plate`; allowed: plates, world"]),
    "of a benchmark": (["eval.coco.source=wrold"], {}, ["`eval.coco.source` is `wrold`", "did you mean `world`?"]),
    "no value": (["data.ltip.source=plates"], {}, ["`data.ltip.plates.plates` has no value"]),
    "not allowed": (
        ["data.ltip.source=plates", "data.ltip.plates.plates=3"],
        {},
        ["`data.ltip.plates.plates` is `3`; allowed: whole numbers from 20"],
    ),
    "no such key": (["data.ltip.plates.plate=30"], {}, ["`data.ltip.plates.plate`", "there is no such key"]),
    "a taken name": (
        [],
        {MODULE: EXAMPLE[MODULE].replace('"plates", config', '"world", config')},
        ["registered twice"],
    ),
    "an undeclared change": (
        ["ablation=align_of_plates"],
        {ROW: EXAMPLE[ROW].replace("[data.align.source]", "[train.lr]")},
        ["`data.align.source`"],
    ),
    "queries of a role it has not": (
        [
            "eval.okvqa.source=plates",
            "eval.okvqa.plates.plates=20",
        ],
        {
            MODULE: EXAMPLE[MODULE].replace(
                "        return [self.query(role, f",
                "        return super().queries(role, split) or [self.query(role, f",
            )
        },
        ["has no queries of `okvqa`"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_with_it_is_refused(case, at_home, store_file, capsys):
    """Exit 2 with the key and what is allowed, and nothing written."""
    words, changed, said = REFUSED[case]
    lay(at_home, changed)
    assert main(run, [*words, COMPONENTS, "--config-dir", "my_conf", *QUICK]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "hint: " in printed.err and "Traceback" not in printed.err
    assert all(text in printed.err for text in said), printed.err
    assert reader.runs(status=None) == [] and not (store_file.parent / "work").exists()


def test_its_code_and_its_settings_move_the_hash(at_home):
    """A spec that reads from it is another one when its file or its settings change; one that does not is not."""
    words = [*WORDS[:1], COMPONENTS, "scale=tiny"]
    before = make_spec(*words, config_dir=Path("my_conf"))
    more = make_spec(*words, "data.align.plates.plates=41", config_dir=Path("my_conf"))
    (at_home / MODULE).write_text(EXAMPLE[MODULE] + "\n# as it was\n", encoding="utf-8")
    edited = make_spec(*words, config_dir=Path("my_conf"))
    assert len({before.hash, more.hash, edited.hash}) == 3 and len({before.train_hash, edited.train_hash}) == 2
    assert before.baseline_hash == edited.baseline_hash == make_spec("scale=tiny").hash


def test_it_keeps_its_contract(tmp_path):
    """The page's own test, by the page's command."""
    prove = dict(blocks(section("Prove it")))["bash"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MINE": str(lay(tmp_path, EXAMPLE_FILES))}
    command = ["bash", "-c", f"{prove} -v -p no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert len(re.findall(r"my/test_module\.py::TestPlates::\S+ PASSED", done.stdout)) >= 12, done.stdout
