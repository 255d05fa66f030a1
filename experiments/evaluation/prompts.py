"""Few-shot prompts: demonstrations, then the query up to the beginning of its answer.

A demonstration reads `<image> question answer <EOC>`, or `<image> caption <EOC>`. The demonstrations of a query depend
on (seed, query id) alone, so that prompts are the same for every row, batch size and process.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.data.document import Chunk, layout
from experiments.data.draws import generator
from experiments.data.marks import IMAGE
from experiments.data.query import Query
from experiments.data.source import TEXT_ONLY_DEMONSTRATIONS, Source
from experiments.evaluation.benchmark import BENCHMARKS, Benchmark
from experiments.store.names import BLIND_OFFSET


@dataclass(frozen=True)
class Prompt:
    """The text and media that the model reads for one query; the tokenizer adds `<bos>` in front."""

    query: Query
    demonstrations: tuple[Query, ...]
    text: str
    media: tuple[str, ...]  # ids in the order of the `<image>` marks; the query's is the last
    hash: str  # sha256 of text and media


def build_prompts(source: Source, benchmark: str, *, seed: int, shots: int, split: str = "test") -> list[Prompt]:
    """The prompts of a benchmark. The demonstrations of fewer shots are the first of those of more shots.

    With 0 shots a prompt has two demonstrations without their pictures, as in the paper.

    Raises:
        UnknownName: there is no such benchmark.
        ValueError: the support set is too small for so many shots.
    """
    chosen = BENCHMARKS.get(benchmark)
    pool = source.support(chosen.role)
    return [
        _prompt(chosen, query, _demonstrations(query, pool, seed=seed, shots=shots), shots)
        for query in source.queries(chosen.role, split)
    ]


def blind_media(prompts: Sequence[Prompt], source: Source, *, split: str = "test") -> list[tuple[str, ...]]:
    """The media of every prompt of a benchmark, with the query's medium replaced by its blind twin.

    A derangement over distinct media: the twin lies `BLIND_OFFSET` places further on in the source's order, the same
    for every row and seed. Demonstrations keep their media. Takes all prompts of the benchmark, in order.

    Raises:
        ValueError: all queries share one medium, so that there is no other.
    """
    if not prompts:
        return []
    media = list(dict.fromkeys(prompt.query.medium for prompt in prompts))
    if len(media) == 1:
        raise ValueError(f"all queries of `{prompts[0].query.benchmark}` show {media[0]}; allowed: two media or more")
    order = [media[place] for place in source.twin_order(prompts[0].query.benchmark, split, len(media))]
    offset = BLIND_OFFSET % len(order) or 1
    twins = {medium: order[(place + offset) % len(order)] for place, medium in enumerate(order)}
    return [(*prompt.media[:-1], twins[prompt.query.medium]) for prompt in prompts]


def _demonstrations(query: Query, pool: Sequence[Query], *, seed: int, shots: int) -> tuple[Query, ...]:
    """Examples that the query allows, drawn without replacement."""
    count = shots or TEXT_ONLY_DEMONSTRATIONS
    allowed = [example for example in pool if query.allows(example)]
    if count > len(allowed):
        raise ValueError(
            f"`eval.shots` is {shots}; the support set of {query.benchmark} has {len(allowed)} examples for {query.id}"
        )
    order = generator("demonstrations", seed, query.id).permutation(len(allowed))
    return tuple(allowed[place] for place in order[:count])


def _prompt(benchmark: Benchmark, query: Query, demonstrations: tuple[Query, ...], shots: int) -> Prompt:
    shown = [
        Chunk(example.medium if shots else None, benchmark.asked(example), example.completion)
        for example in demonstrations
    ]
    text = " ".join(part for part in (layout(shown)[0], IMAGE, benchmark.asked(query)) if part)
    media = (*(chunk.medium for chunk in shown if chunk.medium is not None), query.medium)
    digest = hashlib.sha256("\n".join((text, *media)).encode()).hexdigest()
    return Prompt(query, demonstrations, text, media, digest)
