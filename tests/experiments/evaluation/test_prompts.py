"""Few-shot prompts, their demonstrations and their blind twins."""

from dataclasses import replace

import pytest

from experiments.data.source import Source
from experiments.data.world.queries import CAPTIONING
from experiments.evaluation.benchmark import published
from experiments.evaluation.prompts import TEXT_ONLY_DEMONSTRATIONS, blind_media, build_prompts
from experiments.store.names import BLIND_OFFSET
from tests.experiments.data.tiny_world import tiny_source

NAMES = [benchmark.name for benchmark in published()]


@pytest.fixture(scope="module")
def world():
    """A tiny world."""
    return tiny_source()


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_depends_on_seed_and_query_only(world, name):
    """A larger benchmark, and a second call, leave each query's prompt as it was."""
    prompts = build_prompts(world, name, seed=3, shots=4)
    assert prompts == build_prompts(tiny_source(queries=40), name, seed=3, shots=4)[: len(prompts)]
    assert [prompt.query for prompt in prompts] == world.queries(name, "test")


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_draws_other_demonstrations(world, name):
    """The seed of a run moves the demonstrations and not the queries; queries differ among themselves too."""
    one, two = (build_prompts(world, name, seed=seed, shots=4) for seed in (0, 1))
    assert [prompt.query for prompt in one] == [prompt.query for prompt in two]
    assert sum(a.demonstrations != b.demonstrations for a, b in zip(one, two, strict=True)) > 20
    assert len({prompt.demonstrations for prompt in one}) > 20


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shots", [0, 4, 8, 16, 32])
def test_marks_and_media_agree(world, name, shots):
    """As many `<image>` marks as media, one a shot and the query's last; demonstrations come from the support set."""
    pool = world.support(name)
    for prompt in build_prompts(world, name, seed=0, shots=shots):
        assert prompt.text.split().count("<image>") == len(prompt.media) == shots + 1
        assert prompt.media[-1] == prompt.query.medium
        assert len(set(prompt.demonstrations)) == len(prompt.demonstrations) == (shots or TEXT_ONLY_DEMONSTRATIONS)
        assert set(prompt.demonstrations) <= set(pool)
        if shots:
            assert prompt.media[:-1] == tuple(example.medium for example in prompt.demonstrations)


def test_no_shots_means_two_demonstrations_in_text_alone(world):
    """Without shots two demonstrations show the form of the answer, before the only `<image>`."""
    for prompt in build_prompts(world, "vqav2", seed=0, shots=0):
        first, second = prompt.demonstrations
        told = " ".join(f"{example.question} {example.answers[0]} <EOC>" for example in (first, second))
        assert prompt.text == f"{told} <image> {prompt.query.question}"
        assert prompt.media == (prompt.query.medium,)


def test_more_shots_begin_with_the_same_demonstrations(world):
    """Four shots are the first four of eight, so that shots compare on the same prompts."""
    few, many = (build_prompts(world, "coco", seed=0, shots=shots) for shots in (4, 8))
    assert all(a.demonstrations == b.demonstrations[:4] for a, b in zip(few, many, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_query_ends_where_its_answer_begins(world, name):
    """A demonstration reads `<image> question answer <EOC>`; the query `<image> question` and no more."""
    for prompt in build_prompts(world, name, seed=0, shots=4):
        *shown, asked = [part.strip() for part in prompt.text.split("<image>")][1:]
        assert asked == prompt.query.question
        assert shown == [f"{query.question} {query.completion} <EOC>".strip() for query in prompt.demonstrations]
        if name in CAPTIONING:
            assert prompt.text.endswith("<EOC> <image>")


@pytest.mark.parametrize("shots", [0, 4, 32])
def test_a_demonstration_of_a_fact_never_shows_the_querys_kind(world, shots):
    """Neither the name nor the fact of the query can be read off its demonstrations' pictures."""
    for prompt in build_prompts(world, "okvqa", seed=0, shots=shots):
        assert prompt.query.name not in [kind for example in prompt.demonstrations for kind in example.shown]
        assert prompt.query.name not in prompt.text.split()


@pytest.mark.parametrize("name", NAMES)
def test_blind_takes_another_querys_medium_and_leaves_the_demonstrations(world, name):
    """Only the last medium changes, to that of the query 17 places on; no query keeps its own; all are used once."""
    prompts = build_prompts(world, name, seed=0, shots=4)
    blind = blind_media(prompts, world)
    assert [media[:-1] for media in blind] == [prompt.media[:-1] for prompt in prompts]
    assert all(media[-1] != prompt.query.medium for media, prompt in zip(blind, prompts, strict=True))
    assert [media[-1] for media in blind] == [
        prompts[(place + BLIND_OFFSET) % len(prompts)].query.medium for place in range(len(prompts))
    ]
    assert {media[-1] for media in blind} == {prompt.query.medium for prompt in prompts}


def test_one_medium_has_no_twin(world):
    """Where all queries show one medium, it raises rather than calls that blind."""
    with pytest.raises(ValueError, match="two media or more"):
        blind_media(build_prompts(world, "coco", seed=0, shots=4)[:1], world)


@pytest.mark.parametrize("count", [2, BLIND_OFFSET, BLIND_OFFSET + 1])
def test_no_medium_is_its_own_twin_however_many_there_are(world, count):
    """A derangement of the distinct media: queries that share one share its twin, which is another medium."""
    prompts = build_prompts(world, "coco", seed=0, shots=4)[:count]
    shared = [*prompts, replace(prompts[0], query=replace(prompts[0].query, id="again"))]
    twins = [media[-1] for media in blind_media(shared, world)]
    assert sorted(twins[:-1]) == sorted(prompt.query.medium for prompt in prompts) and twins[-1] == twins[0]
    assert all(twin != prompt.query.medium for twin, prompt in zip(twins, shared, strict=True))


def test_the_order_of_twins_is_keyed_by_benchmark_and_split():
    """A source that says nothing of its order gets one of its own for each (benchmark, split), always the same."""
    orders = [Source.twin_order(None, role, split, 50) for role in ("coco", "vqav2") for split in ("test", "val")]
    assert len({tuple(order) for order in orders}) == 4 and all(sorted(order) == [*range(50)] for order in orders)
    assert orders[0] == Source.twin_order(None, "coco", "test", 50)


def test_the_hash_covers_text_and_media(world):
    """Prompts with equal hashes are equal; every shot count, benchmark and seed has other hashes."""
    prompts = [
        prompt
        for name in NAMES
        for shots in (0, 4)
        for seed in (0, 1)
        for prompt in build_prompts(world, name, seed=seed, shots=shots)
    ]
    by_hash: dict[str, tuple] = {}
    for prompt in prompts:
        assert by_hash.setdefault(prompt.hash, (prompt.text, prompt.media)) == (prompt.text, prompt.media)
    assert len(by_hash) == len({(prompt.text, prompt.media) for prompt in prompts})


def test_too_many_shots_are_refused(world):
    """A support set smaller than the shots raises and names the key."""
    with pytest.raises(ValueError, match=r"eval\.shots"):
        build_prompts(tiny_source(support=10), "okvqa", seed=0, shots=16)


def test_validation_prompts_ask_other_queries_from_the_same_support(world):
    """What is tuned on the validation split never sees a test query."""
    test, val = (build_prompts(world, "vqav2", seed=0, shots=4, split=split) for split in ("test", "val"))
    assert len(val) == 20
    assert not {prompt.query for prompt in test} & {prompt.query for prompt in val}
    assert all(demo.id.startswith("support/") for prompt in (*test, *val) for demo in prompt.demonstrations)
