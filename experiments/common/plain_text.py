"""Text from outside (tags, names, answers, output of jobs) made safe to show.

A control character can move a terminal's cursor, set its title or hide a line; a bidirectional one reorders the text
around it. In a table that people trust each is spelled out. A spreadsheet runs a cell that starts like a formula.
"""

import html
import re
import unicodedata

INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode's control, format, surrogate, private, unassigned, ...
# The start of a formula to Excel, LibreOffice or Sheets; the last four are full-width.
FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# A character as `written` spells it, or text that looks like one.
SPELLED = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U000[0-9a-f]{5}|U0010[0-9a-f]{4})")


def visible(text: object, *, keep: str = "") -> str:
    r"""Text on one line, with characters that do not print spelled out, as `\x1b`; those in `keep` stay."""
    said = str(text)
    if said.isprintable():
        return said
    return "".join(c if c in keep or _is_shown(c) else c.encode("unicode_escape").decode() for c in said)


def visible_lines(text: str) -> str:
    """Like `visible`, keeping line ends and tabs."""
    return visible(text, keep="\n\t")


def as_html(text: str) -> str:
    """Text escaped for HTML."""
    return html.escape(visible_lines(text))


def inert(text: str) -> str:
    """A CSV cell for people: an apostrophe goes before text that would start a formula."""
    said = visible_lines(text)
    return f"'{said}" if FORMULA.match(said) else said


def written(text: str) -> str:
    """A CSV cell that `read_back` restores exactly: like `inert`, and text that looks spelled out is escaped."""
    said = SPELLED.sub(lambda found: f"\\x5c{found[0][1:]}", text)
    said = "".join(c if c == "\n" or _is_shown(c) else _spelled(c) for c in said)
    return f"'{said}" if FORMULA.match(said) else said


def read_back(cell: str) -> str:
    """The text that `written` made this cell from."""
    said = cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell
    return SPELLED.sub(lambda found: chr(int(found[0][2:], 16)), said)


def _is_shown(c: str) -> bool:
    return c.isprintable() or unicodedata.category(c) not in INVISIBLE


def _spelled(c: str) -> str:
    code = ord(c)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
