"""docs/components.md, followed to the letter in a folder of one's own."""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from experiments.analysis.table import build
from experiments.common.checkout import ROOT
from experiments.common.problems import UserError
from experiments.spec.identity import component_files
from experiments.spec.spec import make_spec
from experiments.store import reader
from flamingo_core import registry
from tests.docs.page import blocks, of_components
from tests.experiments.commands import QUICK, run_here, tiny_spec

MODULE, ROW, TEST = "my/module.py", "my_conf/ablation/my_row.yaml", "my/test_module.py"
CONTRACTS = {"resampler": "ResamplerContract", "xattn": "XattnContract", "vision": "VisionContract"}


def read_page() -> tuple[dict[str, dict[str, str]], list[str]]:
    """The files of each slot's example by the path that the page gives them, and the commands in their order."""
    files: dict[str, dict[str, str]] = {}
    found: list[dict[str, str]] = []
    commands = []
    for path, text in blocks(of_components()):
        if path == "bash":
            commands.append(text)
            continue
        if path == MODULE:
            found.append({})
        found[-1][path] = text
    for example in found:
        (slot,) = yaml.safe_load(example[ROW])["model"]
        files[slot] = example
    return files, commands


EXAMPLES, (RUN, PROVE) = read_page()
WORDS = shlex.split(RUN.removeprefix("python -m experiments.run"))


def lay(folder: Path, files: dict[str, str]) -> Path:
    """Write files where the page says."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def shell(command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command as it stands on the page, in a shell whose `python` is the one of these tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(["bash", "-c", command], cwd=cwd, env=environment, capture_output=True, text=True)


@contextlib.contextmanager
def standing_in(folder: Path):
    """In a folder whose modules can be imported; what they register is forgotten afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for slot in registry.SLOTS:
            registry.names(slot)
            patch.setitem(registry._components, slot, dict(registry._components[slot]))
        for name in ("my", "my.module"):
            patch.delitem(sys.modules, name, raising=False)
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        yield
        for name in ("my", "my.module"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def followed(tmp_path_factory, empty_database):
    """All three examples, each in a folder of its own, against one store; what each printed and its folder, by slot.

    By the words of the page in this process; in a shell the README's example of the same steps is run.
    """
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    shutil.copy(empty_database, file)
    printed, folders = {}, {}
    for slot, example in EXAMPLES.items():
        folder = folders[slot] = lay(tmp_path_factory.mktemp(slot), example)
        out = io.StringIO()
        with standing_in(folder), pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
            patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
            assert run_here(*WORDS, *QUICK) == 0
        printed[slot] = out.getvalue()
    return file, printed, folders


@pytest.fixture
def runs(followed, monkeypatch):
    """The baseline and the rows of that store; a row by its slot."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{followed[0]}")
    found = {"baseline" if run.row == "baseline" else changed_slot(run): run for run in reader.runs()}
    assert len(found) == len(reader.runs(status=None))
    return found


def changed_slot(run) -> str:
    """The slot that the stored spec declares to be changed."""
    chosen = {slot: run.params[f"model.{slot}.name"] for slot in CONTRACTS}
    baseline = {"resampler": "perceiver", "xattn": "gated", "vision": "nfnet_f6"}
    (slot,) = (slot for slot in chosen if chosen[slot] != baseline[slot])
    return slot


def test_there_is_an_example_for_each_slot():
    """A resampler, a block and an encoder, each a module and a YAML."""
    assert EXAMPLES.keys() == CONTRACTS.keys()
    assert all({MODULE, ROW} <= files.keys() for files in EXAMPLES.values())


@pytest.mark.parametrize("slot", EXAMPLES)
def test_the_three_steps_store_a_paired_run_with_its_origin(slot, runs):
    """Trained, evaluated, certified against one baseline; the tag says which module it came from."""
    assert runs.keys() == {"baseline", *EXAMPLES}
    row, baseline = runs[slot], runs["baseline"]
    assert row.tags["components"] == "my.module"
    assert (row.tags["ablation"], row.tags["group"]) == ("my_row", "my_row")
    assert row.tags["baseline_hash"] == baseline.tags["spec_hash"]
    assert row.metrics["step_time_ratio"] > 0
    against = reader.certificate(row)["against"]
    assert against["unexpected"] == []
    assert {"prompts", "data"} <= set(against["equal"])


@pytest.mark.parametrize("slot", EXAMPLES)
def test_help_lists_a_component_where_its_module_is_named(slot, tmp_path, capsys):
    """Beside those of the slot that there are; the first comment of its row's YAML is there too."""
    chosen = yaml.safe_load(EXAMPLES[slot][ROW])["model"][slot]["name"]
    with standing_in(lay(tmp_path, EXAMPLES[slot])):
        assert run_here("--help", "components=[my.module]", "--config-dir", "my_conf") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(f"  model.{slot}.name="))
    assert line.endswith(f", {chosen}")


