"""docs/samples.md shows the world as it is, and its pictures are there."""

import re
import runpy

from experiments.common.checkout import ROOT
from experiments.spec.spec import make_spec

DOCS = ROOT / "docs"


def test_the_page_is_up_to_date():
    """Its texts are what its script writes now."""
    script = runpy.run_path(str(DOCS / "make_samples.py"))
    page = (DOCS / "samples.md").read_text(encoding="utf-8")
    assert page == script["text"](make_spec("scale=desk")), "rewrite it with `python docs/make_samples.py`"
    pictures = re.findall(r"!\[\w+\]\((.+?)\)", page)
    assert len(pictures) == 10
    assert all((DOCS / picture).is_file() for picture in pictures)
