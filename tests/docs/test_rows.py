"""docs/rows.md is what conf/ and table3.csv say."""

import runpy

from experiments.record import ROOT


def test_the_page_is_up_to_date():
    """Rewritten by `python docs/make_rows.py`; every row of the paper is on it."""
    script = runpy.run_path(str(ROOT / "docs" / "make_rows.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"]()
