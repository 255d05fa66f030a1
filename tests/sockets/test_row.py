"""A row that the published table does not have ships as one YAML, which names its group: no list names it."""

import json
import re
import shutil

import pytest

from experiments.analysis import formats
from experiments.command.cli import main
from experiments.report import report
from experiments.run import run
from experiments.spec import yaml_files
from experiments.spec.spec import make_spec
from tests.dashboard.reading import markup, page
from tests.sockets.outside import add_quick_scale

ROW = """# @package _global_
# Half the learning rate.
changes: {lr_half: [train.lr]}
group: Recipe
train:
  lr: 5.0e-3
"""


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The project's own files with one more row, and a scale that is quick."""
    conf = tmp_path / "conf"
    shutil.copytree(yaml_files.CONF, conf)
    (conf / "ablation" / "lr_half.yaml").write_text(ROW, encoding="utf-8")
    add_quick_scale(conf)
    monkeypatch.setattr(yaml_files, "CONF", conf)


def test_it_is_a_row_as_any_other(shipped, store_file, capsys, tmp_path):
    """Run by its name beside its baseline, in help, under its group in every format, and in a file of runs."""
    assert main(run, ["ablation=lr_half", "scale=quick"]) == 0
    assert "lr_half" in capsys.readouterr().out
    assert main(run, ["--help"]) == 0
    assert re.search(r"^  lr_half +Half the learning rate\.$", capsys.readouterr().out, re.M)
    for name in formats.found():
        assert main(report, ["scale=quick", "--format", name]) == 0
        text = capsys.readouterr().out
        assert re.search(r"lr.{0,2}_half", text), name
        assert "Recipe" in text or name in ("brief", "svg"), name
    assert "Recipe" in markup(page(scale="quick"))

    def groups(*words: str) -> dict[str, str]:
        assert main(report, ["--format", "json", *words]) == 0
        return {row["row"]: row["group"] for row in json.loads(capsys.readouterr().out)["rows"]}

    assert groups("scale=quick")["lr_half"] == "Recipe"
    assert main(report, ["scale=quick", "--format", "runs", "--out", str(tmp_path / "runs.csv")]) == 0
    assert groups("--from", str(tmp_path / "runs.csv")) == groups("scale=quick")


def test_the_group_is_no_part_of_what_it_is(shipped, capsys):
    """Its name is no key of a command, moves no hash, and does not take a published row from its group."""
    spec = make_spec("ablation=lr_half", "scale=tiny")
    assert spec.group == "Recipe" and "group" not in spec.tree
    other = yaml_files.CONF / "ablation" / "lr_half.yaml"
    other.write_text(ROW.replace("Recipe", "Another"), encoding="utf-8")
    assert make_spec("ablation=lr_half", "scale=tiny").hash == spec.hash
    published = yaml_files.CONF / "ablation" / "xattn_every_4th.yaml"
    published.write_text(published.read_text(encoding="utf-8") + "group: Mine\n", encoding="utf-8")
    assert make_spec("ablation=xattn_every_4th", "scale=tiny").group == "v"
    assert make_spec("ablation=[xattn_every_4th,lr_half]", "scale=tiny").group == "combination"
    assert main(run, ["group=Mine", "scale=tiny"]) == 2
    assert "`group` is `Mine`, but there is no such key" in capsys.readouterr().err
