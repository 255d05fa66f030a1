"""Cache of media features on disk, encoded once for all runs and processes that share an encoder and a source.

A file holds one block of a source's media. Its path has a hash of everything its content depends on, and the file holds
a hash of its content: a truncated or altered file is detected when opened, and made again. Intact files are read
without a lock; if no file can be written, features are kept in memory. Timing never uses the cache.

N media, F frames, S features per frame, V width of the features.
"""

import errno
import hashlib
import inspect
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.common.locks import NoLocks, file_lock
from experiments.common.outside_code import imported_hash
from experiments.common.progress import Progress
from experiments.data.source import Source, Sources
from experiments.store.error import CACHE_VARIABLE
from experiments.store.places import cache_folder

if TYPE_CHECKING:
    from torch import Tensor

    from flamingo_core.flamingo import Flamingo

ENCODE_BATCH = 64  # media encoded at once
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the user must free some; any other error only costs time


class Features:
    """Features by role: a model's frozen encoder over the sources of a spec."""

    def __init__(
        self,
        model: "Flamingo",
        sources: Sources,
        *,
        folder: Path | None = None,
        more_in: Path | None = None,
        components: Sequence[str] = (),
    ):
        """Arguments as in `FeatureCache`."""
        self._sources = sources
        self._make = lambda source: FeatureCache(model, source, folder=folder, more_in=more_in, components=components)
        self._caches: dict[int, FeatureCache] = {}

    def of_role(self, role: str) -> "FeatureCache":
        """The features of a role's source."""
        source = self._sources.of(role)
        if id(source) not in self._caches:
            self._caches[id(source)] = self._make(source)
        return self._caches[id(source)]

    def of(self, role: str, ids: Sequence[str]) -> "Tensor":
        """Ids -> (N, F, S, V) on the model's device, all of them pictures or all of them clips."""
        return self.of_role(role).of(ids)


class FeatureCache:
    """Features of one source's media by a model's frozen encoder: float16 on disk, the model's precision when read."""

    def __init__(
        self,
        model: "Flamingo",
        source: Source,
        *,
        folder: Path | None = None,
        more_in: Path | None = None,
        components: Sequence[str] = (),
    ):
        """`folder` is read and written; `more_in` is another folder, only read.

        `components` are the modules from outside that the command names.
        """
        self.source = source
        self._model = model
        key = _key(model, source, components)
        self._folder = (folder or cache_folder() / "features") / key
        self._more = [] if more_in is None else [more_in / key]
        self._told = False
        self._open: dict[str, Tensor] = {}  # float16 (N, F, S, V) by block

    def prepare(self, ids: Iterable[str]) -> None:
        """Open the blocks of these media; missing blocks are made.

        Raises:
            OSError: there is no disk space for them.
        """
        blocks = (self.source.block(medium) for medium in ids)
        for name in dict.fromkeys(block[0] for block in blocks if block is not None):
            self._block(name)

    def of(self, ids: Sequence[str]) -> "Tensor":
        """Ids -> (N, F, S, V) on the model's device, all of them pictures or all of them clips.

        Media without a block are encoded each time.
        """
        import torch

        rows: list[Tensor] = [torch.empty(0)] * len(ids)
        places: dict[str, list[tuple[int, int]]] = {}
        loose: dict[str, list[int]] = {}
        for place, medium in enumerate(ids):
            block = self.source.block(medium)
            if block is None:
                loose.setdefault(medium, []).append(place)
            else:
                places.setdefault(block[0], []).append((place, block[1]))
        for name, some in places.items():
            held = self._block(name)
            for place, index in some:
                rows[place] = held[index]
        if loose:
            for encoded, at in zip(self._encode(list(loose)), loose.values(), strict=True):
                for place in at:
                    rows[place] = encoded
        return torch.stack(rows).to(self._model.device, self._model.dtype)

    def _block(self, name: str) -> "Tensor":
        if name not in self._open:
            self._open[name] = self._load_or_make(name)
        return self._open[name]

    def _load_or_make(self, block: str) -> "Tensor":
        ids = self.source.block_media(block)
        name = f"{block}-{len(ids)}.safetensors"
        for folder in (self._folder, *self._more):
            whole = _load_whole(folder / name, tell=True)
            if whole is not None:
                return whole
        return self._make(self._folder / name, ids)

    def _make(self, path: Path, ids: list[str]) -> "Tensor":
        """Encode and write a file, unless another process has made it meanwhile; if it cannot be written, only encode.

        Raises:
            OSError: there is no disk space for it, or the encoder raised it.
        """
        from flamingo_core.checkpoint import save_tensors
        from flamingo_core.whole_file import remove_drafts

        source = path.stem.rpartition("-")[0]
        lock = file_lock(f"{path}.lock")  # a second process waits, then reads the first one's file
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            remove_drafts(path.parent, path.name)
        except OSError as error:
            lock.release()
            self._cannot_keep(error)
            return self._encoded(source, ids)
        try:
            made = _load_whole(path)
            if made is not None:
                return made
            if self._more:
                self._tell(f"{self._more[0].parent} cannot be written to, {path.parents[1]} is used")
            encoded = self._encoded(source, ids)
            try:
                save_tensors(path, {_name(path): encoded}, {})
            except OSError as error:
                self._cannot_keep(error)
                return encoded
            return _load(path)
        finally:
            lock.release()

    def _cannot_keep(self, error: OSError) -> None:
        """Tell the user that nothing is cached, unless disk space is the cause.

        Raises:
            OSError: there is no disk space, for other files either.
        """
        if error.errno in NO_SPACE:
            raise error
        fault = f"{self._folder.parent} cannot be written to ({error.strerror})"
        self._tell(f"{error if isinstance(error, NoLocks) else fault}, nothing encoded is kept")

    def _tell(self, text: str) -> None:
        """Print a message about the cache, only once."""
        if not self._told:
            print(f"feature cache: {text} ({CACHE_VARIABLE} names another folder)", file=sys.stderr)
        self._told = True

    def _encoded(self, source: str, ids: list[str]) -> "Tensor":
        """Media -> float16 (N, F, S, V)."""
        import torch

        encoded = []
        with Progress(f"encoding {source}", len(ids), "medium") as progress:
            for start in range(0, len(ids), ENCODE_BATCH):
                some = ids[start : start + ENCODE_BATCH]
                encoded.append(self._encode(some))
                progress.advance(by=len(some))
        return torch.cat(encoded)

    def _encode(self, ids: Sequence[str]) -> "Tensor":
        import torch

        pixels = self._model.preprocess(self.source.media(ids)).to(self._model.device)
        return self._model.encode_media(pixels).to("cpu", torch.float16)


