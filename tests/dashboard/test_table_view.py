"""The Table view without a browser: what it reads, what it says of it, what it falls back to."""

import csv
import hashlib
import io
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.cached import nothing_stored
from dashboard.html_table import html_table
from experiments.analysis.formats.csv_file import as_csv
from experiments.analysis.table.load import DEFAULT_SCALE
from experiments.analysis.table.row_words import OWN_ROWS, answer
from experiments.common.checkout import ROOT
from experiments.published import table3
from experiments.spec.yaml_files import default_scale
from experiments.store import patience
from tests.dashboard.reading import markup, page, read_table
from tests.experiments.stored_runs import BAD

ROW = "xattn_every_4th"


@pytest.fixture
def two_runs(store_row):
    """A baseline and a row that is clearly worse."""
    return store_row(), store_row(ROW, BAD)


def contents(folder: Path) -> dict[str, str]:
    """Every file below, by what is in it."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_an_empty_store_shows_the_published_table_and_the_command(tmp_path, monkeypatch):
    """All 18 rows with the paper's figures and what to type; looking writes nothing."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'none' / 'mlflow.db'}")
    app = page()
    assert "`make run`" in app.info[0].value and f"python -m experiments.run ablation={ROW}" in app.info[0].value
    rows = read_table(markup(app))
    assert list(rows) == list(table3.rows())
    for name, paper in table3.rows().items():
        assert rows[name]["published (Flamingo-3B): Overall"] == f"{paper.overall:.1f}"
        assert rows[name]["ours: Overall"].startswith("python -m experiments.run")
    assert list(tmp_path.iterdir()) == []


def test_groups_stand_in_the_papers_order_with_the_value_that_changes():
    """(i) to (viii), each with the baseline's value; read across, a row says original -> changed."""
    rows = read_table(html_table(nothing_stored("tiny"), show="score"))
    groups = list(dict.fromkeys(row["setting"] for row in rows.values()))
    numerals = ["(i)", "(ii)", "(iii)", "(iv)", "(v)", "(vi)", "(vii)", "(viii)"]
    assert [group.split()[0] for group in groups] == ["Baseline", *numerals]
    assert rows[ROW]["setting"] == "(v) Cross-attention frequency Every \u2192"
    assert rows[ROW]["row"] == f"Every 4th {ROW}"


def test_a_stored_row_answers_at_first_sight(two_runs):
    """Difference, its interval and the word for it, seeds, whether paired, the ratio with its interval, all scores."""
    line = read_table(markup(page()))[ROW]
    figure, width, said = line["ours: difference Overall, 95%"].split()
    assert float(figure) < 0 and width.startswith("\u00b1") and said == "worse"
    assert line["published (Flamingo-3B): difference Overall"] == "-1.9"
    assert line["ours: ratio step time"] == "0.50 \u00b10.05"
    assert line["ours: paired"] == "paired"
    assert line["ours: seeds"] == "1"
    assert (line["ours: params"], line["ours: step time"]) == ("2.00M", "300/600 ms")
    assert line["ours: COCO CIDEr"] == line["ours: VQAv2 top1"] == "12.5"


def test_the_caption_says_how_it_was_computed(store_row):
    """Scale, seeds, method, ceilings, what is left out, when the store was written."""
    store_row()
    store_row(ROW, BAD)
    store_row("resampler_mlp", BAD, overrides=("train.lr=1.0",))
    text = markup(page())
    said = ("scale tiny, n = 1 (seed 0)", "bootstrap over examples", "ceilings", "left out: 1 finished", "last written")
    for part in said:
        assert part in text.split("</caption>")[0]


