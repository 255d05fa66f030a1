"""PTB tokens and CIDEr-D equal the official tools', and keep the laws of the measure."""

import json
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import observe_ptb
from experiments.data.world import vocabulary
from experiments.evaluation import ptb_rules, ptb_tokenizer
from experiments.evaluation.cider import cider_d, ptb_tokenize, ptb_tokenize_all

GOLDEN = Path(__file__).parents[2] / "golden"
OFFICIAL = json.loads((GOLDEN / "cider_official.json").read_text(encoding="utf-8"))
OBSERVED = json.loads((GOLDEN / "ptb_tokens.json").read_text(encoding="utf-8"))
CAPTIONS = OBSERVED["captions"]
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


@pytest.mark.parametrize("file", OBSERVED["files"], ids=lambda file: " | ".join(file["texts"]))
def test_a_file_of_captions_has_the_tools_tokens(file: dict[str, Any]) -> None:
    """Read as one text: the next caption's capital ends a sentence, and no line break follows the last caption."""
    assert ptb_tokenize_all(file["texts"]) == file["tokens"]


def test_a_caption_between_words_has_the_tokens_it_has_alone() -> None:
    """Only neighbours that begin with something telling matter: each golden caption between two lines `zz`."""
    lines = [line for entry in CAPTIONS for line in (entry["text"], "zz")]
    assert ptb_tokenize_all(lines)[::2] == [entry["tokens"] for entry in CAPTIONS]


def test_each_caption_of_a_file_is_read_with_all_the_text_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """How far it is looked ahead is a matter of speed: with the whole rest of the file all tokens are the same."""
    rng = random.Random(3)
    texts = [text for _ in range(150) for text in observe_ptb.random_file(rng)]
    rest = [text.replace("\n", " ") for text in texts]
    whole = [
        list(ptb_tokenizer.tokens_of(line, "".join(f"\n{later}" for later in rest[number + 1 : number + 40])))
        for number, line in enumerate(rest)
    ]
    assert ptb_tokenize_all(texts) == whole
    # and it does matter
    assert sum(ptb_tokenize(text) != tokens for text, tokens in zip(texts, whole, strict=True)) > 3


def test_a_file_has_one_list_of_tokens_a_caption() -> None:
    """No caption is lost or doubled, whatever line breaks are in it; one string for many is refused."""
    assert ptb_tokenize_all([]) == []
    assert ptb_tokenize_all(["", "a\nb", "c\r\nd", "e\u2028f", ""]) == [[], ["a", "b"], ["c", "d"], ["e", "f"], []]
    with pytest.raises(TypeError, match="list of captions"):
        ptb_tokenize_all("a dog")


def test_cider_d_reads_references_as_one_file_and_candidates_as_another() -> None:
    """`b.` is the word `b` where the next caption of the same file begins with `The`, else it is `b.`."""
    ends, starts = "letter b.", "The dog"
    both = cider_d([ends, starts], [[ends], [starts]])[1]
    assert both == pytest.approx([10.0 / 2, 10.0 / 2], rel=1e-12)  # two words each: no n-gram of three or four
    unlike = cider_d([ends, "a dog"], [[ends], [starts]])[1]
    assert unlike[0] == pytest.approx(10 * (1 / 2) / 4, rel=1e-12)  # `b.` here, `b` there: half of the single words


def test_no_caption_of_the_rendered_world_depends_on_its_neighbours() -> None:
    """Its words are in small letters, so scores stored before captions were read as one text stay what they are."""
    lists = [values for name, values in vars(vocabulary).items() if name.isupper() and isinstance(values, tuple | list)]
    words = {word for values in lists for word in values if isinstance(word, str) and not word.startswith("<")}
    assert len(words) > 20 and all(word == word.lower() for word in words)
    rng = random.Random(4)
    texts = [
        " ".join(rng.choices(sorted(words), k=rng.randint(0, 8))) + rng.choice(["", ".", " .", " a."])
        for _ in range(300)
    ]
    assert ptb_tokenize_all(texts) == [ptb_tokenize(text) for text in texts]


def test_the_lists_of_full_stops_are_what_observation_gives() -> None:
    """Observed as the Java tool was, our tokenizer gives the lists it was given: each word does what its list says."""
    names = ("keep_stop", "keep_stop_unless_joined", "keep_stop_before_digit", "sentence_starts", "after_pty")
    lists = {name: [word for word in ptb_rules.lists()[name] if len(word) <= 5] for name in names}
    words = {word.replace("=", "").strip(".").lower() for listed in lists.values() for word in listed}
    assert observe_ptb.observe_full_stops(ptb_tokenize_all, words | {"dogs", "zq"}, 1) == lists


def test_the_lists_say_where_they_come_from() -> None:
    """The lists are outputs of the tool, their file says so, and nothing names the tool's own grammar as a source."""
    source = " ".join(json.loads(ptb_rules.WORDS_FILE.read_text(encoding="utf-8"))["source"])
    assert source == observe_ptb.SOURCE and "black box" in source
    for module in (ptb_rules, ptb_tokenizer, observe_ptb):
        assert not re.search(r"\bGPL|GNU|\.flex|Leland", Path(str(module.__file__)).read_text(encoding="utf-8"))


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
    assert not unneeded


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
    """References in another order leave every score; images in another order carry theirs along.

    As long as no caption ends in a single letter and a full stop, as none does here.
    """
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