@pytest.mark.parametrize("slot", EXAMPLES)
def test_what_is_printed_has_no_published_row(slot, followed, runs):
    """The paper's baseline stands there alone, and the table's object says null."""
    lines = followed[1][slot].splitlines()
    assert lines[0].startswith("my_row against baseline")
    assert [line.split()[1] for line in lines if line.startswith("published ")] == ["baseline"]
    assert any(line.startswith("paired: ") for line in lines)
    ours = build.build([runs["baseline"], runs[slot]], scale=runs[slot].tags["scale"], seeds=[0])["rows"][-1]
    assert (ours["row"], ours["certificate"]) == ("my_row", "equal")
    assert set(ours["published"].values()) == {None}


def test_what_is_printed_as_next_can_be_pasted(followed, runs, tmp_path, capsys):
    """Modules and the YAMLs' folder are in it; only the modules' own folder has to be that of before."""
    _, printed, folders = followed
    (command,) = [line.removeprefix("next: ") for line in printed["xattn"].splitlines() if line.startswith("next: ")]
    words = [*shlex.split(command.removeprefix("python -m experiments.run ")), "--cfg", "job", "--json"]
    with standing_in(tmp_path):
        assert run_here(*words) == 2
    assert "`components` is `my.module`" in capsys.readouterr().err
    with standing_in(tmp_path), pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folders["xattn"]))
        assert run_here(*words) == 0
    assert [job["seed"] for job in json.loads(capsys.readouterr().out)["jobs"]] == [1, 2, 3, 4]
    assert runs["xattn"].tags["config_dir"] == str(folders["xattn"] / "my_conf")
    assert "config_dir" not in runs["baseline"].tags


def test_each_example_keeps_the_contract_of_its_slot(tmp_path):
    """The page's own test by the page's command, and beside it the same for the two other slots."""
    files = {MODULE: EXAMPLES["resampler"][MODULE], TEST: EXAMPLES["resampler"][TEST]}
    choices = {slot: yaml.safe_load(example[ROW])["model"][slot] for slot, example in EXAMPLES.items()}
    written = f"return {choices['resampler']!r}".replace("'", '"')
    assert written in files[TEST], "the page's test is of the page's row"
    for slot in CONTRACTS.keys() - {"resampler"}:
        test = files[TEST].replace("ResamplerContract", CONTRACTS[slot]).replace("my.module", f"my.{slot}")
        files[f"my/test_{slot}.py"] = test.replace(written, f"return {choices[slot]!r}")
        files[f"my/{slot}.py"] = EXAMPLES[slot][MODULE]
    others = " ".join(f"$MINE/my/test_{slot}.py" for slot in CONTRACTS if slot != "resampler")
    done = shell(f"{PROVE} {others} -v -p no:cacheprovider", ROOT, MINE=str(lay(tmp_path, files)))
    assert done.returncode == 0, done.stdout
    for name in ("module", "xattn", "vision"):
        assert len(re.findall(rf"my/test_{name}\.py::\S+ PASSED", done.stdout)) >= 10, done.stdout


def taking(name: str) -> str:
    """The page's resampler under a name of ours."""
    return EXAMPLES["resampler"][MODULE].replace('"mean", config', f'"{name}", config')


REFUSED = {
    "no such module": (None, ["`components` is `my.module`", "ModuleNotFoundError", "PYTHONPATH"]),
    "it imports what is not there": ("import no_such_thing", ["`components` is `my.module`", "no_such_thing"]),
    "it cannot be parsed": ("def", ["`components` is `my.module`", "SyntaxError"]),
    "its name is taken": (taking("perceiver"), ["`components`", "`perceiver` is registered twice: Perceiver, Mean"]),
    "its name is another": (taking("median"), ["`model.resampler.mean.num_tokens`", "no such key", "median"]),
    "its slot is none": (
        EXAMPLES["resampler"][MODULE].replace('register("resampler"', 'register("resampeler"'),
        ["slot is `resampeler`; allowed: vision, resampler, xattn, lm"],
    ),
    "its config is none": (
        EXAMPLES["resampler"][MODULE].replace("config=MeanConfig", "config=None"),
        ["resampler `mean`: its config is `None`; allowed: a dataclass of plain values"],
    ),
    "its config is no dataclass": (
        EXAMPLES["resampler"][MODULE].replace("config=MeanConfig", "config=dict"),
        ["resampler `mean`: its config is `dict`; allowed: a dataclass of plain values"],
    ),
    "its config is frozen": (
        EXAMPLES["resampler"][MODULE].replace("slots=True)", "frozen=True)"),
        ["resampler `mean`: its config `MeanConfig` is frozen", "allowed: a dataclass of plain values"],
    ),
    "its config holds what YAML does not": (
        EXAMPLES["resampler"][MODULE].replace("num_tokens: int ", "num_tokens: torch.Tensor "),
        ["resampler `mean`: its config `MeanConfig` cannot be read from YAML", "allowed: a dataclass of plain values"],
    ),
    "its config names no type": (
        EXAMPLES["resampler"][MODULE].replace("num_tokens: int ", "num_tokens: 'Nope' "),
        ["resampler `mean`: its config `MeanConfig` cannot be read from YAML", "'Nope' is not defined"],
    ),
    "it cannot be built": (
        EXAMPLES["resampler"][MODULE].replace("out_width: int)", "width: int)"),
        ["cannot be built", "out_width", "my_row"],
    ),
}


