r"""The tokens of the caption tools' tokenizer as patterns, from observing what it does.

Word lists and character classes are data in `ptb_words.json`: outputs of the tool, which `benchmarks/observe_ptb.py`
runs as a black box and compares with these patterns on random captions. The patterns are our own description of the
tool's behaviour; docs/decisions.md tells how they came about.

Quirks of the tool that affect scores are kept: a fraction or telephone number with a space in it stays one token, with
a no-break space; a bracket becomes `-lrb-`; `vitamin A. The dog` ends a sentence after `a`.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

WORDS_FILE = Path(__file__).with_name("ptb_words.json")

BLANK = r" \t\xa0\u2000-\u200a\u3000"
WHITE = BLANK + r"\r\n\u2028\u2029\x0b\x0c\x85"
APOSTROPHE = r"(?:['\x92\u2019]|(?i:&apos;))"
APOSTROPHE_OR_QUOTE = r"(?:[`'\x91\x92\u2018\u2019\u201b]|(?i:&apos;))"

QUOTES = {
    '"': "''",
    **dict.fromkeys("'\x92\u2019\u203a", "'"),
    **dict.fromkeys("`\x91\u2018\u201b\u2039", "`"),
    **dict.fromkeys("\x93\u201c\xab", "``"),
    **dict.fromkeys("\x94\u201d\xbb", "''"),
}
BRACKETS = {"(": "-LRB-", ")": "-RRB-", "[": "-LSB-", "]": "-RSB-", "{": "-LCB-", "}": "-RCB-"}
CURRENCIES = {"\xa2": "cents", "\xa3": "#", "\x80": "$", "\xa4": "$", "\u20a0": "$", "\u20ac": "$"}
FRACTIONS = {"\xbc": "1/4", "\xbd": "1/2", "\xbe": "3/4", "\u2153": "1/3", "\u2154": "2/3"}

Writer = Callable[[str], str]


class Rule(NamedTuple):
    """One kind of token. Group 1 of `pattern` is the token; the rest must follow but is left for the next token."""

    pattern: re.Pattern[str]
    write: Writer  # gives the token as the tool writes it; empty if the tool skips it
    split: int = 0  # characters at the end that become a token of their own


@cache
def lists() -> dict[str, list[str]]:
    """The observations: words, grouped by how the tool treats them, and ranges of characters."""
    stored = json.loads(WORDS_FILE.read_text(encoding="utf-8"))
    return {name: " ".join(lines).split() for name, lines in stored.items() if name != "source"}


def spelling(word: str) -> str:
    """A pattern for a listed word. Letters match both cases, except capitals and letters after `=`."""
    return re.sub(r"=([a-z])|([A-Z])|([^=A-Z]+)", _spelling, word)


def _spelling(part: re.Match[str]) -> str:
    if part[1] or part[2]:
        return f"(?-i:{part[1] or part[2]})"
    return re.escape(part[3]).replace(r"\&", "&(?:amp;)?").replace("\u2019", APOSTROPHE)


def listed(name: str) -> str:
    """A pattern for the longest word of a list that matches."""
    words = sorted(lists()[name], key=lambda word: len(word.replace("=", "")), reverse=True)
    return f"(?i:{'|'.join(map(spelling, words))})"


def characters(name: str) -> str:
    """The observed characters of a name, as the inside of a character class."""
    codes = [pair.split("-") for pair in lists()[name]]
    return "".join(f"\\u{ends[0]:0>4}-\\u{ends[-1]:0>4}" for ends in codes)


def constant(written: str) -> Writer:
    """Write a fixed text, whatever matched."""
    return lambda token: written


def looked_up(table: dict[str, str]) -> Writer:
    """Write a token as the table says, if it is there."""
    return lambda token: table.get(token, token)


def no_soft_hyphens(token: str) -> str:
    """Remove soft hyphens."""
    return token.replace("\xad", "")


def no_spaces(token: str) -> str:
    """Make the spaces in a token no-break spaces."""
    return token.replace(" ", "\xa0")


def plain_ampersands(token: str) -> str:
    """Write `&amp;` as an ampersand."""
    return re.sub("(?i:&amp;)", "&", token)


def plain_quotes(token: str) -> str:
    """Write all kinds of quotation marks and apostrophes as in LaTeX; closing ones if the kind is unknown."""
    return "".join(QUOTES.get(mark, mark) for mark in token.replace("&apos;", "'").replace("&quot;", '"'))


def named_brackets(token: str) -> str:
    """Write brackets by their treebank names, and spaces as no-break spaces."""
    return "".join(BRACKETS.get(character, character) for character in no_spaces(token))


def named_parentheses(token: str) -> str:
    """Write only round brackets by their names, as in `:-RRB-`."""
    return token.replace("(", BRACKETS["("]).replace(")", BRACKETS[")"])


def shorter_dashes(token: str) -> str:
    """Write three or four hyphens as a dash."""
    return "--" if 3 <= len(token) <= 4 else token


def rule(token: str, context: str = "", write: Writer = str, split: int = 0) -> Rule:
    """A rule from the patterns of a token and of its right context. Case matters except inside `(?i:)`."""
    return Rule(re.compile(f"({token}){context}"), write, split)


@cache
def rules() -> tuple[Rule, ...]:
    """All rules, in order: of equally long matches, that of the first rule wins."""
    letter, marks, digit, symbol = map(characters, ("letters", "marks", "digits", "symbols"))
    # Words
    in_word = rf"(?:[{letter}{marks}]|&{listed('letter_entities')};)"
    run = rf"{in_word}(?:{in_word}|[{digit}])*"
    word = rf"{run}(?:[.!?]{run})*"
    clitic = rf"{APOSTROPHE}(?:[msdMSD]|(?i:re|ve|ll))"
    negation = rf"(?i:n){APOSTROPHE_OR_QUOTE}(?i:t)"
    dotted = rf"(?:[A-Za-z](?:\.[A-Za-z])+|{listed('before_us')}-(?i:u\.s)|(?i:u\.s)\.-{listed('after_us')})"
    # Words with hyphens and the like in them
    hyphens = rf"[A-Za-z0-9][A-Za-z0-9.,\xad]*(?:-(?:{dotted}\.|[A-Za-z0-9\xad]+))+"
    chunk = rf"(?:[dDoOlL]{APOSTROPHE_OR_QUOTE}[{letter}{digit}])?[{letter}{digit}]+"
    chain = rf"{chunk}(?:[-_\u058a\u2010\u2011]{chunk})*"
    initials = r"[A-Z]+(?:(?:(?i:&amp;)|[+&])[A-Z]+)+"
    slash_side = "[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
    # Tags, addresses, file names
    name = r"[A-Za-z][A-Za-z0-9_:.\-]*"
    value = r"(?:'[^'\r\n]*'|\"[^\"\r\n]*\")"
    tag = rf"<(?:[!?][A-Za-z\-][^>\r\n]*|{name}(?: +(?:{name} *= *{value}|{name}))* */?|/{name}) *>"
    path = r"/[^ \t\n\f\r\"<>|()]+[^ \t\n\f\r\"<>|.!?(){},-]"
    www = r"(?i:www\.)(?:[^ \t\n\f\r\"<>|.!?(){},]+\.)+[a-zA-Z]{2,4}"
    site = rf"(?:[^ \t\n\f\r\"`'<>|.!?(){{}},-_$]+\.)+{listed('site_endings')}"
    mailbox = r"[a-zA-Z0-9][^ \t\n\f\r\"<>|(){}\xa0]*"
    domain = r"[^ \t\n\f\r\"<>|(){}.\xa0]+"
    file = rf"(?:{in_word}|[{digit}])+(?:\.(?:{in_word}|[{digit}])+)*\.{listed('file_endings')}"
    # Numbers and faces
    phone = (
        r"(?:\([0-9]{2,3}\)[ \xa0]?|(?:\+\+?)?(?:[0-9]{2,4}[- \xa0])?[0-9]{2,4}[- \xa0])"
        r"[0-9]{3,4}[- \xa0]?[0-9]{3,5}|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}"
    )
    face = (
        r"[\^x=~<>]\.\[\^(?i:x)=[^\n]*?<>\]|[\-\^x=~<>']_[\-\^x=~<>']"
        r"|\([\-\^x=~<>'][_.]?[\-\^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'`]\)"
    )
    pause = r"[,;:\u3001]"  # a full stop before one of these belongs to the word
    split = {first + second: second for first, second in (pair.split("+") for pair in lists()["split"])}

    return (
        *(rule(f"(?i:{re.escape(whole)})", split=len(second)) for whole, second in split.items()),
        rule(tag, write=no_spaces),
        rule(r"(?i:&(?:md|mdash|ndash);)|[\x96\x97\u2013-\u2015]", write=constant("--")),
        rule("(?i:&amp;)", write=plain_ampersands),
        rule(f"&(?:{listed('entities')}|#[0-9]+);"),
        # Words, and what an apostrophe joins to them
        rule(word, clitic, no_soft_hyphens),
        rule(r"[A-Za-z\xad]*[A-MO-Za-mo-z]\xad*", negation, no_soft_hyphens),
        rule(word, write=no_soft_hyphens),
        rule(rf"{APOSTROPHE}(?i:n){APOSTROPHE}?|[lLdDjJ]{APOSTROPHE}"),
        rule(rf"{listed('elided_end')}{APOSTROPHE}|{APOSTROPHE}{listed('elided_start')}|{APOSTROPHE}[2-9]0(?i:s)"),
        rule(rf"[A-HJ-XZn]{APOSTROPHE_OR_QUOTE}[{letter}]{{2,}}"),
        rule(rf"[{letter}]+[aeiouyAEIOUY]{APOSTROPHE_OR_QUOTE}[aeiouA-Z][{letter}]*|(?i:o){APOSTROPHE_OR_QUOTE}(?i:o)"),
        rule(listed("together"), write=plain_ampersands),
        rule(rf"(?i:y){APOSTROPHE}", f"[{letter}]"),
        # Addresses
        rule(rf"(?i:https?:/){path}"),
        rule(f"(?:{www}|{site}){path}"),
        rule(f"{www}|{site}"),
        rule(rf"(?:<|(?i:&lt;))?{mailbox}@(?:{domain}\.)*{domain}(?:>|(?i:&gt;))?"),
        rule(rf"@[a-zA-Z_][a-zA-Z_0-9]*|#{in_word}+"),
        rule(clitic, "[^A-Za-z]", plain_quotes),
        # Numbers
        rule(rf"[{digit}]{{1,2}}[-/][{digit}]{{1,2}}[-/][{digit}]{{2,4}}"),
        rule(rf"[-+]?(?:[{digit}]*(?:[.:,\xad\u066b\u066c][{digit}]+)+|[{digit}]+)", write=no_soft_hyphens),
        rule(r"[\u207a\u207b\u208a\u208b]?(?:[\u2070\xb9\xb2\xb3\u2074-\u2079]+|[\u2080-\u2089]+)"),
        rule(rf"(?:[{digit}]{{1,4}}[- \xa0])?[{digit}]{{1,4}}(?:\\?/|\u2044)[{digit}]{{1,4}}", write=no_spaces),
        rule(r"[\xbc-\xbe\u2153-\u215e]", write=looked_up(FRACTIONS)),
        rule(rf"{slash_side}(?:\\?/{slash_side}){{1,2}}"),
        rule(r"[A-Z]*\$|#"),
        rule(r"[\xa2-\xa5\x80\u20a0\u20a4\u20ac\u060b\u0e3f\uffe0\uffe1\uffe5\uffe6]", write=looked_up(CURRENCIES)),
        # Full stops. If a word with one ends a sentence, the tool writes a second one, which is dropped later.
        rule("[A-Za-z]", rf"\.[{WHITE}]+(?:{listed('sentence_starts')}|{tag})[{WHITE}]"),
        rule(r"(?i:pt)[eyEY]\.", f"[{BLANK}]{listed('after_pty')}"),
        rule(rf"{listed('keep_stop')}\.", r"[\s\S]{2}"),
        rule(rf"{listed('keep_stop')}\."),
        rule(rf"{listed('keep_stop_before_digit')}\.", rf"[{WHITE}]?[{digit}]"),
        rule(rf"(?:{dotted}|{listed('keep_stop_unless_joined')}|[A-Za-z])\."),
        rule(dotted, f"[{WHITE}]"),
        rule(rf"{APOSTROPHE}[{digit}][{digit}]", f"[{WHITE}]"),
        rule(file, rf"[{WHITE}.,?!]"),
        rule(rf"{word}\.", pause, no_soft_hyphens),
        rule(phone, write=named_brackets),
        # Marks
        rule('"|(?i:&quot;)', write=plain_quotes),
        rule("<|(?i:&lt;)", write=constant("<")),
        rule(">|(?i:&gt;)", write=constant(">")),
        rule(r"[<>]?[:;=][\-o*']?[()DPdpO\\{@|\[\]]", "[^A-Za-z0-9]", named_parentheses),
        rule(face, write=named_parentheses),
        rule(r"[\[\](){}]", write=named_brackets),
        rule("-+", write=shorter_dashes),
        rule(r"\.{3,5}|(?:\.[ \xa0]){2,4}\.|[\x85\u2026]", write=constant("...")),
        rule(r"@+|#+|_+|\*+|(?:\\\*){1,3}|[?!]+|="),
        # Words with hyphens, digits and the like in them
        rule(rf"{hyphens}\.", pause, no_soft_hyphens),
        rule(hyphens, write=no_soft_hyphens),
        rule(rf"{chain}\.", pause),
        rule(chain),
        rule(rf"{initials}\.", pause, plain_ampersands),
        rule(initials, write=plain_ampersands),
        # The rest
        rule("'", r"[A-Za-z][^ \t\n\r\xa0]", constant("`")),
        rule(clitic, write=plain_quotes),
        rule(negation, write=plain_quotes),
        rule(rf"''|[`\u2018-\u201f\x91-\x94\u2039\u203a\xab\xbb]{{1,2}}|{APOSTROPHE}", write=plain_quotes),
        rule("<<|>>"),
        rule(f"[{symbol}]"),
        rule(rf"[\x00\u200b\u200e\u200f\ufeff]|[{BLANK}]+|[{WHITE}]|(?i:&nbsp;)", write=constant("")),
    )
