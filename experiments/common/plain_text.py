"""Text from outside - tags, names, answers, what jobs print - as it may be shown: never more than text.

A control character can move a terminal's cursor, set its title or hide a line, a bidirectional one turns the order of
what stands there; in a table that people trust each is spelled out. A spreadsheet runs a cell that begins as a formula.
"""

import html
import re
import unicodedata

INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode's control, format, surrogate, private, unassigned, ...
# What Excel, LibreOffice or Sheets may take for the beginning of a formula; the last four are full-width.
FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# As `written` spells a character, or text that looks as if it had.
SPELLED = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U000[0-9a-f]{5}|U0010[0-9a-f]{4})")


def visible(text: object, *, keep: str = "") -> str:
    r"""Text on one line, each character that does not show spelled out, as `\x1b`; those to `keep` stay."""
    said = str(text)
    if said.isprintable():
        return said
    return "".join(c if c in keep or _is_shown(c) else c.encode("unicode_escape").decode() for c in said)


def visible_lines(text: str) -> str:
    """The same, but for the ends of lines, and tabs."""
    return visible(text, keep="\n\t")


def as_html(text: str) -> str:
    """Text in markup, as it is."""
    return html.escape(visible_lines(text))


def inert(text: str) -> str:
    """A cell of a CSV that is looked at: text that would begin a formula begins with an apostrophe."""
    said = visible_lines(text)
    return f"'{said}" if FORMULA.match(said) else said


def written(text: str) -> str:
    """A cell of a CSV that `read_back` reads to the letter: as `inert`, and what looks spelled out already is told."""
    said = SPELLED.sub(lambda found: f"\\x5c{found[0][1:]}", text)
    said = "".join(c if c == "\n" or _is_shown(c) else _spelled(c) for c in said)
    return f"'{said}" if FORMULA.match(said) else said


def read_back(cell: str) -> str:
    """What `written` wrote."""
    said = cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell
    return SPELLED.sub(lambda found: chr(int(found[0][2:], 16)), said)


def _is_shown(c: str) -> bool:
    return c.isprintable() or unicodedata.category(c) not in INVISIBLE


def _spelled(c: str) -> str:
    code = ord(c)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
