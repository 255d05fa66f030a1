"""The contract of every source, as a test class: a subclass says which source, and its settings."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from experiments.data.document import layout
from experiments.data.source import SOURCES, Source
from experiments.data.tokenizer import build_tokenizer, encode
from experiments.evaluation.prompts import build_prompts

SPLITS = ("test", "val")
LOOKED_AT = 12  # examples of a role


class SourceContract:
    """Every law holds for each role that the source serves."""

    name: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]]  # its config, as plain data
    other_settings: ClassVar[Mapping[str, Any]]  # by which it returns something else
    data_sets: ClassVar[tuple[str, ...]] = ()
    benchmarks: ClassVar[tuple[str, ...]] = ()

    def made(self, settings: Mapping[str, Any] | None = None) -> Source:
        """A source of its own."""
        registered = SOURCES.get(self.name)
        source: Source = registered.cls(registered.config(**(self.settings if settings is None else settings)))
        return source

    @pytest.fixture
    def source(self) -> Source:
        """With the settings."""
        return self.made()

    def indices(self, source: Source, role: str) -> list[int]:
        """The first and the last documents."""
        count = source.count(role)
        return sorted({*range(min(LOOKED_AT, count)), count - 1})

    def shown(self, source: Source) -> Iterator[tuple[str, str]]:
        """Role and medium of some documents and queries."""
        for role in self.data_sets:
            for index in self.indices(source, role):
                yield from ((role, medium) for medium in source.document(role, index).media)
        for role in self.benchmarks:
            for query in source.queries(role, "test")[:LOOKED_AT]:
                yield role, query.medium

    def test_it_serves_some_role(self) -> None:
        """A subclass names the roles."""
        assert self.data_sets or self.benchmarks

    def test_documents_are_decided_by_role_and_index(self, source: Source) -> None:
        """Whichever is asked for first, and by whichever process; ids are of one document each."""
        for role in self.data_sets:
            indices = self.indices(source, role)
            forwards = [source.document(role, index) for index in indices]
            backwards = [self.made().document(role, index) for index in reversed(indices)]
            assert forwards == backwards[::-1] and len({one.id for one in forwards}) == len(indices)
            assert all(chunk.answer for one in forwards for chunk in one.chunks)

    def test_queries_are_decided_by_role_and_split(self, source: Source) -> None:
        """Their ids stay, and no split, nor the support set, has one of another."""
        for role in self.benchmarks:
            splits = [*(source.queries(role, split) for split in SPLITS), source.support(role)]
            assert splits[0] == self.made().queries(role, "test") and splits[2] == self.made().support(role)
            ids = [query.id for some in splits for query in some]
            assert len(set(ids)) == len(ids) and all(some for some in splits)
            assert all(query.answers and query.completion for some in splits for query in some)
            media = [{query.medium for query in some} for some in splits]
            assert not (media[0] & media[1]) and not (media[0] & media[2]), "a test picture is seen nowhere else"

    def test_media_are_pixels_of_their_own_size(self, source: Source) -> None:
        """uint8 (F, 3, H, W), no more frames than the limits say, the same each time and in any company."""
        for role, medium in self.shown(source):
            (alone,) = source.media([medium])
            assert alone.dtype == np.uint8 and alone.ndim == 4 and alone.shape[1] == 3 and min(alone.shape) > 0
            assert len(alone) <= source.limits(role, build_tokenizer()).frames
            again = self.made().media([medium, medium])
            assert all(np.array_equal(one, alone) for one in again)
        assert source.media([]) == []

    @pytest.mark.parametrize("medium", ["", "../secret", "no/such/medium", "train/999999999/x"])
    def test_what_is_no_medium_is_refused(self, medium: str, source: Source) -> None:
        """An id that comes from a store may be anything."""
        with pytest.raises(ValueError):
            source.media([medium])

    def test_a_picture_is_named_inside_its_folder(self, source: Source) -> None:
        """Whatever the id, and media have names of their own."""
        media = list(dict.fromkeys(medium for _, medium in self.shown(source)))
        names = [source.picture_name(medium) for medium in media]
        assert len(set(names)) == len(names)
        assert not any(name.startswith("/") or ".." in name.split("/") for name in names)

    def test_no_text_is_longer_than_its_limits(self, source: Source) -> None:
        """Documents and prompts, in tokens."""
        tokenizer = build_tokenizer()
        for role in self.data_sets:
            most = source.limits(role, tokenizer).document
            for index in self.indices(source, role):
                assert len(encode(tokenizer, layout(source.document(role, index).chunks)[0])[0]) <= most
        for role in self.benchmarks:
            for shots in (0, 4):
                most = source.limits(role, tokenizer).prompt(shots)
                for prompt in build_prompts(source, role, seed=0, shots=shots)[:LOOKED_AT]:
                    assert len(encode(tokenizer, prompt.text)[0]) <= most

    def test_every_query_allows_as_many_demonstrations_as_it_says(self, source: Source) -> None:
        """And none that shows the query's own medium."""
        for role in self.benchmarks:
            support = source.support(role)
            for query in source.queries(role, "test"):
                allowed = [example for example in support if query.allows(example)]
                assert len(allowed) >= source.demonstrations(role)
                assert all(example.medium != query.medium for example in allowed)

    def test_the_fingerprint_moves_with_what_is_read(self, source: Source) -> None:
        """Equal for equal settings, another one for settings by which something else is returned."""
        for role in (*self.data_sets, *self.benchmarks):
            assert source.fingerprint(role) == self.made().fingerprint(role)
            assert source.fingerprint(role) != self.made(self.other_settings).fingerprint(role)

    def test_twins_have_an_order_that_stays(self, source: Source) -> None:
        """A permutation, the same each time."""
        for role in self.benchmarks:
            order = list(source.twin_order(role, "test", 30))
            assert sorted(order) == [*range(30)] and order == list(self.made().twin_order(role, "test", 30))

    def test_a_block_knows_the_places_of_its_media(self, source: Source) -> None:
        """Where features of a medium are kept, they are found again."""
        for _, medium in self.shown(source):
            block = source.block(medium)
            if block is not None:
                assert source.block_media(block[0])[block[1]] == medium
