"""What comes from outside is data: no pickle, no code, no shell, no path out of its folder."""

import ast
import json
from pathlib import Path

import pytest

from experiments.common.checkout import ROOT
from experiments.data.world.scenes import parse_id
from experiments.store import reader
from experiments.store.error import CACHE_VARIABLE, URI_VARIABLE
from experiments.store.stored_run import StoredRun
from tests.experiments.commands import run_here
from tests.experiments.stored_runs import answers

OURS = [path for folder in ("experiments", "flamingo_core", "dashboard") for path in (ROOT / folder).rglob("*.py")]
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "dbm"}
UNSAFE_CALLS = {
    *("eval", "exec", "compile", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load"),
    *("torch.save", "pd.read_pickle", "shutil.unpack_archive"),
}
UNSAFE_METHODS = {"extractall", "to_pickle", "read_pickle"}


def name_of(node: ast.expr) -> str:
    """`a.b.c` of an expression; empty where it is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = name_of(node.value)
        return f"{base}.{node.attr}" if base else node.attr
    return ""


def unsafe(source: str) -> list[str]:
    """A module that does what it should not."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in UNSAFE_MODULES]
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES:
            found.append(node.module or "")
        if not isinstance(node, ast.Call):
            continue
        called, named = name_of(node.func), {word.arg: word.value for word in node.keywords}
        value = {key: getattr(given, "value", None) for key, given in named.items()}
        if called in UNSAFE_CALLS or called.rpartition(".")[2] in UNSAFE_METHODS:
            found.append(called)
        if called == "torch.load" and value.get("weights_only") is not True:
            found.append("torch.load without weights_only=True")
        if value.get("shell") is True or value.get("allow_pickle") is True or value.get("trust_remote_code") is True:
            found.append(f"{called} with {sorted(named)}")
    return found


@pytest.mark.parametrize(
    "bad",
    [
        "import pickle",
        "from cloudpickle import dumps",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "yaml.load(text)",
        "subprocess.run(words, shell=True)",
        "numpy.load(file, allow_pickle=True)",
        "eval(text)",
        "tarfile.open(file).extractall(folder)",
    ],
)
def test_the_search_finds_what_it_looks_for(bad: str) -> None:
    """Each of them, in one line."""
    assert unsafe(bad)


def test_no_pickle_no_code_no_shell() -> None:
    """Nothing that is read is run: not in the core, the commands or the dashboard."""
    assert {str(path.relative_to(ROOT)): unsafe(path.read_text()) for path in OURS if unsafe(path.read_text())} == {}
    assert len(OURS) > 80


def a_run(run_id: str, artifact_uri: str) -> StoredRun:
    return StoredRun(run_id, "FINISHED", 0, 0, artifact_uri, {}, {}, {})


@pytest.mark.parametrize("run_id", ["../../outside", "/etc", "a/b", "..", "", "a\0b"])
def test_a_servers_word_for_a_run_is_no_path(run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is made or asked for."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv(URI_VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(ValueError, match="not the id of a run"):
        reader.artifact(a_run(run_id, "mlflow-artifacts:/1"), "spec.yaml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "medium", ["../../../../outside", "test/coco/../../../x", "/etc/passwd", "test/coco/0/../../x", "test/../coco/1"]
)
def test_a_stored_prediction_names_no_file(medium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture's file is named by its medium: one that is no medium makes no file, wherever it points."""
    from experiments.command import tables

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="no medium"):
        parse_id(medium)
    from tests.experiments.commands import tiny_spec

    spec, written = tiny_spec(), []
    monkeypatch.setattr(
        "experiments.analysis.formats.terminal.printed_row",
        lambda *a, picture_file: written.append(picture_file("coco", medium)),
    )
    monkeypatch.setattr("experiments.analysis.table.build.build", lambda *a, **b: {})
    with pytest.raises(ValueError, match="no medium"):
        tables.printed(spec, a_run("a", ""), None)
    assert list(tmp_path.iterdir()) == [] and written == []


HOSTILE = "x'; touch hacked; echo $(touch hacked) `touch hacked` \x1b]0;title\x07 <script>alert(1)</script>"


def test_a_hostile_answer_is_printed_as_text(store_run, capsys: pytest.CaptureFixture[str]) -> None:
    """Terminal control characters in what was stored do not reach the terminal."""
    frame = answers([10.0, 90.0])
    for column in ("answer", "blind_answer", "prompt"):
        frame[column] = HOSTILE
    store_run("baseline", predictions={"vqav2": frame})
    (run,) = reader.runs()
    from experiments.analysis.formats.terminal import printed_row
    from experiments.analysis.table.build import build

    text = printed_row(build([run], scale="tiny", seeds=[0]), run, None, picture_file=lambda *_: Path("picture.png"))
    assert "touch hacked" in text and "\x1b" not in text and "\x07" not in text


def test_yaml_with_python_objects_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of one's own that asks for a Python call gets none: exit 2, nothing run."""
    folder = tmp_path / "ablation"
    folder.mkdir()
    target = tmp_path / "hacked"
    (folder / "evil.yaml").write_text(
        "# @package _global_\nchanges: {evil: [train.lr]}\n"
        f"train: {{lr: !!python/object/apply:os.mkdir ['{target}']}}\n"
    )
    assert run_here("--config-dir", str(tmp_path), "ablation=evil", "scale=tiny") == 2
    assert not target.exists() and "Traceback" not in capsys.readouterr().err


def test_a_list_of_waiting_results_names_no_file_outside(tmp_path: Path) -> None:
    """Files are read from the results' own folder, not from what the list says: another name is damage."""
    from experiments.jobs.outbox import LIST_FILE, Waiting

    (tmp_path / "results").mkdir()
    said = {
        **{"run_id": "a", "server": None, "git": {"commit": "", "dirty": ""}, "losses": {}, "metrics": {}},
        "files": {"../../outside": "0" * 64},
        "spec": {
            **{"tree": {}, "scale": "tiny", "name": "baseline", "group": "baseline", "seed": 0, "overrides": []},
            **{"hash": "a", "train_hash": "a", "baseline_hash": "a", "config_dir": None},
        },
    }
    (tmp_path / LIST_FILE).write_text(json.dumps(said))
    with pytest.raises(ValueError, match="outside"):
        Waiting.read(tmp_path)
