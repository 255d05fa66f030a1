"""Families of rows are fixed: what is stored or shown of one moves no figure of another."""

import numpy as np
import pytest

from experiments.analysis import Table
from experiments.analysis.formats import as_text
from experiments.analysis.model.simultaneous import critical_values
from experiments.analysis.significance import compare
from experiments.analysis.table.families import family_of
from experiments.analysis.table.runs_file import RunsFile, as_runs, read
from experiments.published import table3
from experiments.published.table3 import COLUMNS as SCORES
from experiments.store.names import OVERALL, blind
from tests.experiments.analysis.table.test_select import a_run, row_of
from tests.experiments.score_tables import drawn

NOTHING = RunsFile((), {}, {})
PAPERS = ("xattn_every_4th", "resampler_mlp", "xattn_vanilla", "tanh_gating_off")
OF_FAMILY = {
    "published": PAPERS,
    "own": ("my_row", "my_other"),
    "combinations": ("xattn_every_4th+resampler_mlp", "xattn_every_4th+my_row"),
}


def runs_of(names, *, sd=1.0, seeds=4, rng_seed=0):
    """Noisy runs of rows; blind twins are another noise."""
    found = []
    for name in names:
        rng = np.random.default_rng([rng_seed, *name.encode()])
        for seed in range(seeds):
            run = a_run(name, seed, 60.0 + 0.7 * seed + sd * rng.normal() - len(name) / 20)
            run.metrics.update({blind(metric): 5.0 + rng.normal() / 10 for metric in (*SCORES, OVERALL)})
            found.append(run)
    return found


def loaded(runs, **arguments):
    return Table.load("tiny", finished=runs, evidence=NOTHING.evidence, **arguments)


BASE = runs_of(["baseline"], seeds=5)


@pytest.mark.parametrize("family", OF_FAMILY)
def test_what_is_stored_of_another_family_changes_no_figure(family):
    """No interval, no verdict, no number of seeds: quiet, noisy or single rows of the other families, in any order."""
    ours = runs_of(OF_FAMILY[family])
    expected = {row["row"]: row for row in loaded([*BASE, *ours]).table["rows"]}
    others = [name for other, names in OF_FAMILY.items() if other != family for name in names]
    more = [
        *runs_of(others[:2], sd=0.01, rng_seed=1),
        *runs_of(others[2:3], sd=30.0, rng_seed=2),
        *runs_of(others[3:], seeds=1, rng_seed=3),
    ]
    found = loaded([*more, *BASE, *ours]).table
    for name in OF_FAMILY[family]:
        assert row_of(found, name) == expected[name]
        assert row_of(found, name)["overall"]["verdict"] is not None
    assert row_of(found, "baseline") == expected["baseline"]


def test_nor_in_any_text():
    """The line of a row in a spreadsheet and in a pull request."""
    ours = runs_of(PAPERS)
    few, many = loaded([*BASE, *ours]), loaded([*BASE, *ours, *runs_of(OF_FAMILY["combinations"], sd=9.0)])
    for format_ in ("csv", "brief", "md"):
        lines = as_text(many, format_).splitlines()
        for line in as_text(few, format_).splitlines():
            if any(line.startswith((f"tiny,{name},", f"| {name}")) or f"`{name}` |" in line for name in PAPERS):
                assert line in lines


def test_which_rows_are_shown_changes_no_figure():
    """`--rows` is a choice of lines; the others still count."""
    runs = [*BASE, *runs_of(PAPERS), *runs_of(OF_FAMILY["own"])]
    everything = loaded(runs).table
    for name in (PAPERS[0], OF_FAMILY["own"][0]):
        assert row_of(loaded(runs, rows=[name]).table, name) == row_of(everything, name)


def test_the_published_family_is_as_large_as_the_table_from_the_start():
    """With one row stored or all, limits are for 17: a row more of the same noise never widens them by its number."""
    assert len(table3.rows()) - 1 == 17
    names = [name for name in table3.rows() if name != "baseline"]
    for stored in (names[:1], names):
        built = loaded([*BASE, *runs_of(stored)]).table
        assert {row_of(built, name)["family_size"] for name in stored} == {17}
        assert "simultaneous for 17 rows of Table 3 (" in built["method"]


