"""docs/reliability.md promises nothing that no test holds."""

import ast
import re

import pytest

from experiments.common.checkout import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("|") and not re.match(r"\| ?(Promise|Fault|-)", line)]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_every_row_names_one_test() -> None:
    """A promise or a fault, and the test that holds it."""
    rows = [row for row in ROWS if not set(row) <= set("|-")]
    assert len(rows) > 30
    assert all(len(re.findall(r"`tests/[\w/]+\.py::\w+`", row)) == 1 for row in rows)


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED)))
def test_the_test_exists(file: str, test: str) -> None:
    """Under that name, in that file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_it_is_short() -> None:
    """A reader gets through it."""
    assert len(PAGE.splitlines()) <= 280
