"""The Table view without a browser: what it reads, what it escapes, what it falls back to."""

import subprocess
import sys

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.html_table import html_table
from experiments import published
from experiments.analysis import results, table
from experiments.record import ROOT
from tests.experiments.stored_runs import a_certificate, answers

APP = str(ROOT / "dashboard" / "app.py")
EVERY = ("coco", "okvqa", "vqav2", "msvdqa", "vatex")


def page(**query: str) -> AppTest:
    """The app as it draws itself for an address."""
    app = AppTest.from_file(APP, default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


@pytest.fixture
def two_runs(store_run):
    """A baseline and a row that is worse, as finished runs."""
    good = {name: answers([80.0, 90.0, 70.0, 60.0], benchmark=name) for name in EVERY}
    bad = {name: answers([10.0, 20.0, 15.0, 5.0], benchmark=name) for name in EVERY}
    costs = {"params_total": 2e6, "params_trainable": 1e6, "step_time_s": 0.3}
    store_run(metrics=costs, predictions=good, certificate=a_certificate())
    row = a_certificate()
    del row["weights"]["xattn.1"], row["shapes"]["xattn.1"]
    store_run("xattn_every_4th", metrics={**costs, "step_time_ratio": 0.5}, predictions=bad, certificate=row)


def drawn() -> str:
    chosen = results.select("tiny")
    built = table.build(chosen.runs, scale="tiny", seeds=[0], rows=list(published.rows()))
    return html_table(built, "", "")


def test_an_empty_store_shows_the_published_table_and_the_command(tmp_path, monkeypatch):
    """All 18 rows and what to type; looking writes nothing."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'none' / 'mlflow.db'}")
    app = page()
    assert "make run" in app.code[0].value
    assert list(tmp_path.iterdir()) == []
    text = drawn()
    assert text.count("<tr id=") == 18
    for group in ("(i) Training data", "(v) Cross-attention frequency", "(viii) Freezing LM"):
        assert group in text
    assert text.count("python -m experiments.run") == 18


def test_a_stored_row_stands_beside_the_published_one(two_runs):
    """Difference with its interval, seeds, whether paired, and the ratio, in the row of its name."""
    line = next(part for part in drawn().split("<tr id=") if part.startswith('"xattn_every_4th"'))
    assert "68.8" in line and "-1.9" in line
    assert "paired" in line and "0.50" in line and "NOT PAIRED" not in line
    assert " to -" in line, "the interval of a row that is clearly worse ends below zero"
    app = page(row="xattn_every_4th")
    assert "xattn_every_4th" in [heading.value for heading in app.subheader]


@pytest.mark.parametrize("query", [{"row": "nonsense"}, {"scale": "huge"}, {"row": "<b>x</b>", "scale": "../x"}])
def test_an_address_that_means_nothing_falls_back_and_says_so(query, two_runs):
    """One line for each, no traceback, nothing of the value on the page."""
    said = [caption.value for caption in page(**query).caption]
    assert len(said) == len(query)
    assert all("in the address is none that is stored" in text and "<b>" not in text for text in said)


def test_what_is_stored_is_text_never_markup(store_run):
    """A name with markup in it is shown as it is."""
    store_run()
    store_run("<img src=x>", hash="c" * 16)
    chosen = results.select("tiny")
    text = html_table(table.build(chosen.runs, scale="tiny", seeds=[0]), "", "")
    assert "<img" not in text and "&lt;img src=x&gt;" in text


def test_a_store_that_cannot_be_read_is_said_in_one_line(tmp_path, monkeypatch):
    """No traceback: the message, the hint, and the published table."""
    broken = tmp_path / "mlflow.db"
    broken.write_text("this is no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{broken}")
    app = page()
    assert "hint:" in app.warning[0].value


def test_it_starts_without_torch():
    """A laptop that only looks needs neither torch nor transformers."""
    code = (
        "import sys; import dashboard.views.table; "
        "print([name for name in ('torch', 'transformers', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
