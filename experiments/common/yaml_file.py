"""YAML files as they are read here, by us and by Hydra: plain keys and values, each key once, of a size that is sane.

YAML alone allows more than a spec can mean: a key twice (the last wins, silently), a value that holds itself, a few
lines that stand for a billion values, keys that are numbers. All of it is refused with file and line before anything
is built from it, but for names in `changes`: a row may be called 2048, or null.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from experiments.common.problems import Problem, UserError, show

MAX_BYTES = 1_000_000
MAX_VALUES = 10_000  # with every alias written out; the largest of our scales has 400
MAX_DEPTH = 32  # levels; a spec has 5

CHANGES = "changes"  # of an ablation file: its keys are names of rows
TEXT = "tag:yaml.org,2002:str"
MERGE = "tag:yaml.org,2002:merge"
PLAIN = {TEXT, MERGE, *(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "seq", "map"))}
NO_YAML = "it is no YAML of keys and values"
EXAMPLE = "keys and values are meant, as in train: {lr: 1.0e-3}"


def read(path: Path) -> dict[str, Any]:
    """What a file says, as plain data; nothing where it is empty.

    Raises:
        UserError: it cannot be read, or is no YAML of plain keys and values; file and line are named.
    """
    return _parsed(path)[1]


def checked_text(path: Path) -> str:
    """The text of a file, once it is known to be harmless, with names in `changes` in quotes: for other readers.

    Raises:
        UserError: it cannot be read, or is no YAML of plain keys and values; file and line are named.
    """
    node, _ = _parsed(path)
    return "" if node is None else str(yaml.serialize(node))


class _Loader(yaml.SafeLoader):
    """Stops where there is too much, and says of a value that is none in which line it stands."""

    def __init__(self, text: str):
        super().__init__(text)
        self._depth = self._count = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self._count += 1
        for number, most, reason in (
            (self._depth, MAX_DEPTH, f"it is nested more than {MAX_DEPTH} levels deep"),
            (self._count, 2 * MAX_VALUES, f"it holds more than {MAX_VALUES:,} values"),  # keys are counted as well
        ):
            if number > most:
                raise yaml.MarkedYAMLError(problem=reason, problem_mark=self.peek_event().start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except ValueError as error:  # 0x_ has the form of a number
            raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None


# A day is text, as OmegaConf has it: no value of a spec is one, and a row may be called 2026-11-28.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _parsed(path: Path) -> tuple[MappingNode | None, dict[str, Any]]:
    """The file's mapping, with every key looked at, and what it says; None where the file is empty."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refusal(path, None, f"it cannot be read: {error.strerror}", "is it a file that you may read?") from error
    if len(content) > MAX_BYTES:
        raise _refusal(path, None, f"it is larger than {MAX_BYTES:,} bytes", "is it the right file?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _refusal(path, line, "it is no UTF-8 text", "save it as UTF-8") from None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, {}
        if not isinstance(node, MappingNode):
            raise _refusal(path, _line(node), NO_YAML, EXAMPLE)
        _Check(path).node(node)
        return node, dict(loader.construct_document(node))
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        reason = f"it holds the character {chr(error.character)!a}"
        raise _refusal(path, line, reason, "take the character out") from None
    except yaml.MarkedYAMLError as error:
        place = None if error.problem_mark is None else error.problem_mark.line + 1
        reason = " ".join(filter(None, (error.context, error.problem)))
        raise _refusal(path, place, f"{NO_YAML}: {reason}", EXAMPLE) from None


class _Check:
    """One walk over a file's nodes, in the order of its lines: an alias comes after what it stands for."""

    def __init__(self, path: Path):
        self._path = path
        self._sizes: dict[int, tuple[int, int]] = {}  # by node: values below it with aliases written out, and levels
        self._above: set[int] = set()

    def node(self, node: Node, *, names: bool = False) -> tuple[int, int]:
        """How many values a node holds, and on how many levels; `names`: its keys are names of rows."""
        if id(node) in self._sizes:
            return self._sizes[id(node)]
        if id(node) in self._above:
            raise self._wrong(node, "what stands here holds itself, by an alias", "write it out without the alias")
        self._above.add(id(node))
        if node.tag not in PLAIN:
            raise self._wrong(node, f"`{show(node.tag)}` is no plain value", EXAMPLE)
        if isinstance(node, MappingNode):
            self._keys(node, names)
        size, depth = 1, 0
        for child, of_names in _children(node):
            its_size, its_depth = self.node(child, names=of_names)
            size, depth = size + its_size, max(depth, its_depth)
        if size > MAX_VALUES:
            reason = f"with its aliases written out it holds more than {MAX_VALUES:,} values"
            raise self._wrong(node, reason, "write out what is meant, without aliases")
        if depth >= MAX_DEPTH:
            reason = f"with its aliases written out it is nested more than {MAX_DEPTH} levels deep"
            raise self._wrong(node, reason, "write out what is meant, without aliases")
        self._above.remove(id(node))
        self._sizes[id(node)] = size, depth + 1
        return self._sizes[id(node)]

    def _keys(self, node: MappingNode, names: bool) -> None:
        """Every key is text and stands once."""
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                raise self._wrong(key, "a key is a list, or keys and values", "a key is one word")
            if names and key.tag != MERGE:
                key.tag, key.style = TEXT, "'"
            if key.value in first:
                reason = f"the key `{show(key.value)}` stands here again, first in line {first[key.value]}"
                raise self._wrong(key, reason, f"keep one `{show(key.value)}`")
            first[key.value] = _line(key)

    def _wrong(self, node: Node, reason: str, hint: str) -> UserError:
        return _refusal(self._path, _line(node), reason, hint)


def _children(node: Node) -> Iterator[tuple[Node, bool]]:
    """What a node holds, and of each whether its keys are names of rows."""
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield item, False
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            yield value, key.value == CHANGES


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _refusal(path: Path, line: int | None, reason: str, hint: str) -> UserError:
    place = "" if line is None else f", line {line}"
    return UserError([Problem(text=f"{show(str(path))}{place}: {reason}", hint=hint, key=str(path), value=line)])
