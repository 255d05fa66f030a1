"""A file that is written whole or not at all, whoever else writes it at the same time. Imports no torch."""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

# Names of what is open already, be it a file.
DESCRIPTORS = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/(self|\d+)/fd/\d+")
LONGEST = 50  # characters of a name that are repeated in a draft's: 255 bytes are a file system's most


def write_whole(path: Path, content: bytes) -> None:
    """Write a draft beside it, flushed, then rename it: a link goes on leading to the file, which keeps its mode.

    What is no file, such as a pipe or `/dev/null`, is written to; so is what is open already, as `/dev/stdout`.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    if DESCRIPTORS.fullmatch(str(path.absolute())):
        with path.open("ab") as opened:
            opened.write(content)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    target = Path(os.path.realpath(path))
    there = target.stat() if target.exists() else None
    draft = target.with_name(f".{target.name[:LONGEST]}.{uuid4().hex[:8]}")
    try:
        # readable to no more people than the file is; a new one to those whom the umask lets
        mode = 0o666 if there is None else 0o600
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            if there is not None:
                with suppress(PermissionError):  # who is not root gives nothing away
                    os.fchown(file.fileno(), there.st_uid, there.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(there.st_mode))
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def remove_drafts(folder: Path, name: str = "*") -> None:
    """Remove drafts of files of this name that killed writers left; no one else may be writing one now."""
    for draft in folder.glob(f".{name[:LONGEST]}.????????"):
        draft.unlink(missing_ok=True)
