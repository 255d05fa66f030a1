"""The caption tools' tokenizer as a black box: what it does to words and characters, and how ours compares with it.

python -m benchmarks.observe_ptb words JAR WORDLIST
python -m benchmarks.observe_ptb compare JAR [files=2000] [seed=0]

`words` writes `experiments/evaluation/ptb_words.json`. It asks the tool about every string of one to four letters, each
word of a word list, every character of the basic plane and the names written down below, in sentences that show one
habit; only outputs are looked at. `compare` sends random files of captions through both and prints what differs.

Needs Java, the jar in the wheel of pycocoevalcap 1.2, and for `words` a word list: it was SCOWL, as in Debian's
`wamerican-huge` (free to use, copy and modify).
"""

import itertools
import json
import random
import re
import string
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from html.entities import html5
from pathlib import Path

from experiments.evaluation.ptb_rules import WORDS_FILE
from experiments.evaluation.ptb_tokenizer import PUNCTUATION, ptb_tokenize_all

Tool = Callable[[Sequence[str]], list[list[str]]]  # the tokens of each line of a file that COCO's metrics count
Holds = Callable[[str, list[str]], bool]  # of a word in lower case and the tokens of its line

SOURCE = (
    "Outputs of the caption tools' tokenizer (jar in pycocoevalcap 1.2, -preserveLines -lowerCase, Java 17), run as a"
    " black box by benchmarks/observe_ptb.py on every string of one to four letters, every word of the word list SCOWL"
    " (Debian wamerican-huge 2020.12.07), every character of the basic plane and some names. To be read so: a letter"
    " is of both cases, a capital itself, `=x` a small x, a curly apostrophe any apostrophe; `+` cuts a word; sets of"
    " characters are ranges of hexadecimal numbers."
)
LETTERS = string.ascii_lowercase
CLITICS = {"d", "ll", "m", "n", "re", "s", "ve"}  # the rules know these by themselves
# Words kept together because of the letters beside the apostrophe, which the rules know as well.
BY_LETTERS = re.compile(r"[a-z]+[aeiouy]'[aeiou][a-z]*|[dlno]'[a-z]+")
# Written down from memory for the tool to judge.
NAMES = (
    "bancorp assn bhd intl natl govt dept messrs supts attys msgr lieut comdr treas assoc calif thurs dunkin somethin"
    " canada mexico japan china korean german french soviet sino anglo franco russo eu uk nato non pro anti"
    " pptys pptes ph.d ed.d m.d ll.d sc.d d.phil b.sc m.sc ph.m j.d b.a a.k.a u.s u.k u.n e.u u.s.a u.s.s.r u.a.e"
    " cont'd int'l nat'l gov't dep't sec'y ass'n gen'l c'mon ma'am o'clock y'all li'l ev'ry e'er ne'er o'er s'mores"
    " s'more nor'easter sou'wester fo'c'sle bo's'n bos'n cap'n c'est ev'n giv'n e'en pow'r ha'penny hallowe'en"
    " s&p-500 s&p-400 s&p-100 s&p-1000 r&d-10"
)
# Of random captions
STARTS = "The the A There Mr. Ms Ltd ltd. 5 '99 's <b> It's He She, \"The at In"
MIDDLES = "a the dog man's can't Mr. U.S. p.m. inc. 5 1/2 $5 t-shirt No. \"x\" (b) w/ & 10:30 cannot a.b 'em x\xb2\xb3"
ENDS = "b. B. U.S. u.k. inc. Inc. st. no. fig. p.m. dog. pty. PTY. Ill. ... . 7. b.\" (b.) 's ' '9 '99 i' <b> x"
CHARACTERS = "ab1.,'\u2019`\"-/&;<>()$#@ :=_*+!?%TsU\xa0\xe9\xbd"


