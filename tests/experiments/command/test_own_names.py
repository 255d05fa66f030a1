"""Whatever a file of one's own is called within the rule for names: it is chosen by that name, as it is typed."""

import shlex
from pathlib import Path

import pytest

from experiments.command.cli import RUN_FLAGS, TABLE_FLAGS, main, read_run, split_flags
from experiments.command.rows import wanted
from experiments.common.problems import Problem
from experiments.run import run
from experiments.spec.overrides import parse
from experiments.spec.spec import make_specs
from experiments.spec.yaml_files import CONF, chosen_ablations, known
from experiments.store.commands import command

# What Hydra's grammar, YAML or a shell takes for a number, a word of its own, or a flag.
NAMES = [
    *(
        "2048",
        "007",
        "0",
        "-5",
        "1_000",
        "1e3",
        "1E3",
        "-1e3",
        "0x10",
        "0b1",
        "inf",
        "-inf",
        "nan",
        "NaN",
        "2026-11-28",
    ),
    *("true", "True", "false", "yes", "no", "on", "off", "y", "null", "Null", "NULL", "none", "None"),
    *("_", "-", "--", "--json", "-m", "__", "_self_", "_global_", "_here_", "_target_", "schema", "config", "hydra"),
    *("choice", "range", "override", "optional", "ablation", "scale", "changes", "a", "A"),
]
LR = {name: round(0.02 + place / 1000, 3) for place, name in enumerate(NAMES)}
FILE = """# @package _global_
changes:
  {name}: [train.lr]
train:
  lr: {lr}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a row of each name, and a scale; each changes the learning rate to its own."""
    for folder in ("ablation", "scale"):
        (tmp_path / folder).mkdir()
    for name in NAMES:
        key = f'"{name}"' if name in ("-", "--") else name  # a dash begins a list, in YAML
        (tmp_path / "ablation" / f"{name}.yaml").write_text(FILE.format(name=key, lr=LR[name]))
    for name in ("1e3", "null"):
        (tmp_path / "scale" / f"{name}.yaml").write_text((CONF / "scale" / "tiny.yaml").read_text())
    return tmp_path


def rows_of(typed: str, *, sweeps: bool = False) -> list[tuple[str, ...]]:
    """The rows that `ablation=` of this value means, where all of `NAMES` are rows."""
    problems: list[Problem] = []
    (override,) = parse([f"ablation={typed}"], sweeps=sweeps, keys=(), problems=problems)
    chosen = [chosen_ablations(value, [*NAMES, "resampler_mlp"], problems) for value in override.values]
    assert not problems
    return chosen


def test_a_name_is_chosen_as_it_is_typed() -> None:
    """Alone, in a list, in a sweep, in quotes, with spaces: the text is the name."""
    for name in NAMES:
        for typed in (name, f"[{name}]", f'"{name}"', f"'{name}'", f"['{name}']", f" {name} "):
            assert rows_of(typed) == [(name,)], typed
        assert rows_of(f"[{name}, resampler_mlp]") == [(name, "resampler_mlp")]
    for typed in (",".join(NAMES), ", ".join(NAMES), f"choice({','.join(NAMES)})"):
        assert rows_of(typed, sweeps=True) == [(name,) for name in NAMES]
    assert rows_of("[2048,null],true", sweeps=True) == [("2048", "null"), ("true",)]


def test_what_a_table_prints_runs_that_row() -> None:
    """Round trip: the command of each row, typed in a shell, means that row, alone and in combinations."""
    for name in [*NAMES, *(f"{name}+resampler_mlp" for name in NAMES), "2048+null+true"]:
        words = shlex.split(command(name, scale="1e3", seeds=[0], config_dir="a folder"))[3:]
        problems: list[Problem] = []
        flags, overrides = split_flags(words, RUN_FLAGS, problems)
        assert flags == {"--config-dir": "a folder"} and overrides[1:] == ["scale=1e3", "seed=0"] and not problems
        assert rows_of(overrides[0].removeprefix("ablation=")) == [tuple(name.split("+"))]


