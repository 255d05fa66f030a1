"""YAML of one's own: what is no plain keys and values is refused at once, by one message with file and line."""

from pathlib import Path

import pytest
import yaml

from experiments.command.cli import main
from experiments.common.problems import UserError
from experiments.common.yaml_file import MAX_DEPTH, MAX_VALUES, checked_text, read
from experiments.pretraining import parts
from experiments.run import run
from experiments.spec.spec import make_spec
from experiments.spec.yaml_files import CONF, known

TENFOLD = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
NESTED = [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 3000)]

# What stands in the file after its header, then the line that is named and what is said of it.
REFUSED = {
    "recursive anchor": ("train: &a\n  lr: *a\n", 2, "holds itself"),
    "recursive list": ("data:\n  mixture: &a [m3w, *a]\n", 3, "holds itself"),
    "recursion over two": ("train: &a\n  x: &b\n    y: *a\n    z: *b\n", 2, "holds itself"),
    "anchor bomb": ("\n".join(["a0: &a0 [lol]", *TENFOLD]), 6, f"more than {MAX_VALUES:,} values"),
    "nested by anchors": ("\n".join(["a0: &a0 [lol]", *NESTED]), MAX_DEPTH + 1, "levels deep"),
    "nested lists": (f"train: {'[' * 100_000}", 2, "levels deep"),
    "many values": (f"train: [{'1,' * 200_000}]", 2, "values"),
    "a key twice": ("train:\n  lr: 1\n  steps: 2\n  lr: 3\n", 5, "`lr` stands here again, first in line 3"),
    "a section twice": ("train: {lr: 1}\n\ntrain: {lr: 2}\n", 4, "`train` stands here again, first in line 2"),
    "a name twice": ("changes: {2048: [train.lr], '2048': [train.lr]}\n", 2, "`2048` stands here again"),
    "a list as a key": ("? [a, b]\n: 1\n", 2, "a key is a list"),
    "a list": ("- train\n", 2, "not YAML of keys and values"),
    "a word": ("train\n", 2, "not YAML of keys and values"),
    "two documents": ("train: {lr: 1}\n---\ntrain: {lr: 2}\n", 3, "another document"),
    "a call": ("train: !!python/object/apply:os.system ['true']\n", 2, "not a plain value"),
    "a path": ("train: !!python/object/apply:pathlib.Path ['/']\n", 2, "not a plain value"),
    "a set": ("train: !!set {a, b}\n", 2, "not a plain value"),
    "an endless number": (f"train:\n  lr: {'1' * 5000}\n", 3, "5000 digits"),
    "half a number": ("train:\n  lr: 0x_\n", 3, "invalid literal"),
    "nothing there": ("train: *there\n", 2, "undefined alias 'there'"),
    "a tab": ("train:\n\tlr: 1\n", 3, "found character '\\t'"),
    "an open bracket": ("train: {lr: 1\n", 3, "expected ',' or '}'"),
    "a control character": ("train:\n  lr: \x1b[31m\n", 3, "'\\x1b'"),
    "no text": (b"train:\n  lr: \xe9\n", 3, "not UTF-8"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("chosen", ["ablation", "scale"])
def test_it_is_one_message_with_file_and_line(
    case: str, chosen: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, in no time, whichever command names the file; nothing of it is built before."""
    content, line, said = REFUSED[case]
    file = tmp_path / chosen / "mine.yaml"
    file.parent.mkdir()
    file.write_bytes(b"# @package _global_\n" + (content if isinstance(content, bytes) else content.encode()))
    assert main(run, ["--config-dir", str(tmp_path), f"{chosen}=mine"]) == 2
    out, err = capsys.readouterr()
    error, hint = err.splitlines()
    assert (
        out == "" and error.startswith(f"error: {file}, line {line}: ") and said in error and hint.startswith("hint: ")
    )


def test_a_file_that_another_one_names_is_read_the_same_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hydra itself follows `defaults`, and reads what it finds as we do."""
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [below]\nchanges: {mine: [train.lr]}\n"
    )
    below = tmp_path / "ablation" / "below.yaml"
    below.write_text("# @package _global_\ntrain: &a\n  lr: *a\n")
    assert main(run, ["--config-dir", str(tmp_path), "ablation=mine", "scale=tiny"]) == 2
    assert f"error: {below}, line 2: " in capsys.readouterr().err


def test_a_file_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    """A megabyte is no spec."""
    file = tmp_path / "large.yaml"
    file.write_text("a: 1\n" + "#" * 2_000_000)
    with pytest.raises(UserError, match="larger than"):
        read(file)


def test_our_own_files_say_what_yaml_says() -> None:
    """Reading is YAML's, for us and for Hydra, but for the names in `changes`."""
    for file in sorted(CONF.rglob("*.yaml")):
        plain = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert read(file) == plain == yaml.safe_load(checked_text(file)), file


def test_anchors_of_a_sane_size_are_read(tmp_path: Path) -> None:
    """Aliases and merges are YAML's own way not to say things twice; a day is text."""
    file = tmp_path / "anchors.yaml"
    file.write_text("a: &a {x: 1, y: [2]}\nb: *a\nc:\n  <<: *a\n  x: 2026-11-28\nchanges: {null: [a], 1e3: [b]}\n")
    expected = {
        **{"a": {"x": 1, "y": [2]}, "b": {"x": 1, "y": [2]}, "c": {"x": "2026-11-28", "y": [2]}},
        "changes": {"null": ["a"], "1e3": ["b"]},
    }
    assert read(file) == expected == {**yaml.safe_load(checked_text(file))}


def test_a_recipe_is_read_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the parts that are made before a scale."""
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text("llama: {steps: 1}\nllama: {steps: 2}\n")
    monkeypatch.setattr(parts, "scales", lambda: {"tiny": recipe})
    with pytest.raises(UserError, match=r"tiny\.yaml, line 2: the key `llama` stands here again"):
        parts.parts_of("tiny")


def test_only_files_are_choices_and_help_shows_their_comments_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder or a link to nothing is no choice; a comment cannot act on the terminal."""
    folder = tmp_path / "ablation"
    (folder / "a_folder.yaml").mkdir(parents=True)
    (folder / "a_link.yaml").symlink_to("nowhere")
    (folder / "mine.yaml").write_bytes(b"# \x1b]0;owned\x07 \xff mine\n")
    assert set(known("ablation", tmp_path)) - set(known("ablation")) == {"mine"}
    assert main(run, ["--help", "--config-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "\\x1b]0;owned\\x07" in out and "\x1b" not in out and "a_folder" not in out


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_it(tmp_path: Path) -> None:
    """Some editors write one: the first line is what stands there."""
    (tmp_path / "ablation").mkdir()
    text = "# @package _global_\nchanges: {mine: [train.steps]}\ntrain: {steps: 7}\n"
    (tmp_path / "ablation" / "mine.yaml").write_text(text, encoding="utf-8-sig")
    assert make_spec("ablation=mine", "scale=tiny", config_dir=tmp_path).train.steps == 7
