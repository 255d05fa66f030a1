"""docs/components.md in pieces: the files and the commands that a section gives."""

import re

from experiments.common.checkout import ROOT

PAGE = (ROOT / "docs" / "components.md").read_text(encoding="utf-8")
FENCED = re.compile(r"(?P<before>.*?)^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
SECTION = re.compile(r"^## (?P<title>.+?)\n(?P<text>.*?)(?=^## |\Z)", re.M | re.S)
# The rest of the page is about components of the model.
SOCKETS = ("A source", "A benchmark", "An executor", "A format or a screen")


def section(title: str) -> str:
    """The text below a heading."""
    (text,) = (found["text"] for found in SECTION.finditer(PAGE) if found["title"] == title)
    return text


def of_components() -> str:
    """The page without the sections of other sockets."""
    return SECTION.sub(lambda found: "" if found["title"] in SOCKETS else found[0], PAGE)


def blocks(text: str) -> list[tuple[str, str]]:
    """Code blocks in their order: a file by the path that is named last before it, a command under `bash`."""
    found = []
    for block in FENCED.finditer(text):
        if block["language"] == "bash":
            found.append(("bash", block["text"].strip()))
        else:
            found.append((re.findall(r"`([\w/]+\.(?:py|yaml))`", block["before"])[-1], block["text"]))
    return found
