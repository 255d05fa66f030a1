r"""Penn Treebank tokens as the COCO caption tools count them, without their Java.

Those tools run Stanford's PTBTokenizer 3.4.1 with `-preserveLines -lowerCase` and drop a list of punctuation. It is a
scanner: of all rules that match at a position the one that reads furthest wins, what it only looks at included; between
equals the earlier rule wins. So is this one. Its rules were written anew and compared with the tool on strings that
visit every state of its scanner; `tests/golden/ptb_tokens.json` holds the telling ones. Known to differ: some
punctuation and letters of scripts other than Latin.

Source: that tool's grammar, `PTBLexer.flex` of Stanford CoreNLP (Tim Grow, Christopher Manning, Jenny Finkel; copyright
The Board of Trustees of The Leland Stanford Junior University), by its header under the GNU GPL, version 2 or later.
Taken from it are facts about the format: what is one token, which rule comes first, how a token is written, and the
lists of words below (abbreviations, titles, words that start a sentence, endings of file names).

Quirks that scores depend on are kept: brackets become `-lrb-` and so survive the list, which has them in capitals;
a fraction or telephone number with a space stays one token with a no-break space in it; `vitamin A. The dog` ends a
sentence after `a`. Not kept: the tools read all captions as one text, so the capital that begins the next caption can
have the same effect on a caption that ends in a single letter and a full stop. Here a caption stands alone.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

# What the COCO caption tools remove, as they write it.
MARKS = "'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;"
PUNCTUATION = frozenset(MARKS.split())

SPACE = r" \t\xa0\u2000-\u200a\u3000"
WHITE = SPACE + r"\r\n\u2028\u2029\x0b\x0c\x85"
ASTRAL = re.compile("[\U00010000-\U0010ffff]")
UNKNOWN = "\ufffe"  # a character that no rule knows

# Most words of most captions; nothing below treats letters before a space otherwise, but for these six.
PLAIN_WORD = re.compile(r"(?!(?i:cannot|gonna|gotta|lemme|gimme|wanna) )[A-Za-z]+(?= )")

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

# Abbreviations that keep their full stop, whatever follows; of the second list only when written with a capital.
SENTENCE_INNER = (
    "al ala apr ariz assn aug bancorp bhd bldg blvd bros calif co colo conn corp cos ct dak dec ed.d esq est etc ext"
    " feb fla fri ga inc ind intl jan jr jul jun kan kans ky ltd mar md mich minn mo mon mont neb nev nov oct okla penn"
    " ph.d plc rd rt sep sept seq sq sr sys tel tenn thu thurs tue tues univ va vt wed wis wisc wyo"
)
SENTENCE_INNER_CAPITAL = "Ark Az Del Ill La Mass Miss Ore Pa Tex Wash"  # codespell:ignore ore
# Those that give it up to a word that follows without a space: titles and the like.
BEFORE_NAMES = (
    "a.k.a adj adm adv alex assoc asst atty attys ave brig capt cf cie cmdr col comdr cpl dept det dr drs"
    " elec ens ft gen gov govs hon insp invt jos lieut lt maj messrs mlle mme mr mrs ms msgr mt natl pfc"
    " ph prof profs pvt rep reps rev sen sens sfc sgt spc st ste supt supts treas vs wm"
    " pres"  # codespell:ignore pres
)
BEFORE_NUMBERS = "art ca fig figs no nos op pp prop"
# A single letter and a full stop end a sentence before one of these words, capitalised.
SENTENCE_STARTERS = (
    "a about according additionally after an as at but earlier he her here however if in it last many more mr. ms. now"
    " once one other our she since so some such that the their then there these they this we when while what yet you"
)
FILE_ENDINGS = (
    "bat bmp c class cgi cpp dll doc docx exe gif gz h htm html jar java jpeg jpg mov mp3 pdf php pl png ppt ps py"
    " sql tar txt wav x xml zip"
)


class Rule(NamedTuple):
    """One kind of token. Group 1 of `pattern` is the token, the rest must follow it but stays for the next token."""

    pattern: re.Pattern[str]
    write: Callable[[str], str]  # the token as the tool writes it; empty for what it skips
    split: int = 0  # characters at the end that become a token of their own


def any_of(words: str) -> str:
    """A pattern for any of the words, the longest that fits, in any case."""
    return f"(?i:{'|'.join(map(re.escape, sorted(words.split(), key=len, reverse=True)))})"


def characters(*categories: str, below: int = 0x10000) -> str:
    """The inside of a character class: all of the basic plane that is in one of the Unicode categories."""
    found = [code for code in range(below) if unicodedata.category(chr(code)) in categories]
    starts = [code for code, before in zip(found, [-2, *found[:-1]], strict=True) if code != before + 1]
    ends = [code for code, after in zip(found, [*found[1:], -2], strict=True) if code + 1 != after]
    return "".join(f"\\u{start:04x}-\\u{end:04x}" for start, end in zip(starts, ends, strict=True))


def constant(written: str) -> Callable[[str], str]:
    """Whatever matched is written as this."""
    return lambda token: written


def looked_up(table: dict[str, str]) -> Callable[[str], str]:
    """What the table has is written as it says."""
    return lambda token: table.get(token, token)


def no_soft_hyphens(token: str) -> str:
    """Soft hyphens are taken out."""
    return token.replace("\xad", "")


def no_spaces(token: str) -> str:
    """Spaces inside a token do not break it."""
    return token.replace(" ", "\xa0")


def plain_ampersands(token: str) -> str:
    """`&amp;` is an ampersand."""
    return re.sub("(?i:&amp;)", "&", token)


def plain_quotes(token: str) -> str:
    """Quotation marks and apostrophes of all kinds as LaTeX writes them, closing ones where it is not known."""
    return "".join(QUOTES.get(mark, mark) for mark in token.replace("&apos;", "'").replace("&quot;", '"'))


def named_brackets(token: str) -> str:
    """Brackets by their names in the treebank, spaces unbroken."""
    return "".join(BRACKETS.get(character, character) for character in no_spaces(token))


def named_parentheses(token: str) -> str:
    """Round brackets alone by their names, as in `:-RRB-`."""
    return token.replace("(", BRACKETS["("]).replace(")", BRACKETS[")"])


def shorter_dashes(token: str) -> str:
    """Three or four hyphens are a dash."""
    return "--" if 3 <= len(token) <= 4 else token


@cache
def rules() -> tuple[Rule, ...]:
    """All rules, in order of precedence. Case counts inside brackets only, as in the tool."""
    alpha = characters("Lu", "Ll", "Lt", "Lm", "Lo")
    marks = characters("Mn", "Mc", below=0x0ED0) + r"\xad\u02c2-\u02ff"
    apostrophe = r"(?:['\x92\u2019]|(?i:&apos;))"
    any_apostrophe = r"(?:[`'\x91\x92\u2018\u2019\u201b]|(?i:&apos;))"
    letter = rf"(?:[{alpha}{marks}]|&[aeiouAEIOU](?i:acute|grave|uml);)"
    letters = rf"{letter}(?:{letter}|\d)*"
    word = rf"{letters}(?:[.!?]{letters})*"
    clitic = rf"{apostrophe}(?:[msdMSD]|(?i:re|ve|ll))"
    negation = rf"(?i:n){any_apostrophe}(?i:t)"
    acronym = r"(?:[A-Za-z](?:\.[A-Za-z])+|(?i:(?:canada|sino|korean|eu|japan|non)-u\.s|u\.s\.-u\.(?:k|s\.s\.r)))"
    capital = "|".join(f"{w[0]}(?i:{w[1:]})" for w in SENTENCE_INNER_CAPITAL.split())
    inner = rf"(?:{any_of(SENTENCE_INNER)}|{capital}|(?i:pp?t)[ye](?i:s?))"
    before_name = rf"(?:{acronym}|{any_of(BEFORE_NAMES)}|(?i:m)[ft](?i:g)|[A-Za-z])"
    starter = "|".join(f"{w[0].upper()}(?i:{re.escape(w[1:])})" for w in SENTENCE_STARTERS.split())
    inside = r"[,;:\u3001]"  # punctuation that does not end a sentence
    # Tags, addresses, file names
    name = r"[A-Za-z][A-Za-z0-9_:.\-]*"
    value = r"(?:'[^'\r\n]*'|\"[^\"\r\n]*\")"
    tag = rf"<(?:[!?][A-Za-z\-][^>\r\n]*|{name}(?: +(?:{name} *= *{value}|{name}))* */?|/{name}) *>"
    path = r"[^ \t\n\f\r\"<>|()]+[^ \t\n\f\r\"<>|.!?(){},-]"
    host = r"[^ \t\n\f\r\"`'<>|.!?(){},-_$]+"
    site = rf"(?:(?i:www\.)(?:[^ \t\n\f\r\"<>|.!?(){{}},]+\.)+[a-zA-Z]{{2,4}}|(?:{host}\.)+(?i:com|net|org|edu))"
    mailbox = r"[a-zA-Z0-9][^ \t\n\f\r\"<>|(){}\xa0]*"
    domain = r"[^ \t\n\f\r\"<>|(){}.\xa0]+"
    file = rf"(?:{letter}|\d)+(?:\.(?:{letter}|\d)+)*\.{any_of(FILE_ENDINGS)}"
    # Numbers
    phone = (
        r"(?:\([0-9]{2,3}\)[ \xa0]?|(?:\+\+?)?(?:[0-9]{2,4}[- \xa0])?[0-9]{2,4}[- \xa0])"
        r"[0-9]{3,4}[- \xa0]?[0-9]{3,5}|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}"
    )
    # Words of several pieces
    compound = rf"[A-Za-z0-9][A-Za-z0-9.,\xad]*(?:-(?:{acronym}\.|[A-Za-z0-9\xad]+))+"
    piece = rf"(?:[dDoOlL]{any_apostrophe}[{alpha}\d])?[{alpha}\d]+"
    thing = rf"{piece}(?:[-_\u058a\u2010\u2011]{piece})*"
    firm = r"[A-Z]+(?:(?:(?i:&amp;)|[+&])[A-Z]+)+"
    slashed = "[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
    face = (
        r"[\^x=~<>]\.\[\^(?i:x)=[^\n]*?<>\]|[\-\^x=~<>']_[\-\^x=~<>']"
        r"|\([\-\^x=~<>'][_.]?[\-\^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'`]\)"
    )
    symbol = (
        r"[+%&~^|\\\xa6-\xa9\xac\xae-\xba\xd7\xf7\u0387\u2016\u2017\u2020-\u2023\u2030-\u2038\u203b\u203e-\u2042"
        r"\u2044\u207a-\u207f\u208a-\u208e\u2100-\u214f\u2190-\u2bff\u3012\u30fb\uff01-\uff0f\uff1a-\uff20"
        r"\uff3b-\uff40\uff5b-\uff65]"
    )

    def rule(token: str, context: str = "", write: Callable[[str], str] = str, split: int = 0) -> Rule:
        return Rule(re.compile(f"({token}){context}"), write, split)

    return (
        rule("(?i:cannot|'twas)", split=3),
        rule("(?i:'tis|gonna|gotta|lemme|gimme|wanna)", split=2),
        rule(tag, write=no_spaces),
        rule(r"(?i:&(?:md|mdash|ndash);)|[\x96\x97\u2013-\u2015]", write=constant("--")),
        rule("(?i:&amp;)", write=plain_ampersands),
        rule("(?i:&(?:ht|tl|ur|lr|qc|ql|qr|odq|cdq|#[0-9]+);)"),
        # Words, and what an apostrophe joins to them
        rule(word, clitic, no_soft_hyphens),
        rule(r"[A-Za-z\xad]*[A-MO-Za-mo-z]\xad*", negation, no_soft_hyphens),
        rule(word, write=no_soft_hyphens),
        rule(rf"{apostrophe}(?i:n){apostrophe}?|[lLdDjJ]{apostrophe}"),
        rule(rf"(?i:dunkin|somethin|ol){apostrophe}"),  # codespell:ignore somethin
        rule(rf"{apostrophe}(?i:em|till?|cause)|{apostrophe}[2-9]0(?i:s)|[A-HJ-XZn]{any_apostrophe}[{alpha}]{{2,}}"),
        rule(rf"[{alpha}]+[aeiouyAEIOUY]{any_apostrophe}[aeiouA-Z][{alpha}]*|(?i:o){any_apostrophe}(?i:o)"),
        rule(r"(?i:cont'd\.?|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l)"),
        rule(rf"(?i:y){apostrophe}", f"[{alpha}]"),
        # Addresses
        rule(rf"(?i:https?://){path}"),
        rule(rf"{site}(?:/{path})?"),
        rule(rf"(?:<|(?i:&lt;))?{mailbox}@(?:{domain}\.)*{domain}(?:>|(?i:&gt;))?"),
        rule(rf"@[a-zA-Z_][a-zA-Z_0-9]*|#{letter}+"),
        rule(clitic, "[^A-Za-z]", plain_quotes),
        # Numbers
        rule(r"\d{1,2}[-/]\d{1,2}[-/]\d{2,4}"),
        rule(r"[-+]?(?:\d*(?:[.:,\xad\u066b\u066c]\d+)+|\d+)", write=no_soft_hyphens),
        rule(r"[\u207a\u207b\u208a\u208b]?(?:[\u2070\xb9\xb2\xb3\u2074-\u2079]+|[\u2080-\u2089]+)"),
        rule(r"(?:\d{1,4}[- \xa0])?\d{1,4}(?:\\?/|\u2044)\d{1,4}", write=no_spaces),
        rule(r"[\xbc-\xbe\u2153-\u215e]", write=looked_up(FRACTIONS)),
        # Single words of the treebank
        rule("-(?i:rrb|lrb|rcb|lcb|rsb|lsb)-|(?i:c\\.d\\.s|pro-|anti-)"),
        rule("(?i:s(?:&|&amp;)p-500|s(?:&|&amp;)ls)", write=plain_ampersands),
        rule(rf"(?i:cap){apostrophe}(?i:n)|(?i:c){apostrophe}(?i:est)", write=plain_ampersands),
        rule(rf"{slashed}(?:\\?/{slashed}){{1,2}}"),
        rule(r"[A-Z]*\$|#"),
        rule(r"[\xa2-\xa5\x80\u20a0\u20a4\u20ac\u060b\u0e3f\uffe0\uffe1\uffe5\uffe6]", write=looked_up(CURRENCIES)),
        # Abbreviations. Where one ends a sentence the tool writes a full stop more, which is dropped later.
        rule("[A-Za-z]", rf"\.[{WHITE}]+(?:{starter}|{tag})[{WHITE}]"),
        rule(r"(?i:pt)[eyEY]\.", f"[{SPACE}](?i:ltd|lim)"),
        rule(rf"{inner}\.", r"[\s\S]{2}"),
        rule(rf"{inner}\."),
        rule(rf"{any_of(BEFORE_NUMBERS)}\.", rf"[{WHITE}]?\d"),
        rule(rf"{before_name}\."),
        rule(acronym, f"[{WHITE}]"),
        rule(rf"{apostrophe}\d\d", f"[{WHITE}]"),
        rule(file, rf"[{WHITE}.,?!]"),
        rule(rf"{word}\.", inside, no_soft_hyphens),
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
        rule(r"@+|#+|_+|\*+|(?:\\\*){1,3}|[?!]+|[=/]"),
        rule(inside),
        rule(r"[.\xa1\xbf\u037e\u0589\u061f\u06d4\u0700-\u0702\u07fa\u3002]"),
        # Words with hyphens, digits and the like in them
        rule(rf"{compound}\.", inside, no_soft_hyphens),
        rule(compound, write=no_soft_hyphens),
        rule(rf"{thing}\.", inside),
        rule(thing),
        rule(rf"{firm}\.", inside, plain_ampersands),
        rule(firm, write=plain_ampersands),
        # What is left
        rule("'", r"[A-Za-z][^ \t\n\r\xa0]", constant("`")),
        rule(clitic, write=plain_quotes),
        rule(negation, write=plain_quotes),
        rule(rf"''|[`\u2018-\u201f\x91-\x94\u2039\u203a\xab\xbb]{{1,2}}|{apostrophe}", write=plain_quotes),
        rule("<<|>>"),
        rule(symbol),
        rule(r"(?i:c\+\+|[cf]#)"),
        rule(rf"[\x00\u200b\u200e\u200f\ufeff]|[{SPACE}]+|[{WHITE}]|(?i:&nbsp;)", write=constant("")),
    )


def read_token(line: str, known: str, position: int) -> tuple[str, int]:
    """The token at a position, empty where there is none, and where the next one may begin."""
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
def tokens_of(text: str) -> tuple[str, ...]:
    """The tokens of one caption. Cached: references are scored again for every row and seed."""
    line = text.replace("\n", " ") + "\n"  # a line of its own, as the tools hand it over
    known = ASTRAL.sub(UNKNOWN, line)  # the tool's rules end at the basic plane
    written, position = [], 0
    while position < len(line):
        token, position = read_token(line, known, position)
        written.append(token.lower())
    # The tools strip the line and cut it at spaces, so exotic white space at its end goes even from inside a token.
    tokens = " ".join(filter(None, written)).rstrip().split(" ")
    return tuple(token for token in tokens if token and token not in PUNCTUATION)


def ptb_tokenize(text: str) -> list[str]:
    """The tokens of one caption that COCO's metrics count, in lower case and without punctuation."""
    return list(tokens_of(text))