@pytest.mark.parametrize(
    ("difference", "low", "high", "verdict", "said"),
    [
        (-5.0, -9.0, -1.0, None, "worse"),
        (5.0, 1.0, 9.0, None, "better"),
        (-1.0, -3.0, 1.0, None, "unclear"),
        (-1.0, None, None, None, "no interval"),
        (None, None, None, None, "no seed in common"),
        (-5.0, -9.0, -1.0, "hurts", "hurts"),
        (-5.0, -9.0, 1.0, "undecided", "undecided, about 7 seeds for 80%"),
    ],
)
def test_every_difference_has_a_word(difference, low, high, verdict, said):
    """The answer is read without colour and without the figure; a verdict comes before it."""
    score = {"difference": difference, "low": low, "high": high, "verdict": verdict}
    assert answer({**score, "seeds_needed": 7 if verdict == "undecided" else None}) == said


def test_the_columns_of_scores_hold_what_is_asked_for(two_runs):
    """`show=delta` gives differences of both sides, `published` leaves ours out."""
    line = read_table(markup(page(show="delta")))[ROW]
    assert line["published (Flamingo-3B): COCO CIDEr"] == "-4.2"
    assert line["ours: COCO CIDEr"].startswith("-62.5 \u00b1")
    assert not any(column.startswith("ours") for column in read_table(markup(page(show="published")))[ROW])


def test_a_row_that_is_not_paired_says_so(store_row):
    """Where something undeclared differs, the flag and the sentence name it."""
    store_row()
    store_row(ROW, BAD, broken_pair=True)
    text = markup(page(row=ROW))
    assert read_table(text)[ROW]["ours: paired"] == "NOT PAIRED"
    assert "NOT PAIRED: prompts" in text


def test_seeds_that_are_missing_are_counted_and_come_with_their_command(store_row):
    """Three seeds of the baseline, one of the row: 1 of 3, and how to make the others; three seeds have verdicts."""
    for seed in range(3):
        store_row(seed=seed)
        store_row("resampler_mlp", BAD, seed=seed)
    store_row(ROW, BAD)
    text = markup(page(row=ROW))
    rows = read_table(text)
    assert rows[ROW]["ours: seeds"] == "1 of 3" and rows["baseline"]["ours: seeds"] == "3"
    assert rows["resampler_mlp"]["ours: difference Overall, 95%"].endswith("hurts")
    assert f"<pre>python -m experiments.run -m ablation={ROW} scale=tiny seed=1,2</pre>" in text
    assert rows["xattn_vanilla"]["ours: Overall"].endswith("scale=tiny seed=0,1,2")


def test_a_chosen_row_says_what_it_changes_and_from_which_runs(two_runs):
    """Keys with both values, the run's id, the certificate's sentence; the link to it is its address."""
    text = markup(page(row=ROW))
    assert f'<a href="?row={ROW}"' in text
    for part in ("model.xattn.placement</th><td>every</td><td>every_4th</td>", two_runs[1], "paired: 5 of 5", " to -"):
        assert part in text.split('id="details"')[1]


def test_combinations_and_own_rows_come_last(store_row):
    """Under a heading of their own; a `+` in a name survives its link."""
    store_row("my_row", BAD)
    store_row(f"{ROW}+resampler_mlp", BAD)
    store_row()
    text = markup(page(row=f"{ROW}+resampler_mlp"))
    rows = read_table(text)
    last = list(rows)[len(table3.rows()) :]
    assert sorted(last) == ["my_row", f"{ROW}+resampler_mlp"]
    assert {rows[name]["setting"] for name in last} == {OWN_ROWS}
    assert f"?row={ROW}%2Bresampler_mlp" in text and 'id="details"' in text


@pytest.mark.parametrize("query", [{"row": "nonsense"}, {"scale": "huge", "show": ""}, {"row": "<b>", "scale": "../x"}])
def test_an_address_that_means_nothing_falls_back_and_says_so(query, two_runs):
    """One line for each value, which is not repeated, and the table as if it had not been there."""
    app = page(**query)
    assert [caption.value.split("`")[1] for caption in app.caption] == sorted(query, key=["scale", "show", "row"].index)
    assert all("in the address is none of those there are" in caption.value for caption in app.caption)
    assert (app.selectbox[0].value, app.radio[0].value) == ("tiny", "score")
    assert "<b>" not in markup(app) and 'id="details"' not in markup(app)


