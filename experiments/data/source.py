"""Sources of documents and queries: the base class, the registry, and the sources of a spec by role.

Data sets (m3w, align, ltip, laion, vtp) and benchmarks are roles. Each names a source, as a slot of the model names a
component: the rendered world, files of some format, or a class from outside. F frames, H x W pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from experiments.common.registry import Registry
from experiments.data.document import Document
from experiments.data.query import Query

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T", bound=type)


@dataclass(frozen=True)
class Registered:
    """A source's class, and the dataclass that configures it."""

    cls: Any
    config: type


SOURCES: Registry[Registered] = Registry("source", "experiments.data.sources")


def register_source(name: str, *, config: type) -> Callable[[T], T]:
    """Register a class with its config, as a decorator.

    Raises:
        ValueError: the name is taken, or is not one word.
    """

    def decorate(cls: T) -> T:
        SOURCES.add(name, Registered(cls, config), module=cls.__module__)
        return cls

    return decorate


# A zero-shot prompt still shows the answer format: two text-only demonstrations, as in the paper.
TEXT_ONLY_DEMONSTRATIONS = 2


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Upper bounds for a role's documents and queries, which buffers and positions must hold. Lengths are in tokens."""

    frames: int  # of a medium
    document: int = 0  # of a training example, with `<bos>`
    demonstration: int = 0  # of an example in a prompt, up to `<EOC>`
    question: int = 0  # of the query, with `<bos>` and its medium's mark
    mark: int = 1  # of a medium's mark

    def prompt(self, shots: int) -> int:
        """Tokens of the longest prompt."""
        return self.question + (
            shots * self.demonstration or TEXT_ONLY_DEMONSTRATIONS * (self.demonstration - self.mark)
        )


class Source(ABC):
    """Documents and queries of roles. Everything it returns depends only on its config and the files that it names."""

    def __init__(self, config: Any):
        self.config = config

    @abstractmethod
    def count(self, role: str) -> int:
        """The number of documents per epoch of a data set."""

    @abstractmethod
    def document(self, role: str, index: int) -> Document:
        """The document with this index, found without reading the others."""

    @abstractmethod
    def media(self, ids: Sequence[str]) -> list[npt.NDArray[np.uint8]]:
        """Ids -> (F, 3, H, W) each; sizes may differ from medium to medium.

        Raises:
            ValueError: an id names no medium.
        """

    @abstractmethod
    def limits(self, role: str, tokenizer: "PreTrainedTokenizerBase") -> Limits:
        """Upper bounds for every document or query of a role, known without reading them all."""

    @abstractmethod
    def fingerprint(self, role: str) -> str:
        """A hash that changes with the results of the other methods: over an index, not over pixels."""

    def queries(self, role: str, split: str) -> Sequence[Query]:
        """The queries of a benchmark, of split `test` or `val`, with stable ids.

        Raises:
            ValueError: the source has no queries of this role.
        """
        raise ValueError(f"source `{type(self).__name__}` has no queries of `{role}`")

    def support(self, role: str) -> Sequence[Query]:
        """The examples of a benchmark that demonstrations are drawn from; none of them is a query."""
        raise ValueError(f"source `{type(self).__name__}` has no demonstrations of `{role}`")

    def demonstrations(self, role: str) -> int:
        """The minimum number of demonstrations that a query of a benchmark allows; one may share the query's medium."""
        return len(self.support(role)) - 1

    def twin_order(self, role: str, split: str, count: int) -> Sequence[int]:
        """An order of the `count` distinct media of a benchmark's queries; a blind twin's medium comes later in it.

        Random, keyed by (role, split), because neighbours in a file may show the same thing.
        """
        from experiments.data.draws import generator

        return [int(place) for place in generator("blind twins", role, split).permutation(count)]

    def block(self, medium: str) -> tuple[str, int] | None:
        """The block of media whose features are cached with this medium's, and its index there; None: not cached."""
        return None

    def block_media(self, block: str) -> list[str]:
        """The ids of a block's media, in order."""
        raise ValueError(f"no block `{block}`")

    def pixels_version(self) -> list[Any]:
        """Everything besides a medium's id that its pixels depend on; features are cached per version."""
        return []

    def picture_name(self, medium: str) -> str:
        """A path without extension for a picture of a medium, safe for any characters in its id.

        Raises:
            ValueError: the id names no medium.
        """
        import hashlib

        return hashlib.sha256(medium.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Choice:
    """The source of a role: its registered name, and its config as plain data."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


class Sources:
    """The sources of a spec by role. Roles with equal choices share one source."""

    def __init__(self, choices: Mapping[str, Choice]):
        self._choices = dict(choices)
        self._made: list[tuple[Choice, Source]] = []

    def of(self, role: str) -> Source:
        """The source of a role, created on first use."""
        choice = self._choices[role]
        for other, source in self._made:
            if other == choice:
                return source
        registered = SOURCES.get(choice.name)
        source = registered.cls(registered.config(**choice.settings))
        self._made.append((choice, source))
        return source

    def name_of(self, role: str) -> str:
        """The registered name of a role's source."""
        return self._choices[role].name

    def fingerprint(self, asked: Mapping[str, str]) -> str:
        """A hash of all data that is read; `asked` maps each role to the role requested from its source.

        A benchmark may request the queries of another one.
        """
        import hashlib
        import json

        said = [[name, self.name_of(name), self.of(name).fingerprint(role)] for name, role in asked.items()]
        prints = {fingerprint for _, _, fingerprint in said}
        if {name for _, name, _ in said} == {"world"} and len(prints) == 1:
            return prints.pop()  # the world's covers all roles, as before other sources existed
        return hashlib.sha256(json.dumps(sorted(said)).encode()).hexdigest()
