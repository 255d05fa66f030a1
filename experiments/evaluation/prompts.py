"""Few-shot prompts: demonstrations, then the query up to where its answer begins.

A demonstration reads `<image> question answer <EOC>`, or `<image> caption <EOC>`. Which ones a query gets depends on
(seed, query id) alone, so every row, batch size and process of a seed sees the same prompts.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.data.document import Chunk, layout
from experiments.data.draws import generator
from experiments.data.marks import IMAGE
from experiments.data.query import Query
from experiments.data.world.lengths import TEXT_ONLY_DEMONSTRATIONS
from experiments.data.world.queries import queries, support
from experiments.evaluation.benchmark import BENCHMARKS, Benchmark
from experiments.store.names import BLIND_OFFSET

if TYPE_CHECKING:
    from experiments.data.world.world import World


@dataclass(frozen=True)
class Prompt:
    """What the model reads for one query; `<bos>` is the tokenizer's to put in front."""

    query: Query
    demonstrations: tuple[Query, ...]
    text: str
    media: tuple[str, ...]  # ids in the order of the `<image>` marks; the query's is the last
    hash: str  # sha256 of text and media


def build_prompts(world: "World", benchmark: str, *, seed: int, shots: int, split: str = "test") -> list[Prompt]:
    """The prompts of a benchmark. Fewer shots are the first ones of more shots.

    With 0 shots the prompt holds two demonstrations without their pictures, as the paper does.

    Raises:
        UnknownName: there is no such benchmark.
        ValueError: the support set is too small for so many shots.
    """
    chosen = BENCHMARKS.get(benchmark)
    pool = support(world, chosen.role)
    return [
        _prompt(chosen, query, _demonstrations(query, pool, seed=seed, shots=shots), shots)
        for query in queries(world, chosen.role, split)
    ]


def blind_media(prompts: list[Prompt]) -> list[tuple[str, ...]]:
    """The media of every prompt of a benchmark with the query's own replaced by that of a query further on.

    Demonstrations stay as they are. Takes all prompts of the benchmark, in order.

    Raises:
        ValueError: so many prompts that the rotation returns each query its own medium.
    """
    if prompts and BLIND_OFFSET % len(prompts) == 0:
        raise ValueError(
            f"{len(prompts)} queries cannot be rotated by {BLIND_OFFSET}; allowed: other than 1 and {BLIND_OFFSET}"
        )
    others = [prompts[(place + BLIND_OFFSET) % len(prompts)] for place in range(len(prompts))]
    return [(*prompt.media[:-1], other.query.medium) for prompt, other in zip(prompts, others, strict=True)]


def _demonstrations(query: Query, pool: Sequence[Query], *, seed: int, shots: int) -> tuple[Query, ...]:
    """Drawn without replacement from the examples that the query allows."""
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
