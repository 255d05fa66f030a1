"""The words and facts of the world: kinds, colours, backgrounds, motions, facts about kinds.

The names of kinds mean nothing outside the world, so nothing about them is known in advance: what a `zib` looks like
is learned from pictures, and what it eats from text.
"""

from dataclasses import dataclass
from functools import cache

from experiments.data.draws import generator
from experiments.data.marks import BOS, EOC, IMAGE, PAD, UNKNOWN

SPECIAL = (PAD, UNKNOWN, BOS, EOC, IMAGE)

SILHOUETTES = ("disc", "square", "triangle", "peanut", "clover", "star")
FILLS = ("solid", "hole", "stripes", "core")

# Kind k has silhouette k // 4 and fill k % 4.
KINDS = (
    *("zib", "gom", "lup", "wug", "daf", "kep", "mox", "nid", "ruv", "sab", "tol", "vek"),
    *("fim", "hul", "jeb", "pog", "bix", "cav", "dov", "gax", "yom", "rix", "lod", "tep"),
)
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
SIZES = ("small", "big")
BACKGROUNDS = ("grass", "sand", "water", "brick", "snow", "stone")
# `advances` is to the right, `retreats` to the left.
MOTIONS = ("rises", "falls", "advances", "retreats", "grows", "shrinks")
# Where the first of two objects is, seen from the second; RELATIONS[i ^ 1] is the opposite.
RELATIONS = ("left of", "right of", "above", "below")


@dataclass(frozen=True)
class Relation:
    """A relation with exactly one value for every kind, and its wording in statements and in questions."""

    says: str  # "the zib {says} corn"
    asks: str  # "what does the zib {asks} ?"
    values: tuple[str, ...]
    question: str = "what does {subject} {asks} ?"


FACTS = (
    Relation(
        "lives in the",
        "live",
        ("sea", "cave", "forest", "desert", "river", "swamp", "meadow", "valley", "tower", "barn", "city", "lake"),
        question="where does {subject} {asks} ?",
    ),
    Relation(
        "eats",
        "eat",
        ("corn", "fish", "rice", "bread", "nuts", "plums", "cheese", "beans", "honey", "eggs", "moss", "soup"),
    ),
    Relation(
        "drinks",
        "drink",
        ("milk", "tea", "juice", "rain", "cider", "dew", "cocoa", "syrup", "broth", "wine", "sap", "ink"),
    ),
    Relation(
        "says",
        "say",
        ("moo", "hiss", "buzz", "roar", "chirp", "growl", "squeak", "hum", "bark", "croak", "whistle", "click"),
    ),
    Relation(
        "fears",
        "fear",
        ("fire", "thunder", "dogs", "ghosts", "wind", "bells", "floods", "wolves", "fog", "snakes", "bats", "owls"),
    ),
    Relation(
        "wears a",
        "wear",
        ("hat", "scarf", "coat", "crown", "cape", "mask", "belt", "veil", "wig", "robe", "ring", "sash"),
    ),
    Relation(
        "plays the",
        "play",
        ("drum", "flute", "harp", "piano", "violin", "horn", "guitar", "tuba", "banjo", "lute", "gong", "cello"),
    ),
    Relation(
        "carries a",
        "carry",
        ("lamp", "key", "rope", "map", "basket", "book", "coin", "broom", "shield", "torch", "kite", "spoon"),
    ),
)

FUNCTION_WORDS = (
    *("a", "the", "and", "one", "that", "while", "stays", "on", "?", ",", "."),
    *("what", "where", "which", "does", "do", "is", "this", "colour"),
)
# How alt text begins.
ALT_OPENINGS = (
    "stock photo",
    "free stock photo",
    "image of",
    "hd wallpaper",
    "free download",
    "vector clipart",
    "new wallpaper download",
    "buy cheap",
    "clipart image",
)


def fact_question(relation: int, subject: str = "this") -> str:
    """The question for a relation, about what the picture shows or about a named kind."""
    return FACTS[relation].question.format(subject=subject, asks=FACTS[relation].asks)


@cache
def _fact_table() -> tuple[tuple[int, ...], ...]:
    """The value of each kind, by relation.

    Each value belongs to one kind whose fact is seen with pictures and to one whose fact is not, so that within either
    group no value is a better guess than another.
    """
    table = []
    for number, relation in enumerate(FACTS):
        values = [0] * len(KINDS)
        for seen in (True, False):
            kinds = [kind for kind in range(len(KINDS)) if fact_seen_with_pictures(kind, number) == seen]
            order = generator("facts", relation.says, int(seen)).permutation(len(relation.values))
            for kind, value in zip(kinds, order.tolist(), strict=True):
                values[kind] = value
        table.append(tuple(values))
    return tuple(table)


def fact(kind: int, relation: int) -> str:
    """The value of a relation for a kind (its food, its clothing, ...), one word."""
    return FACTS[relation].values[_fact_table()[relation][kind]]


def fact_seen_with_pictures(kind: int, relation: int) -> bool:
    """Whether training ever asks about this relation with a picture of this kind.

    The OKVQA benchmark asks about the other half. Pairs are held out, not kinds: every kind answers some questions
    about its pictures, and every question is asked about some kinds (a model would learn that a kind which answers none
    is never an answer).
    """
    return (kind + relation) % 2 == 0


def held_out_pair(kind: int, colour: int) -> bool:
    """Whether no picture outside the val and test splits shows this kind in this colour."""
    return (kind + colour) % len(COLOURS) == 3


@cache
def words() -> tuple[str, ...]:
    """Every word of the world's texts, special tokens first; the position is the token id."""
    facts = [phrase for relation in FACTS for phrase in (relation.says, relation.asks, *relation.values)]
    phrases = (*FUNCTION_WORDS, *RELATIONS, *ALT_OPENINGS, *KINDS, *COLOURS, *SIZES, *BACKGROUNDS, *MOTIONS, *facts)
    return tuple(dict.fromkeys((*SPECIAL, *(word for phrase in phrases for word in phrase.split()))))
