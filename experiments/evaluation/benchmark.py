"""Benchmarks: how answers are scored, and which benchmarks are registered. Imports no torch.

A built-in benchmark is one file in `benchmarks/`, found by being there; others are registered by the modules that
`components=[my.module]` names. Pictures and questions are not the benchmark's: a source provides them for the role that
the benchmark names.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from experiments.common.registry import Registry
from experiments.data.query import Query
from experiments.published import table3
from experiments.store.columns import Column
from flamingo_core.whole_file import write_whole


class Benchmark(ABC):
    """One benchmark. A subclass describes itself in class attributes and scores answers."""

    metric: ClassVar[str]  # the MLflow name of its score
    label: ClassVar[str]  # heads its column
    measure: ClassVar[str]  # what the score is, printed under the label
    ceiling: ClassVar[float] = 100.0  # in points, proposed where `eval.ceilings` lacks one
    graded: ClassVar[bool] = False  # an answer is nearer or further, as a caption is, not right or wrong
    role: str = ""  # the role for which a source is asked for queries; the benchmark's own name by default

    def __init__(self, name: str):
        self.name = name
        self.role = self.role or name
        self.column()

    def column(self, *, in_overall: bool = True) -> Column:
        """Its column in a table.

        Raises:
            ValueError: an attribute is missing, or cannot be a column's.
        """
        said = {key: getattr(self, key, None) for key in ("name", "metric", "label", "measure", "graded")}
        return Column(**said, in_overall=in_overall)  # type: ignore[arg-type]  # which is what it checks

    def asked(self, query: Query) -> str:
        """The text between `<image>` and the answer in a prompt: the question, or nothing for captions."""
        return query.question

    def scored_part(self, query: Query, text: str) -> str:
        """The part of a generated text to compare with the references."""
        return query.scored_part(text)

    @abstractmethod
    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Sequence[float]:
        """The score of each example, where 1.0 is 100 points. Called once with all examples of a split.

        Args:
            answers: one for each example, reduced to the scored part.
            references: for each example, its captions or its annotators' answers.
        """

    def results(self, answers: Mapping[str, str]) -> Any:
        """Answers by query id, in the JSON format of the official tools; by default that of VQA."""
        return [{"question_id": official_id(query), "answer": text} for query, text in answers.items()]

    def write_results(self, answers: Mapping[str, str], path: Path) -> None:
        """Write answers by query id to a results file for the official tools, completely or not at all.

        Raises:
            ValueError: there are no answers; the tools fail on an empty file.
            OSError: the file cannot be written.
        """
        if not answers:
            raise ValueError(f"`{self.name}` has no answers to write")
        write_whole(path, json.dumps(self.results(answers)).encode())


BENCHMARKS: Registry[Benchmark] = Registry("benchmark", "experiments.evaluation.benchmarks")

B = TypeVar("B", bound=type[Benchmark])


def register(name: str) -> Callable[[B], B]:
    """Register a benchmark under its name, as a class decorator.

    Raises:
        ValueError: the name or the metric is taken, or an attribute is missing or not allowed.
    """

    def decorate(cls: B) -> B:
        try:
            benchmark = cls(name)
        except (TypeError, ValueError) as error:
            raise ValueError(f"benchmark `{name}`: {error}") from None
        for other in BENCHMARKS.names():
            if other != name and BENCHMARKS.get(other).metric == benchmark.metric:
                raise ValueError(f"benchmark `{name}`: its metric `{benchmark.metric}` is that of `{other}`")
        BENCHMARKS.add(name, benchmark, module=cls.__module__)
        return cls

    return decorate


def published() -> tuple[Benchmark, ...]:
    """The benchmarks of the published table, in its order."""
    by_metric = {BENCHMARKS.get(name).metric: BENCHMARKS.get(name) for name in BENCHMARKS.names()}
    return tuple(by_metric[metric] for metric in table3.COLUMNS)


def official_id(query: str) -> int | str:
    """The id of a query as in official files: an integer if it is one."""
    return int(query) if query.isascii() and query.isdecimal() and str(int(query)) == query else query
