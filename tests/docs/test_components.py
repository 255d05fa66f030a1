"""docs/components.md, followed to the letter in a folder of one's own."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.analysis import results
from experiments.record import ROOT
from tests.experiments.commands import QUICK

PAGE = (ROOT / "docs" / "components.md").read_text(encoding="utf-8")

BLOCK = """
from dataclasses import dataclass

from torch import nn

from flamingo_core.registry import register
from flamingo_core.xattn.attention import MediaCrossAttention


@dataclass(kw_only=True, slots=True)
class HalfConfig:
    num_heads: int


@register("xattn", "half", config=HalfConfig)
class Half(nn.Module):
    grafted = False
    starts_as_identity = False

    def __init__(self, config, *, width):
        super().__init__()
        self.attention = MediaCrossAttention(width, config.num_heads, width // config.num_heads)

    def project_media(self, media):
        return self.attention.project_media(media)

    def forward(self, hidden, projected, mask):
        return hidden if projected is None else hidden + 0.5 * self.attention(hidden, projected, mask)
"""


def steps() -> tuple[str, str, str]:
    """The module, the YAML and the command of the page."""
    return tuple(re.search(rf"```{kind}\n(.*?)```", PAGE, re.S)[1] for kind in ("python", "yaml", "bash"))  # type: ignore[index]


def written(folder: Path, module: str, yaml: str) -> None:
    """Lay module and YAML where the page says."""
    for path, text in (("my/module.py", module), ("my_conf/ablation/my_row.yaml", yaml)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def run(folder: Path, command: str, *more: str) -> subprocess.CompletedProcess[str]:
    """The page's command, in that folder, with this interpreter."""
    words = [sys.executable, *shlex.split(command)[1:], *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


def followed(folder: Path, module: str, yaml: str) -> str:
    """Follow the three steps; what the command printed."""
    written(folder, module, yaml)
    done = run(folder, steps()[2], *QUICK)
    assert done.returncode == 0, done.stderr
    (row,) = [one for one in results.runs() if one.row == "my_row"]
    assert row.tags["components"] == "my.module"
    assert row.tags["group"] == "my_row"
    assert results.certificate(row)["against"]["unexpected"] == []
    return done.stdout


def test_the_three_steps_work_as_they_stand(store_file, tmp_path):
    """A stranger's resampler is trained, evaluated, paired and printed, without a published row of its own."""
    module, yaml, _ = steps()
    printed = followed(tmp_path, module, yaml)
    assert printed.startswith("my_row against baseline")
    assert "\npaired: " in printed
    assert printed.count("published") == 2, "the published baseline, and the sentence about levels"


def test_a_cross_attention_block_from_outside(store_file, tmp_path):
    """The same three steps for a block: another architecture, certified against the gated baseline."""
    yaml = steps()[1].replace("resampler", "xattn").replace("name: mean", "name: half")
    followed(tmp_path, BLOCK, yaml.replace("mean: {num_tokens: 4}", "half: {num_heads: 2}"))


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (None, ("`components` is `my.module`", "ModuleNotFoundError", "PYTHONPATH")),
        ("import nothing_of_this_name", ("`components` is `my.module`", "nothing_of_this_name")),
        (
            steps()[0].replace('"mean", config', '"perceiver", config'),
            ("`components`", "`perceiver` is registered twice"),
        ),
    ],
    ids=["missing", "broken", "taken name"],
)
def test_a_component_that_cannot_be_had_is_refused(module, said, store_file, tmp_path):
    """Exit 2, one message with a hint, nothing run."""
    if module is not None:
        written(tmp_path, module, steps()[1])
    else:
        (tmp_path / "my_conf").mkdir()
    done = run(tmp_path, "python -m experiments.run 'components=[my.module]' --config-dir my_conf")
    assert done.returncode == 2
    assert all(text in done.stderr for text in said), done.stderr
    assert "hint:" in done.stderr and "Traceback" not in done.stderr
    assert results.runs(status=None) == []
