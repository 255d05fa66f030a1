"""Atomic file writes, safe with concurrent writers. Imports no torch."""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

# Paths of open file descriptors.
DESCRIPTORS = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/(self|\d+)/fd/\d+")
LONGEST = 50  # characters of the file's name kept in its draft's name: file systems allow 255 bytes


def write_whole(path: Path, content: bytes) -> None:
    """Write and flush a draft beside the file, then rename it; links are followed and the file's mode is kept.

    Paths that are not regular files (a pipe, `/dev/null`) or are already open (`/dev/stdout`) are written directly.

    Raises:
        OSError: the file cannot be written; its old content is unchanged.
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
        # readable by nobody who cannot read the file; for a new file the umask decides
        mode = 0o666 if there is None else 0o600
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            if there is not None:
                with suppress(PermissionError):  # only root may change the owner
                    os.fchown(file.fileno(), there.st_uid, there.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(there.st_mode))
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def remove_drafts(folder: Path, name: str = "*") -> None:
    """Remove drafts of files with this name left by killed writers; nobody else may be writing one now."""
    for draft in folder.glob(f".{name[:LONGEST]}.????????"):
        draft.unlink(missing_ok=True)
