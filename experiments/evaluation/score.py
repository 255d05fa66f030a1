"""Scores of examples, in points."""

import math
from collections.abc import Sequence

from experiments.data.query import Query
from experiments.evaluation.benchmark import BENCHMARKS, Benchmark


def score_examples(benchmark: str, answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """The score of each example in points (CIDEr x 100, accuracy in percent); the benchmark's score is their mean.

    Call it once with the whole benchmark: the CIDEr-D of a caption depends on the references of all pictures.

    Args:
        benchmark: a registered name.
        answers: one for each example.
        references: for each example, its captions or its annotators' answers.

    Raises:
        UnknownName: there is no such benchmark.
        ValueError: answers and references differ in number, or the benchmark does not return one number for each.
    """
    chosen = BENCHMARKS.get(benchmark)
    if len(answers) != len(references):
        raise ValueError(f"`{benchmark}` has {len(answers)} answers for {len(references)} examples")
    points = [100 * float(score) for score in chosen.score(answers, references)]
    if len(points) != len(answers) or not all(map(math.isfinite, points)):
        raise ValueError(f"`{benchmark}` scores {len(answers)} answers with {points}; allowed: one number each")
    return points


def try_benchmark(benchmark: Benchmark, queries: Sequence[Query]) -> None:
    """Try a benchmark on some queries and their own first answers, before anything is trained.

    Raises:
        Exception: any that the benchmark raises, or a ValueError if it breaks its contract.
    """
    answers = []
    for query in queries:
        asked, answer = benchmark.asked(query), benchmark.scored_part(query, query.completion)
        if not (isinstance(asked, str) and isinstance(answer, str)):
            raise ValueError(f"it asks `{asked}` and scores `{answer}`; allowed: texts")
        answers.append(answer)
    score_examples(benchmark.name, answers, [query.answers for query in queries])
