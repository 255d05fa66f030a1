"""A column that only some runs have: where it stands, what other columns make of it, and what an older file lacks."""

import csv
import io
import json
import sqlite3
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from experiments.analysis import Table
from experiments.analysis.model.bootstrap import RESAMPLES, SEED, Interval, intervals, paired, resampled_means
from experiments.analysis.table.columns import columns_of, columns_of_runs, published_columns
from experiments.analysis.table.runs_file import RunsFile, as_runs, joined, read
from experiments.common.plain_text import read_back, written
from experiments.common.problems import UserError
from experiments.evaluation.benchmark import published
from experiments.published.table3 import COLUMNS as SCORES
from experiments.store import reader
from experiments.store.columns import Column, as_tag
from experiments.store.names import BENCHMARKS, OVERALL, blind
from experiments.store.stored_run import StoredRun
from tests.experiments.stored_runs import CEILINGS, COST_METRICS, RATIO, answers

ROW, OTHER = "xattn_every_4th", "resampler_mlp"
MORE = Column("nocaps", "nocaps_cider", "NoCaps", "CIDEr", graded=True, in_overall=False)
LESS = Column("counting", "counting_top1", "Z\u00e4hlen", "top1")
NOTHING = {"mean": None, "difference": None, "low": None, "high": None, "blind": None, "language": None, "vision": None}


def a_run(row: str, seed: int, points: float, *columns: Column) -> StoredRun:
    """A run as a store's reader gives it; of further columns it has twice as many points."""
    tags = {"scale": "tiny", "ablation": row, "seed": str(seed), "baseline_hash": "hash"}
    tags["spec_hash"] = "hash" if row == "baseline" else f"hash of {row}"
    said = as_tag(columns)
    tags |= {BENCHMARKS: said} if said is not None else {}
    metrics = {name: points for metric in (*SCORES, OVERALL) for name in (metric, blind(metric))}
    metrics |= {name: 2 * points for one in columns for name in (one.metric, blind(one.metric))}
    metrics |= {**COST_METRICS, **({} if row == "baseline" else RATIO)}
    return StoredRun(f"{row}-{seed}", "FINISHED", 1_000, 61_234 + seed, "", tags, {}, metrics)


def a_table(runs: list[StoredRun], **known: Any) -> Table:
    """Their table, with what is known of pairs of them."""
    kept = RunsFile(tuple(runs), known.get("certificates", {}), known.get("intervals", {}))
    return Table.load("tiny", finished=runs, evidence=kept.evidence)


def without(table: Table) -> dict[str, Any]:
    """A table's object less what it says of further columns."""
    plain = json.loads(json.dumps(table.table))
    plain.pop("columns", None)
    plain["method"] = plain["method"].replace("; Overall without NoCaps", "")
    for row in plain["rows"]:
        for key in ("scores", "published"):
            row[key] = {name: value for name, value in row[key].items() if name not in (MORE.metric, LESS.metric)}
    return plain


def noisy(row: str, *columns: Column) -> list[StoredRun]:
    """Four seeds of a row."""
    rng = np.random.default_rng(list(row.encode()))
    return [a_run(row, seed, 50 + seed + float(rng.normal()), *columns) for seed in range(4)]


def test_a_column_more_moves_no_other_figure() -> None:
    """Over seeds, every figure of the published columns is what it is without it; a table without it says nothing."""
    rows = "baseline", ROW, OTHER
    plain = a_table([run for row in rows for run in noisy(row)])
    more = a_table([run for row in rows for run in noisy(row, MORE)])
    assert "columns" not in plain.table and columns_of(plain.table) == published_columns()
    assert columns_of(more.table) == (*published_columns(), MORE)
    assert without(more) == without(plain)
    score = next(row for row in more.table["rows"] if row["row"] == ROW)["scores"][MORE.metric]
    assert score["low"] is not None and score["vision"] is not None


def test_rows_that_lack_it_say_so() -> None:
    """Each figure is None, be it the row that lacks it or the baseline; it is no reason for a row to be incomplete."""
    runs = [*noisy("baseline"), *noisy(ROW, MORE), *noisy(OTHER)]
    rows = {row["row"]: row for row in a_table(runs).table["rows"]}
    assert rows[OTHER]["scores"][MORE.metric] == NOTHING == rows["baseline"]["scores"][MORE.metric]
    ours = rows[ROW]["scores"][MORE.metric]
    assert ours["mean"] is not None and ours["difference"] is None is ours["low"]
    assert rows[OTHER]["missing"] == [] == rows[ROW]["missing"]
    assert rows[ROW]["published"][MORE.metric] is None


