"""A file that is written whole or not at all, whoever else writes it at the same time."""

import os
from pathlib import Path
from uuid import uuid4


def write_whole(file: Path, content: bytes) -> None:
    """Write beside it, then move it into place; what is no file, such as a pipe or `/dev/null`, is written to."""
    if file.exists() and not file.is_file():
        file.write_bytes(content)
        return
    draft = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        draft.write_bytes(content)
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