def java_tool(jar: Path) -> Tool:
    """The real one, as the COCO tools call it."""

    def tokenize(lines: Sequence[str]) -> list[list[str]]:
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8", newline="") as file:
            file.write("\n".join(lines))
            file.flush()
            command = ["java", "-Dfile.encoding=UTF-8", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
            command += ["-preserveLines", "-lowerCase", file.name]
            output = subprocess.run(command, capture_output=True, check=True).stdout.decode()
        counted = [[token for token in line.rstrip().split(" ") if token and token not in PUNCTUATION]
                   for line in output.split("\n")]  # fmt: skip
        return counted[: len(lines)]

    return tokenize


def strings(length: int, alphabet: str = LETTERS) -> Iterator[str]:
    """All strings of one up to so many characters."""
    for size in range(1, length + 1):
        yield from map("".join, itertools.product(alphabet, repeat=size))


def holding(tool: Tool, template: str, words: Iterable[str], holds: Holds) -> set[str]:
    """The words for which `holds` is true of the line made from the template."""
    found: set[str] = set()
    remaining = iter(words)
    while some := list(itertools.islice(remaining, 500_000)):
        # A line more, since the tool treats the end of a file differently.
        lines = tool([*(template.replace("{}", word) for word in some), "zz"])[:-1]
        found.update(word for word, tokens in zip(some, lines, strict=True) if holds(word.lower(), tokens))
    return found


def in_both_cases(words: Iterable[str]) -> Iterator[str]:
    """Each word as it is and capitalised."""
    for word in words:
        yield from (word, word.capitalize())


def spelled(tool: Tool, template: str, words: Iterable[str], holds: Holds) -> list[str]:
    """Words that hold in some spelling, written so that it shows which letters must be capital, which small."""
    cases: dict[str, list[str]] = {
        word: sorted({"".join(case) for case in itertools.product(*zip(word, word.upper(), strict=True))})
        for word in sorted({word.lower() for word in words})
    }
    good = holding(tool, template, itertools.chain.from_iterable(cases.values()), holds)
    written = []
    for word, spellings in cases.items():
        kinds = [{case[position] for case in spellings if case in good} for position in range(len(word))]
        small = [letter != letter.upper() and seen == {letter} for letter, seen in zip(word, kinds, strict=True)]
        capital = [letter not in seen for letter, seen in zip(word, kinds, strict=True)]
        written.append("".join(f"={letter}" if s else letter.upper() if c else letter
                               for letter, s, c in zip(word, small, capital, strict=True)))  # fmt: skip
    return written


def alone(word: str, tokens: list[str]) -> bool:
    """The word is the whole first token of a line that ends in `x`."""
    return tokens == [word, "x"]


def with_stop(word: str, tokens: list[str]) -> bool:
    """The word keeps its full stop."""
    return f"{word}." in tokens


def observe_full_stops(tool: Tool, words: set[str], length: int) -> dict[str, list[str]]:
    """Words that keep a full stop, by what follows it, and words that take it from a single letter before them."""
    plain = {word for word in words if word.isalpha()}
    pairs = (f"{a}.{b}" for a, b in itertools.product(strings(min(length, 2)), repeat=2))
    every = {*strings(length), *plain, *pairs, *(word for word in words if "." in word)}
    kept = {word.lower() for word in holding(tool, "{}. x", in_both_cases(every), with_stop)}
    kept = {word for word in kept if max(map(len, word.split("."))) > 1}  # any single letters keep theirs
    joined = {word.lower() for word in holding(tool, "{}.x", in_both_cases(kept), with_stop)}
    short = plain | set(strings(length))
    numbered = holding(tool, "{}. 5", (word for word in short - kept if len(word) > 1), with_stop)
    starts = {*short, *(f"{word}." for word in kept)}

    def taken(word: str, tokens: list[str]) -> bool:
        return tokens[0] == "z"

    starting = holding(tool, "z. {} x", in_both_cases(starts), taken)
    companies = holding(tool, "PTY. {} x", short, lambda _, tokens: tokens[0] == "pty.")
    return {
        "keep_stop": spelled(tool, "{}.x", joined, with_stop),
        "keep_stop_unless_joined": spelled(tool, "{}. x", kept - joined, with_stop),
        "keep_stop_before_digit": spelled(tool, "{}. 5", numbered, with_stop),
        "sentence_starts": spelled(tool, "z. {} x", starting, taken),
        "after_pty": sorted(word for word in companies if not any(word[:end] in companies for end in range(len(word)))),
    }


def any_apostrophe(tool: Tool, words: Iterable[str]) -> list[str]:
    """The words, with a curly apostrophe where they are kept together with that one too."""
    curly = {word: word.replace("'", "\u2019") for word in words}
    held = holding(tool, "{} x", set(curly.values()), alone)
    return sorted(kind if kind in held else word for word, kind in curly.items())


def observe_pieces(tool: Tool, words: set[str], length: int) -> dict[str, list[str]]:
    """Words that are cut, words with marks in them that are not, and what they end in."""
    plain = {word for word in words if word.isalpha()} | set(strings(length))
    pairs = list(itertools.product(strings(min(length, 2)), repeat=2))
    elided = {word for word in words if "'" in word}
    marked = {f"{a}{mark}{b}" for a, b in pairs for mark in "'&"} | {word for word in words if re.search("['&]", word)}
    marked |= {text for word in plain for text in (f"{word}-", f"-{word}-")}
    marked |= {text for word in strings(2) for text in (f"{word}#", f"{word}++")}
    together = holding(tool, "{} x", marked, alone)
    together |= {f"{word}." for word in holding(tool, "{}. x", elided, lambda word, tokens: alone(f"{word}.", tokens))}
    cut = holding(tool, "{} x", plain | {f"'{word}" for word in plain if word[0] == "t"},
                  lambda word, tokens: len(tokens) == 3 and "".join(tokens) == f"{word}x")  # fmt: skip
    elided_start = holding(tool, "'{} x", plain, lambda word, tokens: alone(f"'{word}", tokens)) - CLITICS
    known = cut | {f"'{word}" for word in elided_start}  # `'tisn` is cut because `'tis` is
    cut = {word for word in cut if not any(word[:end] in known for end in range(1, len(word)))}
    shortened = plain | {word[:-1] for word in plain if word.endswith("ing")}
    entities = {name.rstrip(";") for name in html5} | plain
    letter_entities = holding(tool, "z&{};z", entities, lambda word, tokens: tokens == [f"z&{word};z"])
    endings = plain | set(strings(min(length, 3), LETTERS + string.digits)) | {word for word in words if word.isalnum()}
    states = holding(tool, "{}-u.s x", plain, lambda word, tokens: alone(f"{word}-u.s", tokens))
    dotted = {f"{a}.{b}" for a, b in itertools.product(LETTERS, repeat=2)} | {word for word in words if "." in word}
    return {
        "split": sorted("+".join(tokens[:2]) for tokens in tool([f"{word} x" for word in sorted(cut)])),
        "together": any_apostrophe(tool, (word for word in together if not BY_LETTERS.fullmatch(word))),
        "elided_start": sorted(elided_start),
        "elided_end": sorted(holding(tool, "{}' x", (word for word in shortened if len(word) > 1),
                                     lambda word, tokens: alone(f"{word}'", tokens))),
        "letter_entities": sorted({name.lower() for name in letter_entities}),
        "entities": sorted(holding(tool, "x &{}; y", entities, lambda word, tokens: f"&{word};" in tokens)
                           - letter_entities - {"QUOT"}),
        "before_us": sorted(states),
        "after_us": sorted(holding(tool, "u.s.-{} x", dotted, lambda word, tokens: alone(f"u.s.-{word}", tokens))),
        "file_endings": sorted(holding(tool, "7q.{} x", (word for word in endings if not word.isdigit()),
                                       lambda word, tokens: alone(f"7q.{word}", tokens))),
        "site_endings": sorted(holding(tool, "zz.{}/qq x", plain, lambda word, tokens: alone(f"zz.{word}/qq", tokens))),
    }  # fmt: skip


def ranges(characters: Iterable[str]) -> list[str]:
    """Characters as ranges of hexadecimal numbers."""
    codes = sorted(map(ord, characters))
    starts = [code for code, before in zip(codes, [-2, *codes[:-1]], strict=True) if code != before + 1]
    ends = [code for code, after in zip(codes, [*codes[1:], -2], strict=True) if code + 1 != after]
    return [f"{start:x}-{end:x}" if end > start else f"{start:x}" for start, end in zip(starts, ends, strict=True)]


def observe_characters(tool: Tool) -> dict[str, list[str]]:
    """Which characters are letters, marks and digits of words, and which are tokens by themselves."""
    breaks = "\n\r\x0b\x0c\u2028\u2029"
    plane = [chr(code) for code in range(1, 0xFFFE) if not 0xD800 <= code < 0xE000 and chr(code) not in breaks]
    joined = holding(tool, "\xe9{}{}\xe9", plane, lambda _, tokens: len(tokens) == 1)
    digits = joined & holding(tool, "+{}", plane, lambda character, tokens: tokens == [f"+{character}"])
    letters = (
        joined & holding(tool, "\xe9-{} x", plane, lambda _, tokens: len(tokens) == 2 and len(tokens[0]) >= 3) - digits
    )
    symbols = holding(tool, "x {} y", plane, lambda character, tokens: tokens == ["x", character, "y"]) - joined
    named = {"letters": letters, "marks": joined - letters - digits, "digits": digits, "symbols": symbols}
    return {name: ranges(characters) for name, characters in named.items()}


def write_words(lists: dict[str, list[str]], path: Path = WORDS_FILE) -> None:
    """The file of observed lists, in lines that can be read."""
    wrapped = {"source": SOURCE} | {name: " ".join(words) for name, words in lists.items()}
    lines = {name: textwrap.wrap(text, 116, break_on_hyphens=False) for name, text in wrapped.items()}
    path.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def random_file(rng: random.Random) -> list[str]:
    """Some captions, of words and ends of sentences, or of characters that mean something to the tool."""
    captions = []
    for _ in range(rng.randint(1, 6)):
        if rng.random() < 0.3:
            captions.append("".join(rng.choices(CHARACTERS, k=rng.randint(0, 14))))
        else:
            middle = rng.choices(MIDDLES.split(), k=rng.randint(0, 4))
            captions.append(" ".join([rng.choice(STARTS.split()), *middle, rng.choice(ENDS.split())]))
        captions += [""] * (rng.random() < 0.05)
    return captions


def compare(tool: Tool, files: int, seed: int) -> int:
    """Print the captions whose tokens differ; how many there are. Between files stands a line `zz`."""
    rng = random.Random(seed)
    lines = [line for _ in range(files) for line in ("zz", *random_file(rng))]
    theirs, ours = tool(lines), ptb_tokenize_all(lines)
    different = 0
    for number, (line, wanted, got) in enumerate(zip(lines, theirs, ours, strict=True)):
        if wanted != got:
            different += 1
            print(f"{line!r} before {lines[number + 1 : number + 2]}\n  tool {wanted}\n  ours {got}")
    print(f"{different} of {len(lines)} captions differ")
    return different


def main(arguments: list[str]) -> None:
    """The command line."""
    command, jar, *rest = arguments
    tool = java_tool(Path(jar))
    if command == "words":
        listed = Path(rest[0]).read_text(encoding="utf-8").split()
        words = {word.lower() for word in [*listed, *NAMES.split()] if word.isascii()}
        write_words(observe_full_stops(tool, words, 4) | observe_pieces(tool, words, 4) | observe_characters(tool))
    else:
        options = dict(argument.split("=") for argument in rest)
        raise SystemExit(compare(tool, int(options.get("files", 2000)), int(options.get("seed", 0))) > 0)


if __name__ == "__main__":
    main(sys.argv[1:])
