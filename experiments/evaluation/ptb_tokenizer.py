r"""Penn Treebank tokens as the COCO caption tools count them, without Java.

Those tools pass all captions of a file to a tokenizer as one text, one caption a line, then write tokens in lower case
and drop a list of punctuation. The tokenizer is a scanner: of all rules that match at a position, the one that reads
furthest wins, its right context included; of equals, the earlier rule wins. This one works in the same way. The context
goes beyond the line: a single letter and a full stop end a sentence if the next line begins with `The`. `ptb_rules.py`
tells where the rules come from; `tests/golden/ptb_tokens.json` holds outputs of the tool. One thing differs: in the
tools, a caption with a line break other than `\n` (a carriage return, say) shifts the tokens of all later captions by
one line; here every caption keeps its own.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from experiments.evaluation.ptb_rules import WHITE, Rule, rules

# What the COCO caption tools remove, as they write it.
MARKS = "'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;"
PUNCTUATION = frozenset(MARKS.split())

ASTRAL = re.compile("[\U00010000-\U0010ffff]")
UNKNOWN = "\ufffe"  # a character that no rule knows

# Most words of most captions. No rule treats letters before a space in any other way, except for these six words.
PLAIN_WORD = re.compile(r"(?!(?i:cannot|gonna|gotta|lemme|gimme|wanna) )[A-Za-z]+(?= )")
# No rule looks past the end of a line unless a full stop stands there.
OPEN_END = re.compile(rf"\.[{WHITE}]*\Z")


def read_token(line: str, known: str, position: int) -> tuple[str, int]:
    """The token at a position (empty if there is none) and the position of the next one."""
    if plain := PLAIN_WORD.match(line, position):
        return plain[0], plain.end()
    best: tuple[int, re.Match[str], Rule] | None = None
    for rule in rules():
        match = rule.pattern.match(known, position)
        if match and (best is None or match.end() > best[0]):
            best = match.end(), match, rule
    if best is None:
        return "", position + 1
    _, match, rule = best
    end = match.end(1) - rule.split
    return rule.write(line[position:end]), end


@lru_cache(maxsize=1 << 16)
def tokens_of(line: str, following: str) -> tuple[str, ...]:
    """The counted tokens of a line. Cached, because references are scored again for every row and seed.

    Args:
        line: a caption without line breaks.
        following: the text after it, as far as it has an effect; empty at the end of a file.
    """
    text = line + following
    known = ASTRAL.sub(UNKNOWN, text)  # the tool's rules end at the basic plane
    written, position = [], 0
    while position < len(line):
        token, position = read_token(text, known, position)
        written.append(token.lower())
    # The tools strip the line and split it at spaces, so exotic white space at its end is lost even inside a token.
    tokens = " ".join(filter(None, written)).rstrip().split(" ")
    return tuple(token for token in tokens if token and token not in PUNCTUATION)


def ptb_tokenize(text: str) -> list[str]:
    """The tokens of one caption that COCO's metrics count, in lower case and without punctuation.

    The caption is read as if its neighbours had no effect; `ptb_tokenize_all` reads a file of captions as the tools do.
    """
    return list(tokens_of(text.replace("\n", " "), "\n"))


def ptb_tokenize_all(texts: Sequence[str]) -> list[list[str]]:
    """The tokens of each caption of a file, in order, as the COCO tools count them.

    They read the file as one text: the last tokens of a caption can depend on the beginning of the next one, and the
    last caption has no line break after it.

    Raises:
        TypeError: `texts` is one string.
    """
    if isinstance(texts, str):
        raise TypeError("ptb_tokenize_all needs a list of captions, not one string")
    lines = [text.replace("\n", " ") for text in texts]
    tokens, following = [], ""
    for line in reversed(lines):
        # Only after a full stop at the end of a line does the tool look further, and then only at the next words.
        tokens.append(list(tokens_of(line, following if OPEN_END.search(line) else following[:1])))
        following = "\n" + line + (following if not line.strip() else "\n" if following else "")
    return tokens[::-1]
