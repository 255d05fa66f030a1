"""PTB tokens and CIDEr-D equal the official tools', and keep the laws of the measure."""

import json
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest

from experiments.evaluation import ptb_tokenizer
from experiments.evaluation.cider import cider_d, ptb_tokenize

GOLDEN = Path(__file__).parents[1] / "golden"
OFFICIAL = json.loads((GOLDEN / "cider_official.json").read_text(encoding="utf-8"))
CAPTIONS = json.loads((GOLDEN / "ptb_tokens.json").read_text(encoding="utf-8"))["captions"]
IMAGES: list[dict[str, Any]] = OFFICIAL["images"]
CANDIDATES = [image["candidate"] for image in IMAGES]
REFERENCES = [image["references"] for image in IMAGES]

SCENES = [
    "a red cube sits beside a small green ball",
    "two brown dogs run across the wet sand",
    "an old man reads a newspaper on the bench",
    "people wait for a train in the snow",
]


def test_tokens_equal_the_official_tokenizer_on_awkward_captions() -> None:
    """Every caption of the golden file, each there because some rule decides it, has the official tokens."""
    wrong = {entry["text"]: ptb_tokenize(entry["text"]) for entry in CAPTIONS}
    assert wrong == {entry["text"]: entry["tokens"] for entry in CAPTIONS}


def test_tokens_equal_the_official_caption_tools() -> None:
    """Candidates and references of the official run have the tokens it printed."""
    for image in IMAGES:
        assert " ".join(ptb_tokenize(image["candidate"])) == image["candidate_tokens"]
        assert [" ".join(ptb_tokenize(reference)) for reference in image["references"]] == image["references_tokens"]


def test_every_rule_of_the_tokenizer_is_needed_by_some_golden_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking any rule away changes the tokens of a golden caption, so none can rot unseen."""
    every = ptb_tokenizer.rules()
    unneeded = []
    for left_out in every:
        rest = tuple(rule for rule in every if rule is not left_out)
        monkeypatch.setattr(ptb_tokenizer, "rules", lambda rest=rest: rest)
        ptb_tokenizer.tokens_of.cache_clear()
        if all(ptb_tokenize(entry["text"]) == entry["tokens"] for entry in CAPTIONS):
            unneeded.append(left_out.pattern.pattern)
    monkeypatch.undo()
    ptb_tokenizer.tokens_of.cache_clear()
    # What reads punctuation inside a sentence makes tokens that are all dropped, but for scripts other than Latin.
    assert unneeded == [r"([,;:\u3001])"]


def test_plain_words_need_no_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The short cut for letters before a space gives what the rules give."""
    quick = [ptb_tokenize(entry["text"]) for entry in CAPTIONS]
    monkeypatch.setattr(ptb_tokenizer, "PLAIN_WORD", re.compile("(?!)"))
    ptb_tokenizer.tokens_of.cache_clear()
    assert [ptb_tokenize(entry["text"]) for entry in CAPTIONS] == quick


@pytest.mark.parametrize("text", [image["candidate"] for image in IMAGES[:10]] + ["He said \u201cno\u201d\u2026", ""])
def test_space_around_and_between_does_not_matter(text: str) -> None:
    """Leading, trailing and doubled spaces, and line breaks for spaces, leave a caption's tokens as they are."""
    words = text.split()
    assert ptb_tokenize("\n " + "\n".join(words) + " \n") == ptb_tokenize("  ".join(words)) == ptb_tokenize(text)


def test_tokens_are_the_callers_own() -> None:
    """What a caller does to the list is not seen by the next one."""
    ptb_tokenize("a dog").append("cat")
    assert ptb_tokenize("a dog") == ["a", "dog"]


def test_cider_d_equals_the_official_tools() -> None:
    """Corpus and every image are within 1e-6 of the official evaluation."""
    corpus, per_image = cider_d(CANDIDATES, REFERENCES)
    assert corpus == pytest.approx(OFFICIAL["corpus_cider_d"], abs=1e-6)
    assert per_image == pytest.approx([image["cider_d"] for image in IMAGES], abs=1e-6)


def test_the_corpus_is_the_mean_of_its_images() -> None:
    """So points of examples may be averaged, resampled and paired."""
    for images in (len(CANDIDATES), 7):
        corpus, per_image = cider_d(CANDIDATES[:images], REFERENCES[:images])
        assert corpus == pytest.approx(sum(per_image) / images, rel=1e-12)
        assert len(per_image) == images


