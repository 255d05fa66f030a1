"""docs/rows.md is what conf/ and table3.csv say."""

import csv
import re
import runpy

import yaml

from experiments.common.checkout import ROOT
from experiments.published.table3 import BASELINE, TABLE3
from experiments.spec.yaml_files import leaves

CONF = ROOT / "experiments" / "conf"
REWRITE = "docs/rows.md is not what conf/ and table3.csv say now: rewrite it with `python docs/make_rows.py`"


def lines() -> list[dict[str, str]]:
    """The page's table, a dict a line, without quotes."""
    text = (ROOT / "docs" / "rows.md").read_text(encoding="utf-8")
    heads, _, *rest = (
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    )
    return [dict(zip(heads, line, strict=True)) for line in rest]


def test_the_page_is_up_to_date():
    """It is what its script writes."""
    script = runpy.run_path(str(ROOT / "docs" / "make_rows.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"](), REWRITE


def test_rows_stand_in_the_papers_order_under_its_labels():
    """Names, groups, settings and changed values are those of table3.csv, each row once for each of its keys."""
    with TABLE3.open(newline="", encoding="utf-8") as file:
        published = list(csv.DictReader(file))
    assert list(dict.fromkeys(line["row"] for line in lines())) == [row["row"] for row in published], REWRITE
    for row in published:
        label = f"{row['setting']}: {row['changed_value']}" if row["changed_value"] else row["setting"]
        found = [
            (line["group"], line["paper: setting, changed value"]) for line in lines() if line["row"] == row["row"]
        ]
        assert set(found) == {(row["group"], label)}, REWRITE


def test_keys_and_values_are_those_of_the_files():
    """Each line's file sets that key to that value; config.yaml gives the baseline another; no key is left out."""
    baseline = leaves(yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8")))
    said: dict[str, set[str]] = {}
    for line in lines():
        path = re.fullmatch(r"\[(.+)\]\(\.\./(.+)\)", line["file"])
        assert path is not None and path[1] == f"{line['row']}.yaml"
        keys = said.setdefault(path[2], set())
        if line["row"] == BASELINE:
            continue
        keys.add(line["key"])
        sets = leaves(yaml.safe_load((ROOT / path[2]).read_text(encoding="utf-8")))
        assert yaml.safe_load(line["in the row"]) == sets[line["key"]], REWRITE
        assert yaml.safe_load(line["in the baseline"]) == baseline[line["key"]] != sets[line["key"]], REWRITE
    for file in (CONF / "ablation").glob("*.yaml"):
        flat = leaves(yaml.safe_load(file.read_text(encoding="utf-8")))
        own = {key for key in flat if not key.startswith("changes")}
        assert said[str(file.relative_to(ROOT))] == own, REWRITE
