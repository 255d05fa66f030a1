"""What is stored is what was stored, or it is named: run, file, and the command that makes it again.

One file, because all of it is done to copies of two stores that take seconds to make.
"""

import csv
import io
import json
import shlex
import shutil
import sqlite3
import struct
from contextlib import closing

import pytest

from experiments.analysis import Table
from experiments.analysis.formats import as_text
from experiments.command.cli import main
from experiments.common.checkout import ROOT
from experiments.common.plain_json import dumps
from experiments.report import FORMATS, report
from experiments.store import damage, digests, reader
from experiments.store.error import StoreError
from experiments.store.lifecycle import open_finished, reopen_run
from experiments.store.names import CERTIFICATE_FILE, DIGESTS, HASHED, SPEC_FILE, WEIGHTS_FILE
from experiments.table3 import table3
from tests.experiments.commands import QUICK, run_here
from tests.experiments.stored_runs import BAD

ROW, OTHER = "xattn_every_4th", "resampler_mlp"
AGAIN = f"python -m experiments.run ablation={ROW} scale=tiny seed=0"
UNVERIFIED = "stored before digests existed: not verified"


MADE = {}  # the first test's runs: those of the others are copies, which takes milliseconds


@pytest.fixture
def runs(request, store_file, tmp_path_factory):
    """A baseline, and two rows with all their files, by name."""
    folder = store_file.parent
    if not MADE:
        write = request.getfixturevalue("store_row")
        MADE["runs"] = {
            name: write(name, *scores) for name, scores in (("baseline", ()), (ROW, (BAD,)), (OTHER, (BAD,)))
        }
        MADE["template"] = tmp_path_factory.mktemp("template") / "store"
        shutil.copytree(folder, MADE["template"])
    else:
        shutil.copytree(MADE["template"], folder, dirs_exist_ok=True)
        for run_id in MADE["runs"].values():
            uri = (folder / "artifacts" / run_id / "artifacts").as_uri()
            change(store_file, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", uri, run_id)
    return dict(MADE["runs"])


def change(file, statement, *values):
    """One statement of SQL, as a fault would leave the file."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        assert database.execute(statement, values).rowcount


def reported(capsys, *arguments):
    """Output and messages of a report, which must end well."""
    code = main(report, ["scale=tiny", *arguments])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out, err


def flip(file, place=-1):
    """One bit of a file is another."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def flipped(value):
    """A figure of which one bit is another."""
    (bits,) = struct.unpack("<q", struct.pack("<d", value))
    return struct.unpack("<d", struct.pack("<q", bits ^ (1 << 40)))[0]


def file_of(store_file, run_id, path):
    """Where an artifact lies."""
    return store_file.parent / "artifacts" / run_id / "artifacts" / path


def in_a_metric(file, run_id):
    """One bit of the score."""
    value = next(run.metrics["overall"] for run in reader.runs() if run.run_id == run_id)
    where = "WHERE run_uuid = ? AND key = 'overall'"
    change(file, f"UPDATE latest_metrics SET value = ? {where}", flipped(value), run_id)


def in_a_cost(file, run_id):
    """A step time."""
    change(file, "UPDATE latest_metrics SET value = 2 WHERE run_uuid = ? AND key = 'step_time_s'", run_id)


def a_lost_metric(file, run_id):
    """A line of the table of figures."""
    change(file, "DELETE FROM latest_metrics WHERE run_uuid = ? AND key = 'vatex_cider'", run_id)


def in_a_tag(file, run_id):
    """The run's title."""
    change(file, f"UPDATE tags SET value = '{OTHER}' WHERE run_uuid = ? AND key = 'ablation'", run_id)


def in_a_time(file, run_id):
    """When it ended, which says which run is the newest."""
    change(file, "UPDATE runs SET end_time = end_time + 4096 WHERE run_uuid = ?", run_id)


def in_its_hashes(file, run_id):
    """A bit of the hashes themselves."""
    change(file, "UPDATE tags SET value = replace(value, 'a', 'c') WHERE run_uuid = ? AND key = ?", run_id, DIGESTS)


def without_its_hashes(file, run_id):
    """They are lost, and the run says that it had some."""
    change(file, "DELETE FROM tags WHERE run_uuid = ? AND key = ?", run_id, DIGESTS)


def without_their_mark(file, run_id):
    """What says that there are hashes is lost."""
    change(file, "UPDATE tags SET key = 'hashee' WHERE run_uuid = ? AND key = ?", run_id, HASHED)


def in_its_status(file, run_id):
    """A status that no run has: no query would find it."""
    change(file, "UPDATE runs SET status = 'FINISHEE' WHERE run_uuid = ?", run_id)


def in_its_id(file, run_id):
    """The run is one nobody knows, and its tags are of none."""
    change(file, "UPDATE runs SET run_uuid = 'x' || run_uuid WHERE run_uuid = ?", run_id)


def no_text(file, run_id):
    """Bytes that are no UTF-8."""
    change(file, "UPDATE tags SET value = CAST(x'ff41' AS TEXT) WHERE run_uuid = ? AND key = 'ablation'", run_id)


DAMAGES = [
    in_a_metric,
    in_a_cost,
    a_lost_metric,
    in_a_tag,
    in_a_time,
    in_its_hashes,
    without_its_hashes,
    without_their_mark,
    in_its_status,
    in_its_id,
    no_text,
]


@pytest.mark.parametrize("spoil", DAMAGES)
def test_a_run_that_is_not_what_was_stored_is_named_and_left_out(spoil, runs, store_file, capsys):
    """In figures, tags, times, hashes: run, file and what makes it again on stderr; the other rows as they were."""
    whole = json.loads(reported(capsys, "--format", "json")[0])
    spoil(store_file, runs[ROW])
    out, err = reported(capsys, "--format", "json")
    assert runs[ROW] in err and str(store_file) in err and "left out" in err and "hint: " in err
    rows = {row["row"]: row for row in json.loads(out)["rows"]}
    assert rows[ROW]["n"] == 0 and rows[ROW]["missing"] == [AGAIN]
    assert rows[OTHER] == next(row for row in whole["rows"] if row["row"] == OTHER)


@pytest.mark.parametrize("index", ["tags", "runs"])
def test_a_damaged_index_hides_no_run(index, runs, store_file, capsys):
    """The tables themselves are read."""
    before = reported(capsys)
    with closing(sqlite3.connect(store_file)) as database, database:
        name = f"sqlite_autoindex_{index}_1"
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    content = bytearray(store_file.read_bytes())
    start = (page - 1) * size
    content[start + 4] = content[start + 3] = 0  # the page says that it holds nothing
    store_file.write_bytes(content)
    assert reported(capsys) == before


def test_each_file_of_a_run_carries_its_hash(runs):
    """Those written when it began and when it ended."""
    (run,) = reader.runs(ablation=ROW)
    files = damage.digests_of(run.tags).files
    expected = {SPEC_FILE, CERTIFICATE_FILE, *(f"predictions/{name}.parquet" for name in ("coco", "okvqa", "vatex"))}
    assert expected < set(files)
    for path in files:
        assert files[path] == [digests.file_hash(reader.artifact(run, path))]


@pytest.mark.parametrize("spoil", [flip, lambda file: file.write_bytes(b""), lambda file: file.write_bytes(b"PAR1")])
def test_damaged_predictions_are_named(spoil, runs, store_file, capsys):
    """Run, file and command; the other rows stand."""
    spoil(file_of(store_file, runs[ROW], "predictions/coco.parquet"))
    out, err = reported(capsys)
    assert f"predictions/coco.parquet of run {runs[ROW]}" in err and f"{AGAIN} rerun=true" in err
    assert "cannot be read" in out and f"**MLP `{OTHER}`**" in out


@pytest.mark.parametrize("of", ["baseline", ROW])
@pytest.mark.parametrize("spoil", [flip, lambda file: file.write_bytes(b"")])
def test_a_damaged_certificate_counts_as_absent(spoil, of, runs, store_file, capsys):
    """It is named each time, the row is in the table, and nothing says that it is paired."""
    reported(capsys)
    spoil(file_of(store_file, runs[of], CERTIFICATE_FILE))
    for _ in range(2):
        out, err = reported(capsys, "--format", "json")
        assert f"{CERTIFICATE_FILE} of run {runs[of]}" in err and "rerun=true" in err
        row = next(row for row in json.loads(out)["rows"] if row["row"] == ROW)
        assert row["n"] == 1 and row["certificate"] is None and row["overall"]["low"] is not None


def test_a_file_that_is_gone_is_named(runs, store_file, capsys):
    """A run says which files it had."""
    file_of(store_file, runs[ROW], CERTIFICATE_FILE).unlink()
    assert f"{CERTIFICATE_FILE} of run {runs[ROW]}" in reported(capsys)[1]


def test_damaged_params_are_named(runs, store_file, capsys):
    """They say what Overall divides by, and what a row changes."""
    where = "WHERE run_uuid = ? AND key = 'eval.ceilings.coco_cider'"
    change(store_file, f"UPDATE params SET value = '50' {where}", runs[ROW])
    _, err = reported(capsys)
    assert runs[ROW] in err and "params are not what was stored" in err and "rerun=true" in err
    assert reader.find_finished(Table.load("tiny").runs[OTHER][0].tags["spec_hash"], 0) is not None
    (run,) = reader.runs(ablation=ROW)
    assert reader.find_finished(*run.job) is None


def forget_hashes(file, run_id):
    """As a run was that was stored before there were any."""
    change(file, "DELETE FROM tags WHERE run_uuid = ? AND key IN (?, ?)", run_id, DIGESTS, HASHED)


def test_runs_from_before_digests_load_and_are_counted(runs, store_file, tmp_path, capsys):
    """In every format's caption, and on stderr; what was altered in them cannot be known. A runs file is no store."""
    whole = {format_: reported(capsys, "--format", format_)[0] for format_ in FORMATS}
    for run_id in (runs["baseline"], runs[ROW]):
        forget_hashes(store_file, run_id)
    for format_ in FORMATS:
        out, err = reported(capsys, "--format", format_)
        assert f"2 runs {UNVERIFIED}" in err
        assert f"2 runs {UNVERIFIED}" in " ".join(out.split()) or format_ in ("csv", "runs")
        if format_ == "runs":
            assert out == whole[format_]
    (line,) = (one for one in csv.DictReader(io.StringIO(reported(capsys, "--format", "csv")[0])) if one["row"] == ROW)
    assert line["unverified"] == runs[ROW]
    kept = tmp_path / "runs.csv"
    kept.write_text(whole["runs"])
    assert main(report, ["--from", str(kept), "--format", "md"]) == 0
    assert UNVERIFIED not in "".join(capsys.readouterr())
    assert "unverified" not in whole["csv"] and UNVERIFIED not in "".join(whole.values())


BAD_VALUES = {
    "nan": "UPDATE latest_metrics SET value = 0, is_nan = 1 WHERE run_uuid = ? AND key = 'overall'",
    "infinity": "UPDATE latest_metrics SET value = 1.7976931348623157e308 WHERE run_uuid = ? AND key = 'coco_cider'",
    "real infinity": "UPDATE latest_metrics SET value = 9e999 WHERE run_uuid = ? AND key = 'step_time_s'",
    "text metric": "UPDATE latest_metrics SET value = 'high' WHERE run_uuid = ? AND key = 'overall'",
    "blob metric": "UPDATE latest_metrics SET value = x'00ff' WHERE run_uuid = ? AND key = 'blind_overall'",
    "long seed": f"UPDATE tags SET value = '{'7' * 5000}' WHERE run_uuid = ? AND key = 'seed'",
    "long tag": f"UPDATE tags SET value = '{'7' * 5000}' WHERE run_uuid = ? AND key = 'baseline_hash'",
    "blob tag": "UPDATE tags SET value = x'00ff' WHERE run_uuid = ? AND key = 'ablation'",
    "number tag": "UPDATE tags SET value = x'31' WHERE run_uuid = ? AND key = 'scale'",
    "no tag": "DELETE FROM tags WHERE run_uuid = ? AND key = 'spec_hash'",
    "empty seed": "UPDATE tags SET value = '' WHERE run_uuid = ? AND key = 'seed'",
    "text time": "UPDATE runs SET end_time = 'yesterday' WHERE run_uuid = ?",
    "text start": "UPDATE runs SET start_time = 'yesterday' WHERE run_uuid = ?",
    "far time": "UPDATE runs SET end_time = 9e17 WHERE run_uuid = ?",
    "negative time": "UPDATE runs SET end_time = -1 WHERE run_uuid = ?",
    "blob param": "UPDATE params SET value = x'00ff' WHERE run_uuid = ? AND key = 'eval.ceilings.coco_cider'",
    "nan param": "UPDATE params SET value = 'nan' WHERE run_uuid = ? AND key = 'eval.ceilings.coco_cider'",
}


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("what", BAD_VALUES)
def test_one_bad_run_never_ends_a_report(what, hashed, runs, store_file, capsys):
    """Named on stderr and left out, or its row cannot be read; exit 0, the others as they were, no NaN in JSON."""
    if not hashed:
        forget_hashes(store_file, runs[ROW])
    change(store_file, BAD_VALUES[what], runs[ROW])
    for format_ in ("json", "md", "runs"):
        out, err = reported(capsys, "--format", format_)
        assert "NaN" not in out and "Infinity" not in out and "Traceback" not in err
        if what != "long tag" or hashed:  # a hash of another baseline: it is counted as left out
            assert (runs[ROW] in err or f"{ROW} cannot be read" in err) and len(err) < 3000
        if format_ == "json":
            rows = {row["row"]: row for row in json.loads(out)["rows"]}
            assert rows[ROW]["n"] == 0 and rows[OTHER]["n"] == 1


def test_a_bad_run_ends_neither_a_table_nor_the_dashboard(runs, store_file, capsys):
    """What reads the store reads the rest of it, and says what it left out."""
    change(store_file, BAD_VALUES["long seed"], runs[ROW])
    change(store_file, BAD_VALUES["text time"], runs[OTHER])
    assert main(table3, ["scale=tiny", "--rows", ROW, "--dry-run"]) == 0
    err = capsys.readouterr().err
    assert runs[ROW] in err and runs[OTHER] in err
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()
    warned = " ".join(warning.value for warning in page.warning)
    assert not page.exception and runs[ROW] in warned and runs[OTHER] in warned


def test_json_holds_neither_nan_nor_infinity():
    """What is no number is not known."""
    text = dumps({"a": float("nan"), "b": [float("inf"), 1.5, {"c": -float("inf")}], "d": "NaN"})
    assert json.loads(text) == {"a": None, "b": [None, 1.5, {"c": None}], "d": "NaN"}


@pytest.mark.parametrize("left", [0, 1000, -5000])
def test_a_store_file_that_was_cut_or_emptied_is_one_error(left, runs, store_file, capsys):
    """It is not taken for an empty store."""
    store_file.write_bytes(store_file.read_bytes()[:left])
    assert main(report, ["scale=tiny"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and str(store_file) in err and "hint: " in err and "Traceback" not in err
    with pytest.raises(StoreError):
        reopen_run(runs[ROW])


def test_what_is_added_to_a_finished_run_is_hashed_too(store_row, store_file, tmp_path, capsys):
    """Times and a certificate come after the end."""
    runs = {ROW: store_row(ROW)}
    added = tmp_path / CERTIFICATE_FILE
    added.write_text('{"seed": 0, "new": 1}')
    open_finished(runs[ROW]).log_metrics({"step_time_ratio": 0.25, "something_new": 1.0})
    open_finished(runs[ROW]).log_file(added)
    (run,) = reader.runs(ablation=ROW)
    assert run.metrics["step_time_ratio"] == 0.25 and reader.certificate(run) == {"seed": 0, "new": 1}
    change(store_file, "UPDATE latest_metrics SET value = 2 WHERE run_uuid = ? AND key = 'something_new'", runs[ROW])
    assert reader.runs(ablation=ROW) == []
    assert runs[ROW] in capsys.readouterr().err


@pytest.mark.parametrize("killed_at", range(3))
def test_killed_while_something_is_added_a_run_is_not_damaged(killed_at, store_row, tmp_path, monkeypatch, capsys):
    """Before it is announced, before it is written, and before it alone counts: what was or what is counts."""
    runs = {ROW: store_row(ROW)}
    added = tmp_path / CERTIFICATE_FILE
    added.write_text('{"seed": 0, "new": 1}')
    writer = open_finished(runs[ROW])
    calls, call = [], writer._call

    def die(request):
        if len(calls) == 1 + killed_at:  # the first one reads
            raise KeyboardInterrupt
        calls.append(request)
        return call(request)

    monkeypatch.setattr(writer, "_call", die)
    for add in (lambda: writer.log_metrics({"step_time_ratio": 0.25}), lambda: writer.log_file(added)):
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            add()
        (run,) = reader.runs(ablation=ROW)
        assert reader.certificate(run) is not None
    open_finished(runs[ROW]).log_metrics({"step_time_ratio": 0.75})
    (run,) = reader.runs(ablation=ROW)
    assert run.metrics["step_time_ratio"] == 0.75 and capsys.readouterr().err == ""


def test_what_anyone_else_adds_is_no_damage(runs, store_file):
    """Notes, tags and metrics of a user's own are none of what was stored."""
    from experiments.store.connection import import_mlflow
    from experiments.store.locate import locate

    client = import_mlflow().MlflowClient(tracking_uri=locate().uri)
    client.set_tag(runs[ROW], "mlflow.note.content", "a good one")
    client.set_tag(runs[ROW], "paper", "figure 3")
    client.log_metric(runs[ROW], "human_score", 4.5)
    (run,) = reader.runs(ablation=ROW)
    assert run.verified and run.metrics["human_score"] == 4.5


def test_damage_is_told_once_a_command(capsys):
    """And again by the next one."""
    for _ in range(2):
        damage.forget()
        damage.tell("a file")
        damage.tell("a file")
        assert capsys.readouterr().err == "a file\n"


def test_every_format_is_made_of_a_table_with_a_broken_row(runs, store_file):
    """A row whose files are damaged is said to be, in each."""
    flip(file_of(store_file, runs[ROW], "predictions/coco.parquet"))
    stored = Table.load("tiny")
    assert ROW in stored.broken and all(as_text(stored, format_) for format_ in FORMATS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store with a trained baseline in it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        assert run_here(*QUICK) == 0
    return folder


@pytest.fixture
def trained_store(trained, store_file):
    """A copy of it, which this test's store is."""
    shutil.copytree(trained, store_file.parent, dirs_exist_ok=True)
    (run,) = reader.runs()
    return run


def test_a_row_beside_a_damaged_certificate_is_stored_and_the_hint_repairs_it(trained_store, store_file, capsys):
    """It trains once, says that it has no certificate to be compared with, and is compared when there is one."""
    file_of(store_file, trained_store.run_id, CERTIFICATE_FILE).write_bytes(b"")
    command = (*QUICK, f"ablation={ROW}")
    assert run_here(*command) == 0
    out, err = capsys.readouterr()
    assert "NOT PAIRED: no certificate is stored" in out and f"{CERTIFICATE_FILE} of run {trained_store.run_id}" in err
    first = {run.run_id for run in reader.runs()}
    hint = next(line for line in err.splitlines() if line.startswith("hint: python -m experiments.run"))
    words = shlex.split(hint.removeprefix("hint: python -m experiments.run ").removesuffix(" makes it again"))
    assert run_here(*words) == 0
    assert run_here(*command) == 0
    out, err = capsys.readouterr()
    assert "\npaired: " in out and CERTIFICATE_FILE not in err
    assert len({run.run_id for run in reader.runs()} - first) == 1


@pytest.mark.parametrize("spoil", [flip, lambda file: file.write_bytes(b"")])
def test_a_damaged_donor_is_passed_over(spoil, trained_store, store_file, capsys):
    """Told of; the job trains itself, to the same weights."""
    weights = file_of(store_file, trained_store.run_id, WEIGHTS_FILE)
    content = weights.read_bytes()
    spoil(weights)
    assert run_here(*QUICK, "eval.shots=0") == 0
    err = capsys.readouterr().err
    assert f"{WEIGHTS_FILE} of run {trained_store.run_id}" in err and "trained the same" not in err
    made = reader.runs()[0]
    assert made.run_id != trained_store.run_id
    assert file_of(store_file, made.run_id, WEIGHTS_FILE).stat().st_size == len(content)


def test_damaged_predictions_of_the_baseline_cost_no_row_its_scores(runs, store_file, capsys):
    """Rows keep everything but the interval over examples; what is named is the baseline, with its command."""
    whole, _ = reported(capsys, "--format", "json")
    flip(store_file.parent / "artifacts" / runs["baseline"] / "artifacts" / "predictions" / "coco.parquet", 40)
    out, err = reported(capsys, "--format", "json")
    before, after = ({row["row"]: row for row in json.loads(text)["rows"]} for text in (whole, out))
    assert after[ROW]["n"] == 1 and after[ROW]["overall"]["difference"] == before[ROW]["overall"]["difference"]
    assert before[ROW]["overall"]["low"] is not None and after[ROW]["overall"]["low"] is None
    assert runs["baseline"] in err and "python -m experiments.run scale=tiny seed=0 rerun=true" in err


def test_a_file_that_another_command_adds_to_meanwhile_is_not_damaged(runs, tmp_path, capsys):
    """A run that was listed before its certificate got its comparison is asked again what its files are."""
    listed = next(run for run in reader.runs() if run.run_id == runs[ROW])
    certificate = reader.certificate(listed)
    certificate["against"] = {"run_id": runs["baseline"], "equal": [], "declared": [], "unexpected": []}
    (tmp_path / CERTIFICATE_FILE).write_text(dumps(certificate))
    open_finished(runs[ROW]).log_file(tmp_path / CERTIFICATE_FILE)
    assert reader.certificate(listed) == certificate
    assert capsys.readouterr().err == ""


def test_a_run_that_is_finished_stays_so(runs):
    """Whatever goes wrong after its end, or whoever thought that its process was gone."""
    writer = reopen_run(runs[ROW])
    writer.end_unfinished("KILLED")
    assert next(run for run in reader.runs() if run.run_id == runs[ROW]).status == "FINISHED"