@pytest.mark.parametrize("image", range(len(SCENES)))
def test_saying_what_all_references_say_beats_everything_else(image: int) -> None:
    """It earns the maximum of 10; any other caption, even with one word more or less, earns less."""
    said = SCENES[image]
    others = [*SCENES, f"{said} today", said.rsplit(" ", 1)[0], " ".join(reversed(said.split())), f"{said} {said}", ""]
    scores = {}
    for caption in others:
        candidates = list(SCENES)
        candidates[image] = caption
        scores[caption] = cider_d(candidates, [[scene] * 3 for scene in SCENES])[1][image]
    best = scores.pop(said)
    assert best == pytest.approx(10.0, rel=1e-12)
    assert max(scores.values()) < best - 0.1


def test_order_does_not_matter() -> None:
    """References in another order leave every score; images in another order carry theirs along."""
    rng = random.Random(0)
    corpus, per_image = cider_d(CANDIDATES, REFERENCES)
    shuffled = [rng.sample(references, len(references)) for references in REFERENCES]
    assert cider_d(CANDIDATES, shuffled) == (corpus, per_image)
    order = rng.sample(range(len(IMAGES)), len(IMAGES))
    moved = cider_d([CANDIDATES[i] for i in order], [REFERENCES[i] for i in order])
    assert moved == (corpus, [per_image[i] for i in order])


def test_a_candidate_changes_its_own_image_only() -> None:
    """Rarity comes from the references alone."""
    before = cider_d(CANDIDATES, REFERENCES)[1]
    after = cider_d(["a completely different caption", *CANDIDATES[1:]], REFERENCES)[1]
    assert after[0] != before[0] and after[1:] == before[1:]


@pytest.mark.parametrize("candidate", ["", "  ", "...", "unheard words entirely"])
def test_nothing_shared_scores_nothing(candidate: str) -> None:
    """No word, only punctuation, or only words that no reference has: 0."""
    assert cider_d([candidate, SCENES[1]], [[SCENES[0]], [SCENES[1]]])[1][0] == 0.0


def test_words_of_every_image_count_nothing() -> None:
    """A caption made of what all images' references say earns 0, and so does any caption of a single image."""
    everywhere = [f"the view of {scene}" for scene in SCENES]
    assert cider_d(["the view of", *everywhere[1:]], [[text] for text in everywhere])[1][0] == 0.0
    assert cider_d([SCENES[0]], [[SCENES[0]]]) == (0.0, [0.0])


def test_a_score_worked_by_hand() -> None:
    """One of two equally rare words and one word too few: a cosine of 1 / sqrt(2) for single words, 0 for longer."""
    score = cider_d(["train", "dog"], [["train snow"], ["dog"]])[1][0]
    assert score == pytest.approx(10 * (1 / math.sqrt(2)) / 4 * math.exp(-1 / (2 * 6**2)), rel=1e-12)


def test_repeating_a_word_gains_nothing() -> None:
    """Counts are clipped at the reference's: of captions equally long, one said once earns more than one repeated."""
    references = [[scene] for scene in SCENES]
    varied, repeated = (
        cider_d([text, *SCENES[1:]], references)[1][0] for text in ("red cube new thing", "red red red red")
    )
    assert 0 < repeated < varied / 2


def test_tokens_with_a_space_are_two_words() -> None:
    """`1 1/2` is one token, which the COCO tools cut in two when they count n-grams."""
    assert ptb_tokenize("1 1/2 apples") == ["1\xa01/2", "apples"]
    references = [["a plate with 1 1/2 apples"], ["a dog"]]
    assert cider_d(["1/2 apples", "a dog"], references)[1][0] > cider_d(["apples", "a dog"], references)[1][0]


@pytest.mark.parametrize(
    ("candidates", "references", "named"),
    [
        ([], [], "0 candidates"),
        (["a"], [["a"], ["b"]], "1 candidates"),
        (["a", "b"], [["a"], []], "image 1"),
        (["a", "b"], ["a dog", ["b"]], "image 0"),
    ],
)
def test_what_cannot_be_scored_is_refused(candidates: list[str], references: list[Any], named: str) -> None:
    """No image, unequal lengths, an image without references, or a caption where a list belongs: named, not scored."""
    with pytest.raises(ValueError, match=named):
        cider_d(candidates, references)
