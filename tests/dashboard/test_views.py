"""A screen is one file in the folder: nothing else names it."""

import pytest
import streamlit

from dashboard import views
from tests.dashboard.reading import page
from tests.sockets.outside import with_more

FILE = '''"""A screen."""

import streamlit as st

from dashboard.views import View


def show() -> None:
    st.title("How is {title}?")


VIEW = View("{title}", "{path}", show{more})
'''


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Put a screen into the package, as far as this test sees it; its store is an empty one."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/mlflow.db")
    folder = tmp_path / "more"
    folder.mkdir()
    with with_more(views, folder):
        yield lambda file, text: (folder / f"{file}.py").write_text(text)


@pytest.fixture
def navigation(monkeypatch):
    """The pages that the app gives to streamlit's navigation."""
    asked = []
    real = streamlit.navigation

    def recorded(pages, **settings):
        asked.append(([(one.title, one.url_path, one._default) for one in pages], settings))
        return real(pages, **settings)

    monkeypatch.setattr(streamlit, "navigation", recorded)
    return asked


def test_alone_the_table_needs_no_navigation(put, navigation):
    """It opens, and nothing stands over it; a file that declares no screen is none."""
    put("shared_parts", '"""What screens share."""')
    assert page().header[0].value == "Does each component earn its cost?"
    ((pages, settings),) = navigation
    assert [title for title, _, default in pages] == ["Table"] and settings == {"position": "hidden"}


def test_a_file_in_the_folder_is_a_screen(put, navigation):
    """Behind the table, which still opens; by its path in the address."""
    put("the_weather", FILE.format(title="Weather", path="weather", more=""))
    assert page().header[0].value == "Does each component earn its cost?"
    ((pages, settings),) = navigation
    assert [title for title, _, default in pages] == ["Table", "Weather"] and settings == {"position": "top"}
    assert pages[1][1:] == ("weather", False)


def test_the_first_in_place_opens(put):
    """A screen that says so comes before the table, and is drawn."""
    put("the_weather", FILE.format(title="Weather", path="weather", more=", place=0"))
    assert [view.title for view in views.found()] == ["Weather", "Table"]
    assert page().title[0].value == "How is Weather?"
