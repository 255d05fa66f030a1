"""Benchmarks: what a column of scores is made of, and which there are.

A benchmark is one file in `benchmarks/`, which is found by being there; one from outside is any class that a module of
`components=[my.module]` registers. Where its pictures and questions come from is no matter of the benchmark's: they are
a source's, under the role that it asks for. Imports no torch.
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
    """One benchmark. A subclass says what is to be known of it in class attributes, and how answers are scored."""

    metric: ClassVar[str]  # the MLflow name of its score
    label: ClassVar[str]  # heads its column
    measure: ClassVar[str]  # what the score is, printed under the label
    ceiling: ClassVar[float] = 100.0  # points that Overall divides by, unless a scale has its own
    graded: ClassVar[bool] = False  # an answer is nearer or further, as a caption is, not right or wrong
    role: str = ""  # the role whose queries a source is asked for: by default the benchmark's own name

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
        """The text of a prompt between a medium's `<image>` and the answer: the question, of a caption nothing."""
        return query.question

    def scored_part(self, query: Query, text: str) -> str:
        """The part of a generated text that is compared with the references."""
        return query.scored_part(text)

    @abstractmethod
    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Sequence[float]:
        """The score of each example, 1.0 for 100 points: called once with all examples of a split.

        Args:
            answers: the scored part of what the model said, one an example.
            references: for each example its captions or annotators' answers.
        """

    def results(self, answers: Mapping[str, str]) -> Any:
        """Answers by query id as the official tools read them from JSON: by default those of VQA."""
        return [{"question_id": official_id(query), "answer": text} for query, text in answers.items()]

    def write_results(self, answers: Mapping[str, str], path: Path) -> None:
        """Write answers by query id as a results file of the official tools, whole or not at all.

        Raises:
            ValueError: there is no answer: the tools fail on an empty file.
            OSError: it cannot be written.
        """
        if not answers:
            raise ValueError(f"`{self.name}` has no answers to write")
        write_whole(path, json.dumps(self.results(answers)).encode())


BENCHMARKS: Registry[Benchmark] = Registry("benchmark", "experiments.evaluation.benchmarks")

B = TypeVar("B", bound=type[Benchmark])


def register(name: str) -> Callable[[B], B]:
    """Register a benchmark under its name, as a class decorator.

    Raises:
        ValueError: name or metric is taken, or an attribute cannot be what it should.
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
    """A query's id as official files hold it: a number where it is one."""
    return int(query) if query.isascii() and query.isdecimal() and str(int(query)) == query else query
