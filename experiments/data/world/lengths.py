"""Maximum lengths of the world's texts in words, from its grammar, without drawing any text.

With the world's own tokenizer, a word is a token. The longest text of each form is restated here; a test compares it
with drawn texts.
"""

from collections.abc import Iterable

from experiments.data.world.config import WorldConfig
from experiments.data.world.vocabulary import (
    ALT_OPENINGS,
    BACKGROUNDS,
    COLOURS,
    FACTS,
    KINDS,
    MOTIONS,
    RELATIONS,
    SIZES,
    fact_question,
)

_BOS = _IMAGE = _EOC = 1


def longest_document(config: WorldConfig, role: str) -> int:
    """Words of the longest example of a data set: a page with the maximum number of pictures, or a pair."""
    return _BOS + (config.max_media if role == "m3w" else 1) * longest_turn()


def longest_query() -> int:
    """Words of the longest query, with its `<image>` and the `<bos>` of a prompt."""
    return _BOS + _IMAGE + _question()


def longest_turn() -> int:
    """Words of the longest medium with its text, up to `<EOC>`."""
    asked = _question() + _answer()
    return _IMAGE + max(_caption(), _alt_text(), asked) + _EOC


def _caption() -> int:
    """`a big red zib rises left of a small blue gom on grass`, or `.. while .. stays` in place of the relation."""
    noun = 1 + _most(SIZES) + _most(COLOURS) + _most(KINDS)
    return 2 * noun + _most(MOTIONS) + max(_most(RELATIONS), 2) + 1 + _most(BACKGROUNDS)


def _alt_text() -> int:
    return _most(ALT_OPENINGS) + 2 * (_most(COLOURS) + _most(KINDS)) + _most(BACKGROUNDS)


def _question() -> int:
    """`what colour is the one left of the gom ?`, `what colour is the one that rises ?`, or one on a fact."""
    about_place = 5 + _most(RELATIONS) + 1 + _most(KINDS) + 1
    about_motion = 6 + _most(MOTIONS) + 1
    return max(about_place, about_motion, _most(fact_question(relation) for relation in range(len(FACTS))))


def _answer() -> int:
    """A kind, a comma and a fact."""
    return _most(KINDS) + 1 + max(_most(relation.values) for relation in FACTS)


def _most(phrases: Iterable[str]) -> int:
    return max(len(phrase.split()) for phrase in phrases)
