"""Hashes that a run carries of itself: of each of its files, and of its metrics, tags and params.

They are in one tag, apart from the files, and the tag starts with a hash of its own text. A second tag, set when the
run starts, announces it: if one of the two is there without the other, something was lost.

Additions to a run that has ended (timing, the comparison in its certificate) are announced first: until they are
complete, the old and the new hash are both valid, so that a process killed in between damages nothing.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from experiments.store.names import BENCHMARKS, COMPONENTS, CONFIG_DIR, HOST, RESUMED, TAGS

ALGORITHM = "sha256"  # also the value of the tag set when a run starts
OUR_TAGS = (*(tag for tag in TAGS if tag != HOST), COMPONENTS, CONFIG_DIR, RESUMED, BENCHMARKS)
_SEAL = 16  # digits of the hash at the start of the tag


@dataclass
class Digests:
    """The hashes of a run as it was stored; the data must match one hash of each list."""

    files: dict[str, list[str]] = field(default_factory=dict)  # by path among the run's artifacts
    metrics: list[list[str]] = field(default_factory=list)  # [names, hash]: anyone may add other metrics to a run
    tags: list[str] = field(default_factory=list)
    params: list[str] = field(default_factory=list)
    times: list[int | None] = field(default_factory=list)  # start and end, as stored

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse the tag's value.

        Raises:
            ValueError: it has changed since it was written.
        """
        seal, _, body = text.partition(" ")
        if seal != _sha256(body.encode())[:_SEAL]:
            raise ValueError("its hashes are not what was stored")
        return cls(**json.loads(body))

    def text(self) -> str:
        """The tag's value."""
        body = json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)
        return f"{_sha256(body.encode())[:_SEAL]} {body}"

    def what_differs(self, *, tags: Mapping[str, str], metrics: Mapping[str, float]) -> str | None:
        """`figures` or `tags` if those of a run differ from what was stored; None if both are as stored."""
        if not any(_names_and_hash(metrics, names) == digest for names, digest in self.metrics):
            return "figures"
        return None if tags_hash(tags) in self.tags else "tags"


def metrics_digest(metrics: Mapping[str, float]) -> list[str]:
    """Names and hash of these metrics."""
    names = " ".join(sorted(metrics))
    digest = _names_and_hash(metrics, names)
    assert digest is not None
    return [names, digest]


def tags_hash(tags: Mapping[str, str]) -> str:
    """The hash of the tags that identify a run."""
    return _texts_hash({name: tags[name] for name in OUR_TAGS if name in tags})


def params_hash(params: Mapping[str, str]) -> str:
    """The hash of all params."""
    return _texts_hash(params)


def text_hash(text: str) -> str:
    """The hash of a text, as of a UTF-8 file with this content."""
    return _sha256(text.encode())


def file_hash(file: Path) -> str:
    """The hash of a file's content."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, ALGORITHM).hexdigest()


def _names_and_hash(metrics: Mapping[str, float], names: str) -> str | None:
    """The hash of these metrics; None if one is missing. -0.0 counts as 0.0: a store may drop the sign."""
    try:
        values = [metrics[name] + 0.0 for name in names.split()]
    except KeyError:
        return None
    return _sha256(names.encode() + struct.pack(f"<{len(values)}d", *values))


def _texts_hash(texts: Mapping[str, str]) -> str:
    return _sha256("\0".join(f"{name}\0{texts[name]}" for name in sorted(texts)).encode("utf-8", "surrogateescape"))


def _sha256(content: bytes) -> str:
    return hashlib.new(ALGORITHM, content, usedforsecurity=False).hexdigest()
