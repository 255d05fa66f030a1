"""Queries and their answers."""

import pytest

from experiments.data.world import vocabulary
from experiments.data.world.queries import CAPTIONING, NUM_ANNOTATORS, NUM_REFERENCES, queries, support
from experiments.data.world.scenes import scene
from experiments.evaluation.benchmark import published
from tests.experiments.data.tiny_world import fact_asked, tiny_world

NAMES = [benchmark.name for benchmark in published()]


@pytest.fixture(scope="module")
def world():
    """A tiny world."""
    return tiny_world()


@pytest.mark.parametrize("name", NAMES)
def test_queries_are_the_same_every_time_and_grow_at_the_end(world, name):
    """Same config, same queries; a larger benchmark begins with the smaller one's queries."""
    assert queries(world, name) == queries(tiny_world(), name)
    assert queries(tiny_world(queries=30), name)[:24] == queries(world, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_has_the_size_of_the_config(world, name):
    """Test and validation split and support set are as large as the config says, with ids of their own."""
    parts = [queries(world, name), queries(world, name, "val"), support(world, name)]
    assert [len(part) for part in parts] == [24, 20, 40]
    assert len({query.id for part in parts for query in part}) == 84
    assert all(query.benchmark == name for part in parts for query in part)


@pytest.mark.parametrize("name", NAMES)
def test_answers_have_the_benchmarks_form(name):
    """Five references for a caption, ten annotators for VQA, one answer for MSVDQA; an answer is one word."""
    for query in queries(tiny_world(queries=100), name):
        if name in CAPTIONING:
            assert query.question == "" and len(query.answers) == NUM_REFERENCES
        else:
            assert query.question.endswith(" ?") and len(set(query.answers)) == 1
            assert query.answers[0] in vocabulary.words()
            assert len(query.answers) == (1 if name == "msvdqa" else NUM_ANNOTATORS)


def test_okvqa_asks_what_training_never_asks():
    """Every query is a held-out pair of kind and relation, its answer the fact, its name what is asked about."""
    for query in queries(tiny_world(queries=200), "okvqa"):
        relation, subject = fact_asked(query.question)
        things = scene(query.medium).things
        (thing,) = [thing for thing in things if subject in ("this", f"the {vocabulary.COLOURS[thing.colour]} one")]
        assert (subject == "this") == (len(things) == 1)
        assert not vocabulary.fact_seen_with_pictures(thing.kind, relation)
        assert query.answers[0] == vocabulary.fact(thing.kind, relation)
        assert query.name == vocabulary.KINDS[thing.kind]
        assert query.completion == f"{query.name} , {query.answers[0]}"


@pytest.mark.parametrize("name", ["vqav2", "msvdqa", "okvqa"])
def test_no_answer_is_a_safe_guess(name):
    """The most frequent answer of a question benchmark is right at most one time in eight."""
    answers = [query.answers[0] for query in queries(tiny_world(queries=400), name)]
    assert max(answers.count(answer) for answer in answers) < len(answers) / 8
    assert len(set(answers)) >= 30


@pytest.mark.parametrize("name", ["vqav2", "msvdqa"])
def test_a_question_is_answered_by_its_picture(name):
    """Kinds and colours that a question names, and its answer, are in the scene."""
    for query in queries(tiny_world(queries=200), name):
        shown = scene(query.medium)
        words = {vocabulary.BACKGROUNDS[shown.background], "stays"}
        words |= {vocabulary.KINDS[thing.kind] for thing in shown.things}
        words |= {vocabulary.COLOURS[thing.colour] for thing in shown.things}
        if shown.motion is not None:
            words.add(vocabulary.MOTIONS[shown.motion])
        named = set(query.question.split()) & {*vocabulary.KINDS, *vocabulary.COLOURS, *vocabulary.MOTIONS}
        assert query.answers[0] in words and named <= words
        assert query.answers[0] not in query.question.split()


def test_the_questions_relation_holds():
    """`what is left of the zib` is answered with what stands left of it: the first object, where it is on the left."""
    found = 0
    for query in queries(tiny_world(queries=300), "vqav2"):
        words = query.question.split()
        where = next((relation for relation in vocabulary.RELATIONS if f"{relation} the" in query.question), None)
        if where is None:
            continue
        shown, found = scene(query.medium), found + 1
        other = vocabulary.KINDS.index(words[-2])
        about = 1 - [thing.kind for thing in shown.things].index(other)
        first_is = vocabulary.RELATIONS[shown.place]
        opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
        assert where == (first_is if about == 0 else opposite[first_is])
        thing = shown.things[about]
        assert query.answers[0] in (vocabulary.KINDS[thing.kind], vocabulary.COLOURS[thing.colour])
    assert found > 50


def test_references_say_nothing_false():
    """Every word of a reference that names something names something in the scene."""
    for name in CAPTIONING:
        for query in queries(tiny_world(queries=100), name):
            shown = scene(query.medium)
            true = {vocabulary.BACKGROUNDS[shown.background]}
            for thing in shown.things:
                true |= {vocabulary.KINDS[thing.kind], vocabulary.COLOURS[thing.colour]}
            if shown.motion is not None:
                true.add(vocabulary.MOTIONS[shown.motion])
            claims = {*vocabulary.KINDS, *vocabulary.COLOURS, *vocabulary.BACKGROUNDS, *vocabulary.MOTIONS}
            for reference in query.answers:
                assert set(reference.split()) & claims <= true
                assert vocabulary.KINDS[shown.things[0].kind] in reference.split()


def test_okvqa_is_scored_on_the_last_word():
    """Of `zib , corn` the fact counts; other benchmarks are scored on the whole answer."""
    asked = {name: queries(tiny_world(), name)[0] for name in ("okvqa", "coco")}
    assert asked["okvqa"].scored_part("zib , corn") == "corn"
    assert asked["okvqa"].scored_part("") == ""
    assert asked["coco"].scored_part("a red zib") == "a red zib"
