"""Errors of the disk, which no job gets around, told from those of a job's own code, which stay its own."""

import errno
import os
from pathlib import Path

from experiments.common.locks import NoLocks
from experiments.store.error import StoreError
from experiments.store.locate import locate

# Of the disk whoever writes; everything else is where we read and write, and else of the code that came upon it.
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def is_of_the_disk(error: BaseException | None, *more: Path) -> bool:
    """Whether nothing else could be written or read either, or the file at fault is one of ours.

    Folders of ours are those of the store, and `more`.
    """
    if not isinstance(error, OSError):
        return False
    return isinstance(error, NoLocks) or error.errno in OF_THE_DISK or _is_ours(error.filename, more)


def _is_ours(name: object, more: tuple[Path, ...]) -> bool:
    """Whether a file lies among checkpoints, results or features; a cache may hold more, which a row reads itself."""
    if not isinstance(name, str | bytes | os.PathLike):
        return False
    file = Path(os.fsdecode(name))
    return any(file.is_relative_to(folder) for folder in (*_our_folders(), *more))


def _our_folders() -> list[Path]:
    try:
        places = locate().places
    except StoreError:
        return []
    return [places.work, places.artifacts, places.features, *filter(None, [places.more_features])]
