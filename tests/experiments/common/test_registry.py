"""A registry: built-in files are found by being there, others by being imported, and no name means two things."""

import sys
from pathlib import Path

import pytest

from experiments.common.registry import Registry, UnknownName

BUILT_IN = """from greetings import GREETINGS

@GREETINGS.register("{name}")
class {cls}:
    word = "{name}"
"""


@pytest.fixture
def greetings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[type]:
    """A registry whose package holds one file each for `hello` and `moin`."""
    package = tmp_path / "greetings"
    (package / "built_in").mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from experiments.common.registry import Registry\nGREETINGS = Registry('greeting', 'greetings.built_in')\n"
    )
    (package / "built_in" / "__init__.py").touch()
    for name in ("moin", "hello"):
        (package / "built_in" / f"{name}.py").write_text(BUILT_IN.format(name=name, cls=name.title()))
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in ("greetings", "greetings.built_in", "greetings.built_in.hello", "greetings.built_in.moin"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    import greetings

    return greetings.GREETINGS


def test_a_built_in_is_found_by_being_a_file(greetings):
    """Nothing lists it: a third file is a third name."""
    assert greetings.names() == ("hello", "moin")
    assert greetings.get("moin").word == "moin"
    assert greetings.built_in("moin")
    assert greetings.module("moin") == "greetings.built_in.moin"
    package = Path(sys.modules["greetings.built_in"].__file__).parent
    (package / "ahoy.py").write_text(BUILT_IN.format(name="ahoy", cls="Ahoy"))
    assert greetings.names() == ("ahoy", "hello", "moin")


def test_a_stranger_is_found_by_being_imported(greetings):
    """It is no built-in."""

    @greetings.register("servus")
    class Servus:
        pass

    assert greetings.get("servus") is Servus
    assert greetings.names() == ("hello", "moin", "servus")
    assert not greetings.built_in("servus")


@pytest.mark.parametrize("ask", ["get", "module", "built_in"])
def test_an_unknown_name_is_refused_with_those_there_are(greetings, ask):
    """Name and allowed names are there for whoever words the refusal."""
    with pytest.raises(UnknownName, match="unknown greeting `helo`; allowed: hello, moin") as caught:
        getattr(greetings, ask)("helo")
    assert (caught.value.name, caught.value.allowed) == ("helo", ("hello", "moin"))


def test_a_taken_name_is_refused_and_the_first_stays(greetings):
    """Whoever comes from outside is the second, even where no built-in has been asked for yet."""
    with pytest.raises(ValueError, match=r"greeting `hello` is registered twice: by greetings\.built_in\.hello, by "):
        greetings.add("hello", object, module="my.module")
    assert greetings.get("hello").word == "hello"


@pytest.mark.parametrize("name", ["", "two words", "a-b", "lambda", "1st"])
def test_a_name_is_one_word(greetings, name):
    """It stands in keys, file names and columns."""
    with pytest.raises(ValueError, match="one word in letters, digits and `_`"):
        greetings.register(name)(type("Any", (), {}))