def test_seeds_that_lack_it_count_where_they_do_not() -> None:
    """In this column alone a row is judged as if it had only the seeds that have it."""
    base, row = noisy("baseline", MORE), [*noisy(ROW)[:2], *noisy(ROW, MORE)[2:]]
    some, alone = (
        next(one for one in a_table([*base, *runs]).table["rows"] if one["row"] == ROW) for runs in (row, row[2:])
    )
    assert (some["n"], alone["n"]) == (4, 2)
    assert some["scores"][MORE.metric] == alone["scores"][MORE.metric]
    assert some["scores"][MORE.metric]["low"] is not None
    assert some["overall"] != alone["overall"]


def test_the_order_of_columns_is_that_of_their_metrics() -> None:
    """Whatever the order of runs; of two headings for one metric the newer run's counts."""
    older = replace(MORE, label="No caps")
    runs = [a_run("baseline", 0, 1.0, older), a_run(ROW, 1, 1.0, MORE, LESS), a_run(OTHER, 0, 1.0)]
    for some in (runs, runs[::-1]):
        assert columns_of_runs(some) == (*published_columns(), LESS, MORE)


def test_only_rows_that_are_shown_bring_columns() -> None:
    """A run behind the table has no say in its head."""
    runs = [*noisy("baseline"), *noisy(ROW), *noisy(OTHER, MORE)]
    assert "columns" not in Table.load("tiny", finished=runs, rows=[ROW]).table


def test_overall_says_what_it_is_without() -> None:
    """In the table's method: of what counts, nothing needs to be said."""
    assert "Overall without NoCaps" in a_table([a_run("baseline", 0, 1.0, MORE, LESS)]).table["method"]
    assert "Overall without" not in a_table([a_run("baseline", 0, 1.0, LESS)]).table["method"]


def test_an_interval_over_examples_depends_on_its_own_column() -> None:
    """Others, before or behind it, change none of its resamples; Overall is of those that have ceilings."""
    rng = np.random.default_rng(5)
    columns = (*published(), MORE, LESS)
    row, base = ({one.name: answers(rng.uniform(0, 100, 30).tolist()) for one in columns} for _ in range(2))
    alone = intervals(row, base, CEILINGS, further=(MORE,))
    both = intervals(row, base, CEILINGS, further=(LESS, MORE))
    assert both.items() >= alone.items() and both.keys() - alone.keys() == {LESS.metric}
    assert intervals(row, base, CEILINGS).items() <= alone.items(), "those of the paper are as they were"
    for place, one in enumerate(published()):
        rng = np.random.default_rng([SEED, place])  # as intervals that are stored in files of runs were drawn
        means = resampled_means(*paired(row[one.name], base[one.name]), rng=rng, resamples=RESAMPLES)
        assert list(vars(alone[one.metric]).values()) == pytest.approx(np.percentile(means, [2.5, 97.5]), rel=1e-9)
    counted = intervals(row, base, {**CEILINGS, LESS.metric: 50.0}, further=(LESS, MORE))
    assert counted[OVERALL] != both[OVERALL]
    assert OVERALL not in intervals(row, base, {**CEILINGS, "other_top1": 50.0}, further=(LESS, MORE))


def test_a_file_of_runs_has_a_column_only_where_a_run_has() -> None:
    """Of one table and of two together, an older file without it among them; the table is the same from the file."""
    rows = "baseline", ROW
    plain = a_table([run for row in rows for run in noisy(row)])
    more = a_table(
        [*noisy("baseline", MORE), *noisy(ROW, MORE)], intervals={f"{ROW}-0": {MORE.metric: Interval(-7.25, -0.5)}}
    )
    heads = as_runs(plain).splitlines()[0].split(",")
    further = set(as_runs(more).splitlines()[0].split(",")) - set(heads)
    assert further == {
        BENCHMARKS,
        *(f"{form}{MORE.metric}{end}" for form, end in (("", ""), ("blind_", ""), ("", "_low"), ("", "_high"))),
    }
    assert as_runs(more).splitlines()[0].startswith(",".join(heads)), "what was there stays in its place"