def _load_whole(path: Path, *, tell: bool = False) -> "Tensor | None":
    """A file if it exists and is intact; files are moved into place, so reading needs no lock."""
    if not os.path.exists(path):  # also False in an unreadable folder, where `Path.exists` raises
        return None
    try:
        return _load(path)
    except ValueError as error:
        if tell:
            print(f"feature cache: {error}; encoding again", file=sys.stderr)
        return None


def _load(path: Path) -> "Tensor":
    """Map a file into memory.

    Raises:
        ValueError: it is incomplete, or not what was written.
    """
    from flamingo_core.checkpoint import load_tensors

    tensors, _ = load_tensors(path, hashed=True)
    if _name(path) not in tensors:
        raise ValueError(f"{path} holds other features")
    return tensors[_name(path)]


def _name(path: Path) -> str:
    """The name of the tensor in a file: the folder's name and the file's."""
    return f"{path.parent.name}/{path.stem}"


def _key(model: "Flamingo", source: Source, components: Sequence[str]) -> str:
    """A 16-digit hash over the encoder's weights, code and config, the pictures, torch version and device type."""
    import torch

    from flamingo_core import registry

    digest = hashlib.sha256()
    for name, tensor in model.vision.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().numpy().view(np.uint8).data)
    config = model.config.component_config("vision")
    code = inspect.getsourcefile(type(model.vision))
    said: list[object] = [
        type(model.vision).__qualname__,
        hashlib.sha256(Path(code).read_bytes()).hexdigest() if code else "",
        {key: value for key, value in asdict(config).items() if key != "path"},
        source.pixels_version(),
        [torch.__version__, model.device.type],
    ]
    if not registry.component("vision", model.config.vision["name"]).built_in:
        said.append(imported_hash(type(model.vision).__module__, components))
    digest.update(json.dumps(said, sort_keys=True).encode())
    return digest.hexdigest()[:16]
