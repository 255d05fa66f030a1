"""Distinguishes errors of the disk, which every job would meet, from errors of a job's own code."""

import errno
import os
from pathlib import Path

from experiments.common.locks import NoLocks
from experiments.store.error import StoreError
from experiments.store.locate import locate

# Always errors of the disk; other errors are, if the file is one of ours, and belong to the job's code otherwise.
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def is_of_the_disk(error: BaseException | None, *more: Path) -> bool:
    """Whether an error means that the disk cannot be used: by its kind, or because the file is one of ours.

    Our files are those in the folders of the store and in `more`.
    """
    if not isinstance(error, OSError):
        return False
    return isinstance(error, NoLocks) or error.errno in OF_THE_DISK or _is_ours(error.filename, more)


def _is_ours(name: object, more: tuple[Path, ...]) -> bool:
    """Whether a file is among checkpoints, results or features; other files in the cache may be a row's own."""
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
