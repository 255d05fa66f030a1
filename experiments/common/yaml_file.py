"""Reading YAML files, for ourselves and for Hydra: plain keys and values, each key once, within a size limit.

YAML allows more than a spec can mean: a key given twice (the last wins, silently), a value that holds itself, a few
lines that expand to a billion values, keys that are numbers. All of these are refused with file and line before
anything is built. Names in `changes` are the exception: a row may be called 2048, or null.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from experiments.common.problems import Problem, UserError, show

MAX_BYTES = 1_000_000
MAX_VALUES = 10_000  # with every alias expanded; the largest of our scales has 400
MAX_DEPTH = 32  # levels; a spec has 5

CHANGES = "changes"  # of an ablation file: its keys are names of rows
TEXT = "tag:yaml.org,2002:str"
MERGE = "tag:yaml.org,2002:merge"
PLAIN = {TEXT, MERGE, *(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "seq", "map"))}
NO_YAML = "it is not YAML of keys and values"
EXAMPLE = "write keys and values, as in train: {lr: 1.0e-3}"


def read(path: Path) -> dict[str, Any]:
    """Read a file as plain data; an empty file is an empty dict.

    Raises:
        UserError: it cannot be read, or is not YAML of plain keys and values; names file and line.
    """
    return _parsed(path)[1]


def checked_text(path: Path) -> str:
    """The text of a file for other readers, once it has been checked; names in `changes` are quoted.

    Raises:
        UserError: it cannot be read, or is not YAML of plain keys and values; names file and line.
    """
    node, _ = _parsed(path)
    return "" if node is None else str(yaml.serialize(node))


class _Loader(yaml.SafeLoader):
    """Stops at files that are too large or too deep, and names the line of a value that cannot be parsed."""

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
        except ValueError as error:  # 0x_ looks like a number
            raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None


# A date stays text, as in OmegaConf: no value of a spec is a date, and a row may be called 2026-11-28.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _parsed(path: Path) -> tuple[MappingNode | None, dict[str, Any]]:
    """The root node of a file, all keys checked, and its plain data; None and {} for an empty file."""
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
        raise _refusal(path, line, "it is not UTF-8 text", "save it as UTF-8") from None
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
        raise _refusal(path, line, reason, "remove the character") from None
    except yaml.MarkedYAMLError as error:
        place = None if error.problem_mark is None else error.problem_mark.line + 1
        reason = " ".join(filter(None, (error.context, error.problem)))
        raise _refusal(path, place, f"{NO_YAML}: {reason}", EXAMPLE) from None


class _Check:
    """One walk over a file's nodes in line order, so that an alias comes after its anchor."""

    def __init__(self, path: Path):
        self._path = path
        self._sizes: dict[int, tuple[int, int]] = {}  # by node: values below it with aliases expanded, and levels
        self._above: set[int] = set()

    def node(self, node: Node, *, names: bool = False) -> tuple[int, int]:
        """Count a node's values and levels, aliases expanded; `names`: its keys are names of rows."""
        if id(node) in self._sizes:
            return self._sizes[id(node)]
        if id(node) in self._above:
            raise self._wrong(node, "this value holds itself, through an alias", "write it out without the alias")
        self._above.add(id(node))
        if node.tag not in PLAIN:
            raise self._wrong(node, f"`{show(node.tag)}` is not a plain value", EXAMPLE)
        if isinstance(node, MappingNode):
            self._keys(node, names)
        size, depth = 1, 0
        for child, of_names in _children(node):
            its_size, its_depth = self.node(child, names=of_names)
            size, depth = size + its_size, max(depth, its_depth)
        if size > MAX_VALUES:
            reason = f"with its aliases expanded it holds more than {MAX_VALUES:,} values"
            raise self._wrong(node, reason, "write out what is meant, without aliases")
        if depth >= MAX_DEPTH:
            reason = f"with its aliases expanded it is nested more than {MAX_DEPTH} levels deep"
            raise self._wrong(node, reason, "write out what is meant, without aliases")
        self._above.remove(id(node))
        self._sizes[id(node)] = size, depth + 1
        return self._sizes[id(node)]

    def _keys(self, node: MappingNode, names: bool) -> None:
        """Check that every key is text and is given once."""
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                raise self._wrong(key, "a key is a list or a mapping", "a key is one word")
            if names and key.tag != MERGE:
                key.tag, key.style = TEXT, "'"
            if key.value in first:
                reason = f"the key `{show(key.value)}` stands here again, first in line {first[key.value]}"
                raise self._wrong(key, reason, f"keep one `{show(key.value)}`")
            first[key.value] = _line(key)

    def _wrong(self, node: Node, reason: str, hint: str) -> UserError:
        return _refusal(self._path, _line(node), reason, hint)


def _children(node: Node) -> Iterator[tuple[Node, bool]]:
    """The children of a node; for each, whether its keys are names of rows."""
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
