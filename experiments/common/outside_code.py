"""The source of components from outside: which of the user's own modules a module imports, and their content.

Imports are read from the code, not from what happens to be loaded: imports inside functions count too, and the same
command finds the same files in every process. Nothing is executed. For a module without source, all modules beside it
count. Installed packages and our own are left out: their versions and our history identify those.
"""

import ast
import hashlib
import importlib
import json
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.machinery import BYTECODE_SUFFIXES, SOURCE_SUFFIXES, ModuleSpec
from importlib.util import resolve_name
from pathlib import Path

OURS = ("flamingo_core", "experiments", "dashboard")
INSTALLED = {"site-packages", "dist-packages"}
BY_TEXT = {"import_module", "__import__"}  # functions that import a module named by a string


def imported_hash(module: str, named: Sequence[str] = ()) -> str | None:
    """The sha256 over the outside modules that a module imports, directly or indirectly; None without any.

    `named` are the modules of `components`: their packages are from outside wherever they lie. If `module` is not one
    of them, those that lead to it count as well. The location of files and the name of the outermost package do not
    count: a folder that was moved or renamed holds the same source. Modules without a statement do not count.
    """
    importlib.invalidate_caches()
    tops = frozenset(_top(name) for name in named)
    found = _reached(module, tops)
    if module not in named:
        leading = (_reached(name, tops) for name in named)
        found = {name: content for some in (*leading, found) if module in some for name, content in some.items()}
    prefix = f"{_top(module)}."
    listed = sorted(
        (name.removeprefix(prefix), content)
        for name, content in found.items()
        if name != module and content is not None
    )
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest() if listed else None


def _reached(module: str, tops: frozenset[str]) -> dict[str, str | None]:
    """The outside modules reached from a module, itself included: name -> hash, None for an empty module."""
    found: dict[str, str | None] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        spec = None if name in found else _find(name)
        if spec is None or not _is_outside(name, spec, tops):
            continue
        found[name], code = _content(spec)
        parents = name.split(".")[:-1]
        waiting += [".".join(parents[:depth]) for depth in range(1, len(parents) + 1)]
        package = name if spec.submodule_search_locations is not None else ".".join(parents)
        if code is not None:
            waiting += _imports(code, package)
        elif parents:  # of a module outside a package the neighbours may be anybody's
            waiting += _neighbours(spec, package)
    return found


def _find(name: str) -> ModuleSpec | None:
    """Find a module without importing it or its parents; None if there is none."""
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    loaded = getattr(sys.modules.get(name), "__spec__", None)
    if loaded is not None:
        return loaded
    parent = name.rpartition(".")[0]
    path = None
    if parent:
        of_parent = _find(parent)
        if of_parent is None or of_parent.submodule_search_locations is None:
            return None
        path = list(of_parent.submodule_search_locations)
    for finder in sys.meta_path:
        try:
            found = finder.find_spec(name, path)
        except KeyError:  # a namespace package inside another: Python wants the outer one imported
            found = ModuleSpec(name, None, is_package=True)
            found.submodule_search_locations = [str(Path(place) / name.rpartition(".")[2]) for place in path or ()]
        if found is not None:
            return found
    return None


def _is_outside(name: str, spec: ModuleSpec, tops: frozenset[str]) -> bool:
    top = _top(name)
    if top in OURS or top in sys.stdlib_module_names:
        return False
    if spec.has_location and spec.origin:
        places = [Path(spec.origin)]
    else:
        places = [Path(place) for place in spec.submodule_search_locations or ()]
    depth = name.count(".") + (spec.has_location and spec.submodule_search_locations is not None)  # below the folder
    return top in tops or not any(_is_installed(place.parents[min(depth, len(place.parents) - 1)]) for place in places)


@lru_cache(maxsize=256)
def _is_installed(folder: Path) -> bool:
    """Whether a folder holds installed packages."""
    standard = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    among = INSTALLED.intersection(folder.parts) or standard.intersection((folder, *folder.parents))
    return bool(among) or any(True for _ in folder.glob("*.dist-info"))


def _content(spec: ModuleSpec) -> tuple[str | None, ast.Module | None]:
    """The hash of a module's file, None if it has no statement, and its parsed code, None if it has no source."""
    if not spec.has_location or spec.origin is None:
        return None, None  # a namespace package
    try:
        content = Path(spec.origin).read_bytes()
    except OSError:
        return None, None
    code = None
    if spec.origin.endswith(tuple(SOURCE_SUFFIXES)):
        try:
            code = ast.parse(content)
        except (SyntaxError, ValueError):  # importing it will raise
            return hashlib.sha256(content).hexdigest(), ast.Module([], [])
        if all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in code.body):
            return None, code
    return hashlib.sha256(content).hexdigest(), code


def _imports(code: ast.Module, package: str) -> Iterator[str]:
    """Names that code imports, anywhere in it; some of them may not be modules."""
    nodes = list(ast.walk(code))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _resolved("." * node.level + (node.module or ""), package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
    called = {getattr(node, "id", None) or getattr(node, "attr", None) for node in nodes}
    if BY_TEXT & called:
        texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        yield from (_resolved(text, package) for text in sorted(texts))


def _neighbours(spec: ModuleSpec, package: str) -> Iterator[str]:
    """All modules beside one without source, whose own imports cannot be read."""
    folder = Path(spec.origin or "").parent
    for file in sorted(folder.iterdir()) if spec.has_location else ():
        if file.suffix in (*SOURCE_SUFFIXES, *BYTECODE_SUFFIXES) or (file.is_dir() and file.name.isidentifier()):
            yield f"{package}.{file.stem}" if package else file.stem


def _resolved(name: str, package: str) -> str:
    try:
        return resolve_name(name, package)
    except ImportError:
        return ""  # a relative import beyond the outermost package


def _top(name: str) -> str:
    return name.partition(".")[0]
