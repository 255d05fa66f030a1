"""A file that is written whole or not at all, whoever else writes it at the same time, and where one may be written."""

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from shlex import quote
from uuid import uuid4

from experiments.common.problems import Problem, UserError, show, wrong_value
from experiments.store.connection import locate
from experiments.store.error import StoreError

# Names of what is open already, be it a file.
DESCRIPTORS = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/(self|\d+)/fd/\d+")
SUFFIXES = ("", "-wal", "-shm", "-journal", ".lock")  # of what lies beside a sqlite file and belongs to it
LONGEST = 50  # characters of a name that are repeated in a draft's: 255 bytes are a file system's most


def write_whole(file: Path, content: bytes) -> None:
    """Write beside it, then move it into place: the file that a link leads to, with the owner and mode that it has.

    What is no file, such as a pipe or `/dev/null`, is written to; so is what is open already, as `/dev/stdout`.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    if file.exists() and not file.is_file():
        file.write_bytes(content)
        return
    if DESCRIPTORS.fullmatch(str(file.absolute())):
        with file.open("ab") as opened:
            opened.write(content)
        return
    target = Path(os.path.realpath(file))
    there = target.stat() if target.exists() else None
    draft = target.with_name(f".{target.name[:LONGEST]}.{uuid4().hex}")
    try:
        # readable to no more people than the file is; a new one to those whom the umask lets
        mode = 0o666 if there is None else 0o600
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
            opened.write(content)
            if there is not None:
                with suppress(PermissionError):  # who is not root gives nothing away
                    os.fchown(opened.fileno(), there.st_uid, there.st_gid)
                os.fchmod(opened.fileno(), stat.S_IMODE(there.st_mode))
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def check_out(name: str, sources: Iterable[str], problems: list[Problem]) -> Path | None:
    """The file that `--out` names, None for `-`, which is stdout; one that cannot be or must not be goes to `problems`.

    It is nothing of the store and none of the `sources` that the command reads, by whatever name.
    """
    if name == "-":
        return None
    fault = _impossible(name) or _in_use(name, sources)
    if fault is not None:
        problems.append(wrong_value("--out", name, *fault))
    return Path(name)


def write_out(out: Path, text: str) -> None:
    """Write a text for people, whole.

    Raises:
        UserError: it cannot be written.
        BrokenPipeError: nobody reads the pipe any more.
    """
    try:
        write_whole(out, text.encode())
    except BrokenPipeError:
        raise
    except OSError as error:
        allowed = f"a file that can be written ({error.strerror})"
        raise UserError([wrong_value("--out", out, allowed, "free some space, or write it elsewhere")]) from error


def _impossible(name: str) -> tuple[str, str] | None:
    """Why there can be no file of that name: what is allowed, and a hint."""
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
    """Why a file of that name must not be written."""
    hint = "give it a name of its own, as table.md"
    if any(_is_same(name, source) for source in sources):
        return "a file that this command does not read", hint
    try:
        store = locate()
    except StoreError:  # a command that needs none says so
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
    """Whether two names are of one file, there or not: by links of either kind."""
    if os.path.realpath(name) == os.path.realpath(other):
        return True
    try:
        return os.path.samefile(name, other)
    except (OSError, ValueError):
        return False