def test_each_family_is_said_with_its_size():
    """In the caption, and beside each row."""
    built = loaded([*BASE, *runs_of([name for names in OF_FAMILY.values() for name in names[:2]])]).table
    assert (
        "simultaneous for 17 rows of Table 3 and for 2 rows of one's own and for 2 combinations "
        "(one model: row + random seed, REML, Dunnett-type, each family by itself)"
    ) in built["method"]
    assert {row["family_size"] for row in built["rows"] if row["family"] == "combinations"} == {2}
    assert [family_of(name) for name in ("baseline", "tanh_gating_off", "my", "my+tanh_gating_off")] == [
        *(None, "published"),
        *("own", "combinations"),
    ]


def test_a_family_of_one_seed_beside_another_has_its_intervals_over_examples():
    """Nothing is borrowed across families: its rows are single training runs, and the caption tells both."""
    single = a_run("my_row", 0, 50.0)
    evidence = RunsFile((), {}, {single.run_id: {OVERALL: _interval(-12.0, -8.0)}}).evidence
    base = [run for run in BASE if run.seed == 0]
    several = [*base, single, *runs_of(PAPERS)]
    built = Table.load("tiny", finished=several, evidence=evidence).table
    row = row_of(built, "my_row")["overall"]
    assert (row["low"], row["high"], row["verdict"], row["borrowed_noise"]) == (-12.0, -8.0, None, False)
    assert "simultaneous for 17 rows" in built["method"] and "one training run" in built["method"]


def _interval(low, high):
    from experiments.analysis.model.bootstrap import Interval

    return Interval(low, high)


def test_a_family_of_more_rows_than_are_given_has_the_limits_of_all():
    """Rows that are not stored are taken to be like those that are: in complete tables the limit is Dunnett's."""
    scores = drawn(rows=4, seeds=5)
    few, many = compare(scores, "baseline"), compare(scores, "baseline", family=17)
    assert few["difference"].equals(many["difference"])
    df = np.array([12.0])
    for found, size in ((few, 3), (many, 17)):
        half = ((found["high"] - found["low"]) / 2).iloc[1]
        limit = critical_values(df, np.full(size, np.sqrt(0.5)), 0.95)[0]
        se = half / limit
        expected = ((few["high"] - few["low"]) / 2).iloc[1] / critical_values(df, np.full(3, np.sqrt(0.5)), 0.95)[0]
        assert se == pytest.approx(expected, rel=1e-6)
    assert (many["p"].dropna() >= few["p"].dropna()).all()
    one = drawn(rows=2, seeds=5)
    alone, of_two = compare(one, "baseline"), compare(one, "baseline", family=2)
    ratio = (of_two["high"] - of_two["low"]).iloc[1] / (alone["high"] - alone["low"]).iloc[1]
    df = np.array([4.0])
    limits = [critical_values(df, np.full(size, np.sqrt(0.5)), 0.95)[0] for size in (1, 2)]
    assert ratio == pytest.approx(limits[1] / limits[0], rel=1e-6)
    assert compare(scores, "baseline", family=3).equals(few)


def test_a_file_of_runs_has_the_same_families(tmp_path):
    """The table again, as from the store."""
    stored = loaded([*BASE, *runs_of([names[0] for names in OF_FAMILY.values()])])
    file = tmp_path / "runs.csv"
    file.write_text(as_runs(stored))
    kept = read(file)
    assert Table.load("tiny", finished=kept.runs, evidence=kept.evidence).table == stored.table


def test_a_caption_speaks_of_the_rows_that_are_shown():
    """Neither the families, nor the noise, nor what could be detected is that of rows that nobody sees."""
    runs = [
        *BASE,
        *runs_of(PAPERS, sd=0.1),
        *runs_of(["my_row", "my_other"], sd=5.0),
        *runs_of(["resampler_transformer"], seeds=2),
    ]
    shown = loaded(runs, rows=["my_row"]).table
    assert "Table 3" not in shown["method"] and "resampler_transformer" not in shown["method"]
    alone = loaded([run for run in runs if run.row in ("baseline", "my_row", "my_other")], rows=["my_row"]).table
    assert shown["detectable"] == alone["detectable"] > 5


def test_a_file_of_a_few_rows_makes_the_same_table(tmp_path):
    """Rows that are not shown count in the noise: they are in the file too."""
    runs = [*BASE, *runs_of(PAPERS)]
    stored = loaded(runs, rows=[PAPERS[0]])
    file = tmp_path / "runs.csv"
    file.write_text(as_runs(stored))
    kept = read(file)
    again = Table.load("tiny", finished=kept.runs, evidence=kept.evidence, rows=[PAPERS[0]])
    assert row_of(again.table, PAPERS[0])["overall"] == row_of(stored.table, PAPERS[0])["overall"]