@pytest.fixture
def at_home(tmp_path):
    """A folder to stand in."""
    with standing_in(tmp_path):
        yield tmp_path


@pytest.mark.parametrize("case", REFUSED)
def test_a_component_that_cannot_be_had_is_refused(case, store_file, at_home, capsys):
    """Exit 2, what is wrong with a hint, no traceback, and nothing stored."""
    module, said = REFUSED[case]
    lay(at_home, {ROW: EXAMPLES["resampler"][ROW], **({MODULE: module} if module is not None else {})})
    assert run_here(*WORDS) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert all(text in output.err for text in said), output.err
    assert "hint: " in output.err and "Traceback" not in output.err
    assert reader.runs(status=None) == []


def test_a_taken_name_is_refused_in_a_new_process_too(tmp_path):
    """There the stranger comes first, and ours is what would be the second of its name."""
    done = shell(RUN, lay(tmp_path, {ROW: EXAMPLES["resampler"][ROW], MODULE: taking("perceiver")}))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: resampler `perceiver` is registered twice: Mean, Perceiver\nhint: ")


def test_a_row_without_its_component_is_refused(store_file, at_home, capsys):
    """Without `components=` the YAML's name is unknown, and the nearest there is gets named."""
    lay(at_home, EXAMPLES["resampler"])
    assert run_here("ablation=my_row", "--config-dir", "my_conf") == 2
    assert "`model.resampler.mean.num_tokens` is `4`, but there is no such key" in capsys.readouterr().err


def test_an_edited_module_is_another_spec(at_home):
    """The file of the class counts, for the row alone, and what it imports; a file beside it does not, nor do ours."""
    typed = ("ablation=my_row", "components=[my.module]")

    def hashes():
        spec = make_spec(*typed, config_dir=at_home / "my_conf")
        return spec.hash, spec.train_hash, spec.baseline_hash

    lay(at_home, EXAMPLES["resampler"])
    before = hashes()
    lay(at_home, {"my/other.py": "SIZE = 3\n"})
    assert hashes() == before
    lay(at_home, {MODULE: EXAMPLES["resampler"][MODULE] + "# changed\n"})
    after = hashes()
    assert after[0] != before[0] and after[1] != before[1]
    assert after[2] == before[2] == make_spec().hash
    assert component_files(make_spec("ablation=resampler_mlp").model) == {}
    assert set(component_files(make_spec(*typed, config_dir=at_home / "my_conf").model)) == {"model.resampler.name"}
    lay(at_home, {MODULE: EXAMPLES["resampler"][MODULE] + "\n\ndef size():\n    from my.other import SIZE\n"})
    with_other = hashes()
    lay(at_home, {"my/other.py": "SIZE = 4\n"})
    edited = hashes()
    assert len({before[0], after[0], with_other[0], edited[0]}) == 4 and edited[2] == before[2]


def test_a_class_in_no_file_is_refused(at_home):
    """Typed into a session, it could change with no one able to say what ran."""
    exec(EXAMPLES["resampler"][MODULE], {"__name__": "typed"})
    lay(at_home, {ROW: EXAMPLES["resampler"][ROW]})
    with pytest.raises(UserError, match=r"`model\.resampler\.name` is `mean`; allowed: .* in a file"):
        make_spec("ablation=my_row", config_dir=at_home / "my_conf")


def test_a_declared_name_covers_its_branch_and_scales_can_fill_it(at_home):
    """Its keys take overrides, another scale's file can hold its sizes, and hashes follow all of them."""
    lay(at_home, EXAMPLES["resampler"])
    typed = ("ablation=my_row", "components=[my.module]")
    plain = tiny_spec(*typed, config_dir=at_home / "my_conf")
    more = tiny_spec(*typed, "model.resampler.mean.num_tokens=8", config_dir=at_home / "my_conf")
    assert plain.model["resampler"] == {"name": "mean", "mean": {"num_tokens": 4, "max_frames": 8}}
    assert more.model["resampler"]["mean"]["num_tokens"] == 8
    assert plain.baseline_hash == more.baseline_hash == tiny_spec().hash
    assert len({plain.hash, more.hash, plain.baseline_hash}) == 3
    both = tiny_spec("ablation=[my_row,xattn_every_4th]", typed[1], config_dir=at_home / "my_conf")
    assert (both.name, both.group) == ("xattn_every_4th+my_row", "combination")

    sizes = "    mean: {num_tokens: 4, max_frames: 8}\n"
    scale = "# @package _global_\ndefaults: [tiny, _self_]\nmodel:\n  resampler:\n" + sizes.replace("4", "5")
    row = EXAMPLES["resampler"][ROW]
    assert sizes in row
    lay(at_home, {ROW: row.replace(sizes, ""), "my_conf/scale/my_scale.yaml": scale})
    scaled = make_spec(*typed, "scale=my_scale", config_dir=at_home / "my_conf")
    assert scaled.model["resampler"]["mean"]["num_tokens"] == 5
    assert scaled.baseline_hash == plain.baseline_hash