def test_rows_and_scales_of_such_names_are_composed(own: Path) -> None:
    """All the way to a spec: its file is the one that was read, its name that of the file, its baseline without it."""
    some = ["2048", "1e3", "true", "null", "007", "2026-11-28", "_self_", "_global_", "-"]
    specs = make_specs([f"ablation={','.join(some)}", "scale=null"], sweeps=True, config_dir=own)
    expected = [("null", name, pytest.approx(LR[name])) for name in some]
    assert [(spec.scale, spec.name, spec.train.lr) for spec in specs] == expected
    assert {spec.baseline.train.lr for spec in specs} == {0.01}
    (pair,) = make_specs(["ablation=[xattn_every_4th,2048]", "scale=1e3"], config_dir=own)
    assert pair.name == "xattn_every_4th+2048" and pair.scale == "1e3"


def test_a_name_that_a_flag_takes_may_begin_with_a_dash(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--rows -5,1e3` are two rows; what is spelled as a flag is one."""
    monkeypatch.setattr("experiments.spec.yaml_files.known", lambda group, folder=None: known(group, own))
    asked: list[list[str]] = []
    monkeypatch.setattr("experiments.spec.sweep.parse_sweep", lambda arguments, **_: asked.append(arguments) or [])
    problems: list[Problem] = []
    wanted("-5,2048,null", 1, 1, [], problems)
    assert problems == [] and asked[0][0] == "ablation=baseline,-5,2048,null"
    assert split_flags(["--rows", "-5,1e3", "x"], TABLE_FLAGS, problems) == ({"--rows": "-5,1e3"}, ["x"])
    split_flags(["--rows", "--seeds", "2"], TABLE_FLAGS, problems)
    assert [problem.key for problem in problems] == ["--rows"]


def test_other_values_are_read_as_before() -> None:
    """A number of any other key is a number; what is no name is left to the grammar, and refused with its own value."""
    problems: list[Problem] = []
    (seed,) = parse(["seed=2048"], sweeps=False, keys=(), problems=problems)
    (rows,) = parse(["ablation={a:1}"], sweeps=False, keys=(), problems=problems)
    (path,) = parse(["ablation=../a/b"], sweeps=False, keys=(), problems=problems)
    assert problems == [] and (seed.values, rows.values, path.values) == ((2048,), ({"a": 1},), ("../a/b",))


@pytest.mark.parametrize("ending", [".yml", ".YAML", ".Yml"])
def test_a_file_of_another_ending_is_hinted_at(ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no choice, because Hydra takes .yaml alone: where its name is given, and where there is nothing else."""
    for group in ("ablation", "scale"):
        (tmp_path / group).mkdir()
        (tmp_path / group / f"mine{ending}").write_text("# @package _global_\n")
    hint = f"mine{ending} to mine.yaml"
    assert main(run, ["--config-dir", str(tmp_path), "scale=tiny"]) == 2
    assert f"hint: rename {tmp_path}/ablation/{hint}" in capsys.readouterr().err
    (tmp_path / "ablation" / "other.yaml").write_text("# @package _global_\n")
    assert main(run, ["--config-dir", str(tmp_path), "ablation=mine", "scale=mine"]) == 2
    err = capsys.readouterr().err
    assert f"ablation/{hint}" in err and f"scale/{hint}" in err and err.count("error: ") == 2


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("--scale tiny", "did you mean `scale=tiny`?"),
        ("-scale tiny", "did you mean `scale=tiny`?"),
        ("scale tiny", "did you mean `scale=tiny`?"),
        ("--seed 1", "did you mean `seed=1`?"),
        ("--ablation xattn_every_4th", "did you mean `ablation=xattn_every_4th`?"),
        ("--train.lr 0.1", "did you mean `train.lr=0.1`?"),
        ("--wrokers 2", "did you mean `--workers 2`?"),
        ("--nothing_like_it 1", "a key is set without dashes, as seed=1"),
    ],
)
def test_a_key_typed_as_a_flag_is_one_mistake(typed: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One error with its value, and what to type instead."""
    assert main(lambda argv: bool(read_run(argv)), typed.split()) == 2
    error, said = capsys.readouterr().err.splitlines()
    wrong = f"unknown flag `{typed}`" if typed.startswith("-") else f"`{typed}` is not `key=value`"
    assert error.startswith(f"error: {wrong}; allowed: ") and said == f"hint: {hint}"
