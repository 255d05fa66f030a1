"""Hashes that a run carries of itself: of each of its files, and of its figures, tags and params.

They stand in one tag, away from the files, and the tag begins with a hash of its own text. A second tag, set when the
run begins, says that there will be such a tag: where one is there without the other, something was lost.

What is written to a run that has ended (its times, the comparison in its certificate) is announced first: until it is
there, the hash before and the hash after both count, so that a process killed in between damages nothing.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from experiments.store.names import BENCHMARKS, COMPONENTS, CONFIG_DIR, HOST, RESUMED, TAGS

ALGORITHM = "sha256"  # the value of the tag that a run begins with
OUR_TAGS = (*(tag for tag in TAGS if tag != HOST), COMPONENTS, CONFIG_DIR, RESUMED, BENCHMARKS)
_SEAL = 16  # digits of the hash that the tag begins with


@dataclass
class Digests:
    """What a run was when it was stored. Each list holds the hashes of which one must be found."""

    files: dict[str, list[str]] = field(default_factory=dict)  # by path below the run's artifacts
    metrics: list[list[str]] = field(default_factory=list)  # [names, hash]: others may be added to a run by anyone
    tags: list[str] = field(default_factory=list)
    params: list[str] = field(default_factory=list)
    times: list[int | None] = field(default_factory=list)  # started and ended, as they stand

    @classmethod
    def read(cls, text: str) -> Self:
        """From the tag's value.

        Raises:
            ValueError: it is not what was written.
        """
        seal, _, body = text.partition(" ")
        if seal != _sha256(body.encode())[:_SEAL]:
            raise ValueError("the hashes it carries are not what was stored")
        return cls(**json.loads(body))

    def text(self) -> str:
        """As the tag's value."""
        body = json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)
        return f"{_sha256(body.encode())[:_SEAL]} {body}"

    def what_differs(self, *, tags: Mapping[str, str], metrics: Mapping[str, float]) -> str | None:
        """Whether the figures or the tags of a run are others than those it was stored with."""
        if not any(_names_and_hash(metrics, names) == digest for names, digest in self.metrics):
            return "figures"
        return None if tags_hash(tags) in self.tags else "tags"


def metrics_digest(metrics: Mapping[str, float]) -> list[str]:
    """Names and hash of these figures."""
    names = " ".join(sorted(metrics))
    digest = _names_and_hash(metrics, names)
    assert digest is not None
    return [names, digest]


def tags_hash(tags: Mapping[str, str]) -> str:
    """The hash of the tags that say what a run is."""
    return _texts_hash({name: tags[name] for name in OUR_TAGS if name in tags})


def params_hash(params: Mapping[str, str]) -> str:
    """The hash of all params."""
    return _texts_hash(params)


def text_hash(text: str) -> str:
    """The hash of a text as a file holds it."""
    return _sha256(text.encode())


def file_hash(file: Path) -> str:
    """The hash of a file's content."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, ALGORITHM).hexdigest()


def _names_and_hash(metrics: Mapping[str, float], names: str) -> str | None:
    """The hash of these metrics, None where one is not there. Zero has no sign: a store may drop it."""
    try:
        values = [metrics[name] + 0.0 for name in names.split()]
    except KeyError:
        return None
    return _sha256(names.encode() + struct.pack(f"<{len(values)}d", *values))


def _texts_hash(texts: Mapping[str, str]) -> str:
    return _sha256("\0".join(f"{name}\0{texts[name]}" for name in sorted(texts)).encode("utf-8", "surrogateescape"))


def _sha256(content: bytes) -> str:
    return hashlib.new(ALGORITHM, content, usedforsecurity=False).hexdigest()