def test_what_is_stored_is_text_never_markup(store_row):
    """Names and values with markup in them are shown as they are."""
    name = '<img src=x onerror=alert(1)>"*a*'
    store_row()
    store_row(name, BAD, tree={"seed": 0, "eval": {"note": "<script>alert(2)</script>"}})
    text = markup(page(row=name))
    assert "<img" not in text and "alert(2)</script>" not in text
    assert "&lt;img src=x" in text and "&lt;script&gt;alert(2)" in text


def test_what_finishes_appears_with_the_next_look(store_row):
    """Nothing is kept beyond a write to the store."""
    store_row()
    assert "python -m" in read_table(markup(page()))[ROW]["ours: Overall"]
    store_row(ROW, BAD)
    assert read_table(markup(page()))[ROW]["ours: Overall"].replace(".", "").isdecimal()


def test_looking_changes_nothing(two_runs, store_file):
    """Every file of the store is as it was; the summary beside it is all that is new, and only once."""
    before = contents(store_file.parent)
    page(row=ROW)
    after = contents(store_file.parent)
    assert after.keys() - before.keys() == {"mlflow.db.summary.jsonl"}
    assert {name: after[name] for name in before} == before
    page(row=ROW)
    assert contents(store_file.parent) == after


def test_a_row_whose_files_are_spoilt_takes_no_other_with_it(store_row, store_file):
    """That row says so; the others keep their figures."""
    store_row()
    store_row(ROW, BAD)
    spoilt = store_row("resampler_mlp", BAD)
    for file in store_file.parent.rglob(f"{spoilt}/**/coco.parquet"):
        file.write_bytes(b"cut short")
    rows = read_table(markup(page(row="resampler_mlp")))
    assert rows["resampler_mlp"]["ours: Overall"].startswith("cannot be read: ")
    assert rows[ROW]["ours: difference Overall, 95%"].endswith("worse")


def test_a_store_that_cannot_be_read_is_said_in_one_message(tmp_path, monkeypatch):
    """No traceback: what is wrong, the hint, and the published table alone."""
    broken = tmp_path / "mlflow.db"
    broken.write_text("this is no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{broken}")
    app = page(row=ROW)
    assert len(app.warning) == 1 and "not a database" in app.warning[0].value and "hint:" in app.warning[0].value
    rows = read_table(markup(app))
    assert len(rows) == len(table3.rows()) and not any(column.startswith("ours") for column in rows[ROW])


def test_a_locked_store_is_said_in_one_message(two_runs, store_file, monkeypatch):
    """Another program holds it: the published table, and what to do."""
    monkeypatch.setattr(patience, "LOCK_WAIT_S", 0.1)
    holder = sqlite3.connect(store_file)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        app = page()
    finally:
        holder.close()
    assert "locked" in app.warning[0].value and len(read_table(markup(app))) == len(table3.rows())


def test_the_csv_holds_what_the_table_shows(two_runs):
    """The twin has every row, and the same difference with more digits."""
    app = page()
    from dashboard.cached import last_write, stored

    twin = {line["row"]: line for line in csv.DictReader(io.StringIO(as_csv(stored("any", last_write(), "tiny"))))}
    shown = read_table(markup(app))
    assert list(twin) == list(shown)
    assert f"{float(twin[ROW]['overall_difference']):+.1f}" == shown[ROW]["ours: difference Overall, 95%"].split()[0]
    assert twin[ROW]["step_time_ratio_low"] == "0.45" and twin[ROW]["published_overall"] == "68.8"


def test_the_scale_at_first_is_that_of_a_command_that_names_none():
    """The dashboard's default is the configuration's."""
    assert default_scale() == DEFAULT_SCALE


def test_it_draws_a_stored_table_without_torch(two_runs):
    """A laptop that only looks needs neither torch nor transformers, from start to the open row."""
    code = (
        "import sys; from tests.dashboard.reading import markup, page; "
        f"assert 'worse' in markup(page(row={ROW!r})); "
        "print([name for name in ('torch', 'transformers', 'flamingo_core.registry', 'hydra') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