@pytest.fixture
def files(tmp_path):
    """A file with the column, and an older one of another row without it."""
    told = {f"{ROW}-0": {MORE.metric: Interval(-7.25, -0.5)}}
    texts = {
        "more.csv": as_runs(a_table([*noisy("baseline", MORE), *noisy(ROW, MORE, LESS)], intervals=told)),
        "older.csv": as_runs(a_table([*noisy("baseline"), *noisy(OTHER)])),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path / "more.csv", tmp_path / "older.csv"


def test_a_file_holds_all_of_it(files) -> None:
    """Figures to the last bit, the interval, the heading."""
    kept = read(files[0])
    expected = {run.run_id: run for run in (*noisy("baseline", MORE), *noisy(ROW, MORE, LESS))}
    for run in kept.runs:
        assert run.metrics == expected[run.run_id].metrics
        assert run.tags[BENCHMARKS] == expected[run.run_id].tags[BENCHMARKS]
    assert kept.over_examples[f"{ROW}-0"] == {MORE.metric: Interval(-7.25, -0.5)}
    assert as_runs(Table.load("tiny", finished=kept.runs, evidence=kept.evidence)) == files[0].read_text()


@pytest.mark.parametrize("turned", [False, True])
def test_an_older_file_loads_beside_it(files, turned) -> None:
    """In either order; its row has no figure there."""
    kept = joined([read(file) for file in (files[::-1] if turned else files)])
    rows = {row["row"]: row for row in Table.load("tiny", finished=kept.runs, evidence=kept.evidence).table["rows"]}
    assert rows[OTHER]["scores"][MORE.metric] == NOTHING
    assert rows[ROW]["scores"][MORE.metric]["mean"] is not None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("nocaps_cider", "../../etc", "`metric` is `../../etc`"),
        ("NoCaps", "No\\u001b[2J", "`label` is `No"),
        ("[{", "{[", "line 2"),
        ('"name":"nocaps"', '"name":7', "`name` is `7`"),
        ('"graded":true', '"graded":1', "`graded` is `1`"),
    ],
)
def test_a_file_that_says_another_thing_is_refused(files, old, new, said) -> None:
    """What heads a column comes from the file: it is checked as a benchmark's own words are."""
    lines = list(csv.DictReader(io.StringIO(files[0].read_text())))
    for line in lines:
        line[BENCHMARKS] = written(read_back(line[BENCHMARKS]).replace(old, new))
    with files[0].open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    with pytest.raises(UserError) as caught:
        read(files[0])
    assert said in str(caught.value) and "\x1b" not in str(caught.value)


def test_a_line_cut_inside_it_is_refused(files) -> None:
    """As one that is cut before it."""
    text = files[0].read_text().rstrip("\n")
    files[0].write_text(text.rpartition(",")[0].rpartition(",")[0])
    with pytest.raises(UserError, match="it is cut short"):
        read(files[0])


class TestStored:
    """In a store, where anyone may edit a tag."""

    @pytest.fixture(autouse=True)
    def stored(self, store_run) -> None:
        """A run with a column more, and one without."""
        store_run(benchmarks=as_tag([MORE]), metrics={MORE.metric: 33.0, **COST_METRICS})
        store_run(ROW, metrics=COST_METRICS)

    def set(self, file, value: str) -> None:
        with sqlite3.connect(file) as database:
            done = database.execute("UPDATE tags SET value = ? WHERE key = ?", (value, BENCHMARKS))
            assert done.rowcount == 1

    def test_runs_of_the_published_benchmarks_are_stored_as_before(self) -> None:
        """They have no such tag."""
        tags = {run.row: BENCHMARKS in run.tags for run in reader.runs()}
        assert tags == {"baseline": True, ROW: False}

    def test_an_edited_tag_is_noticed(self, store_file, capsys) -> None:
        """Though it is a column's as well: the run's hashes cover it."""
        self.set(store_file, as_tag([LESS]) or "")
        assert [run.row for run in reader.runs()] == [ROW]
        assert "its tags are not what was stored" in capsys.readouterr().err

    @pytest.mark.parametrize("value", ["[", "[7]", '[{"name":"a"}]', '[{"name":"../x"}]', "{}", '"x"', "7"])
    def test_one_that_cannot_be_read_leaves_the_run_out(self, store_file, value, capsys) -> None:
        """Of a run without hashes too; the others are read."""
        self.set(store_file, value)
        with sqlite3.connect(store_file) as database:
            database.execute("DELETE FROM tags WHERE key IN ('hashed', 'digests')")
        assert [run.row for run in reader.runs()] == [ROW]
        assert "its tag `benchmarks` cannot be read" in capsys.readouterr().err
