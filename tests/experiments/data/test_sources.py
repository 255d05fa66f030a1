"""The built-in sources keep the contract, and what is no source is refused."""

import pytest

from experiments.data.source import SOURCES, Source, register_source
from experiments.data.world.config import WorldConfig
from tests.experiments.commands import tiny_spec
from tests.experiments.data.source_contract import SourceContract

WORLD = tiny_spec().tree["data"]["world"]
OTHER_WORLD = {**WORLD, "captions": WORLD["captions"] + 1}


class TestWorld(SourceContract):
    """In all its roles."""

    name = "world"
    settings = WORLD
    other_settings = OTHER_WORLD
    data_sets = ("m3w", "align", "ltip", "laion", "vtp")
    benchmarks = ("coco", "okvqa", "vqav2", "msvdqa", "vatex")


def test_a_name_that_is_taken_is_refused() -> None:
    """No class takes the place of another."""
    with pytest.raises(ValueError, match="registered twice"):
        register_source("world", config=WorldConfig)(type("Other", (Source,), {}))
    assert SOURCES.built_in("world")
