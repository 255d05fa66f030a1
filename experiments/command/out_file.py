"""The file that `--out` names: checks of its path, and writing it."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from shlex import quote

from experiments.common.problems import Problem, UserError, show, wrong_value
from experiments.store.error import StoreError
from experiments.store.locate import locate
from flamingo_core.whole_file import write_whole

SUFFIXES = ("", "-wal", "-shm", "-journal", ".lock")  # of the files that belong to a SQLite file


def check_out(name: str, sources: Iterable[str], problems: list[Problem]) -> Path | None:
    """The file that `--out` names, None for `-` (stdout); a path that cannot or must not be written is a problem.

    It must not be a file of the store or one of the `sources` that the command reads, under any name.
    """
    if name == "-":
        return None
    fault = _impossible(name) or _in_use(name, sources)
    if fault is not None:
        problems.append(wrong_value("--out", name, *fault))
    return Path(name)


def write_out(out: Path, text: str) -> None:
    """Write a text file as a whole, not in parts.

    Raises:
        UserError: it cannot be written.
        BrokenPipeError: the reader has closed the pipe.
    """
    try:
        write_whole(out, text.encode())
    except BrokenPipeError:
        raise
    except OSError as error:
        allowed = f"a file that can be written ({error.strerror})"
        raise UserError([wrong_value("--out", out, allowed, "free some space, or write it elsewhere")]) from error


def _impossible(name: str) -> tuple[str, str] | None:
    """Why no file of that name can be written: what is allowed, and a hint; None if it can."""
    allowed = "a file in a folder that exists"
    try:
        is_folder = stat.S_ISDIR(os.stat(name).st_mode)
    except FileNotFoundError:  # a new file, or a link to one
        is_folder = False
    except (OSError, ValueError) as error:
        return f"{allowed} ({getattr(error, 'strerror', None) or error})", "give it another name"
    if is_folder or os.path.basename(name) in ("", ".", ".."):
        return allowed, "name a file in that folder, as table.md"
    for folder in (os.path.dirname(name) or ".", os.path.dirname(os.path.realpath(name))):
        if not os.path.isdir(folder):
            return allowed, f"mkdir -p {quote(folder)}"
    return None


def _in_use(name: str, sources: Iterable[str]) -> tuple[str, str] | None:
    """Why a file of that name must not be overwritten; None if it may."""
    hint = "give it a name of its own, as table.md"
    if any(_is_same(name, source) for source in sources):
        return "a file that this command does not read", hint
    try:
        store = locate()
    except StoreError:  # a command that needs the store reports this itself
        return None
    if store.file is None:
        return None
    files = store.file, Path(os.path.realpath(store.file))
    own = [store.places.summary, *(file.with_name(file.name + suffix) for file in files for suffix in SUFFIXES)]
    folders = {Path(os.path.realpath(folder)) for folder in (store.places.artifacts, store.places.work)}
    if any(_is_same(name, file) for file in own) or folders & set(Path(os.path.realpath(name)).parents):
        return f"a file that is not the store's, which is {show(str(store.file))}", hint
    return None


def _is_same(name: str, other: str | Path) -> bool:
    """Whether two paths name the same file, existing or not, through symbolic or hard links too."""
    if os.path.realpath(name) == os.path.realpath(other):
        return True
    try:
        return os.path.samefile(name, other)
    except (OSError, ValueError):
        return False
