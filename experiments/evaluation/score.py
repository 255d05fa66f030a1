"""Points of each example of a benchmark."""

import math
from collections.abc import Sequence

from experiments.data.query import Query
from experiments.evaluation.benchmark import BENCHMARKS, Benchmark


def score_examples(benchmark: str, answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """The score of each example in points (CIDEr x 100, accuracy in percent); the benchmark's score is their mean.

    To be called once with the whole benchmark: what CIDEr-D makes of one caption depends on the references of all.

    Args:
        benchmark: a registered name.
        answers: what the model said, one an example.
        references: for each example the captions or annotators' answers.

    Raises:
        UnknownName: there is no such benchmark.
        ValueError: answers and references differ in length, or the benchmark does not score each with a number.
    """
    chosen = BENCHMARKS.get(benchmark)
    if len(answers) != len(references):
        raise ValueError(f"`{benchmark}` has {len(answers)} answers for {len(references)} examples")
    points = [100 * float(score) for score in chosen.score(answers, references)]
    if len(points) != len(answers) or not all(map(math.isfinite, points)):
        raise ValueError(f"`{benchmark}` scores {len(answers)} answers with {points}; allowed: one number each")
    return points


def try_benchmark(benchmark: Benchmark, queries: Sequence[Query]) -> None:
    """Ask some queries and score their own first answers, before anything is trained for it.

    Raises:
        Exception: whatever the benchmark raises, or a ValueError where it breaks its contract.
    """
    answers = []
    for query in queries:
        asked, answer = benchmark.asked(query), benchmark.scored_part(query, query.completion)
        if not (isinstance(asked, str) and isinstance(answer, str)):
            raise ValueError(f"it asks `{asked}` and scores `{answer}`; allowed: texts")
        answers.append(answer)
    score_examples(benchmark.name, answers, [query.answers for query in queries])
