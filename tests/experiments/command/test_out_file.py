"""Where a table is written: to the file that was meant, as it was, and over nothing that anyone still needs."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.command import out_file
from experiments.command.cli import main
from experiments.report import report
from flamingo_core import checkpoint

SHORT = ["scale=tiny", "--format", "brief", "--out"]
WRITERS = {"analysis": out_file.write_whole, "core": checkpoint.write_whole}

Write = Callable[[Path, bytes], None]


@pytest.fixture(params=list(WRITERS))
def write(request: pytest.FixtureRequest) -> Write:
    """Each function that writes a file whole."""
    return WRITERS[request.param]


def mode(file: Path) -> int:
    """A file's permissions."""
    return stat.S_IMODE(file.stat().st_mode)


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o644, 0o400, 0o755])
def test_a_file_keeps_its_mode(kept: int, write: Write, tmp_path: Path) -> None:
    """Neither wider nor narrower than it was."""
    file = tmp_path / "table.md"
    file.write_text("old")
    file.chmod(kept)
    write(file, b"new")
    assert (mode(file), file.read_bytes(), os.listdir(tmp_path)) == (kept, b"new", ["table.md"])


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_of_any_new_file(mask: int, write: Write, tmp_path: Path) -> None:
    """As the umask has it."""
    before = os.umask(mask)
    try:
        write(tmp_path / "table.md", b"new")
    finally:
        os.umask(before)
    assert mode(tmp_path / "table.md") == 0o666 & ~mask


def test_a_draft_is_never_wider_than_its_file(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is private is so at every moment."""
    file, seen = tmp_path / "table.md", []
    file.write_text("old")
    file.chmod(0o600)
    replace = os.replace

    def look(draft: Path, target: Path) -> None:
        seen.append(mode(draft))
        replace(draft, target)

    monkeypatch.setattr(os, "replace", look)
    write(file, b"new")
    assert seen == [0o600]


def test_a_link_goes_on_leading_to_its_file(write: Write, tmp_path: Path) -> None:
    """Over several links, to a file in another folder, and to one that is not there yet; nothing is left beside."""
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    (there / "table.md").write_text("old")
    (there / "link").symlink_to("table.md")
    for link, target in (("table.md", "link"), ("new.md", "made.md")):
        (here / link).symlink_to(there / target)
        write(here / link, b"new")
        assert (here / link).is_symlink() and (here / link).read_bytes() == b"new"
    assert (there / "link").is_symlink() and (there / "table.md").read_bytes() == b"new"
    assert sorted(os.listdir(there)) == ["link", "made.md", "table.md"] and not (there / "made.md").is_symlink()


def test_a_pipe_is_written_to(write: Write, tmp_path: Path) -> None:
    """What is no file is not replaced by one."""
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"content")
    reader.join()
    write(Path("/dev/null"), b"content")
    assert read == [b"content"] and pipe.is_fifo() and Path("/dev/null").is_char_device()


def test_what_is_open_already_is_written_to(tmp_path: Path) -> None:
    """`--out /dev/stdout` in a shell that appends to a file: it is appended to, not replaced."""
    file = tmp_path / "log"
    file.write_text("before\n")
    with file.open("ab") as opened:
        out_file.write_whole(Path(f"/dev/fd/{opened.fileno()}"), b"table")
    assert file.read_text() == "before\ntable" and os.listdir(tmp_path) == ["log"]


def test_a_minus_is_stdout(store_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As other programs have it: the same text as without `--out`, and no file of that name."""
    assert main(report, SHORT[:3]) == 0
    expected = capsys.readouterr().out
    assert main(report, [*SHORT, "-"]) == 0
    assert capsys.readouterr().out == expected != ""
    assert not Path("-").exists()


def impossible(folder: Path) -> dict[str, str]:
    """Names that no file can have, with what is said of each."""
    (folder / "file").write_text("a file")
    (folder / "round").symlink_to("round")
    (folder / "nowhere").symlink_to(folder / "no" / "table.md")
    return {
        f"{folder}/{'x' * 300}": "File name too long",
        f"{folder}/{'x/' * 3000}x": "File name too long",
        f"{folder}/a\0b": "null",
        f"{folder}/file/table.md": "Not a directory",
        f"{folder}/round": "symbolic links",
        f"{folder}/nowhere": f"mkdir -p {folder}/no",
        f"{folder}/none/table.md": f"mkdir -p {folder}/none",
        f"{folder}/new/": "a file in a folder that exists",
        f"{folder}/.": "a file in a folder that exists",
        str(folder): "a file in a folder that exists",
    }


def test_a_name_that_no_file_can_have_is_refused(
    tmp_path: Path, store_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 in the usual form, before anything is read or written."""
    folder = tmp_path / "out"
    folder.mkdir()
    names = impossible(folder)
    before = sorted(os.listdir(folder))
    for name, said in names.items():
        assert main(report, [*SHORT, name]) == 2, name[:80]
        out, err = capsys.readouterr()
        error, hint = err.splitlines()
        assert out == "" and error.startswith("error: `--out` is `") and hint.startswith("hint: ") and said in err
    assert sorted(os.listdir(folder)) == before


def test_a_name_as_long_as_names_may_be_is_written(tmp_path: Path, store_file: Path) -> None:
    """The draft's name is no longer."""
    for name in ("x" * 255, "\u8868" * 85):
        assert main(report, [*SHORT, str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text()


def test_a_file_that_cannot_be_written_is_a_refusal(
    tmp_path: Path, store_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the system's reason: exit 2, and what was there is as it was."""
    file = tmp_path / "table.md"
    file.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(out_file.os, "replace", fail)
    assert main(report, [*SHORT, str(file)]) == 2
    err = capsys.readouterr().err
    assert f"`--out` is `{file}`; allowed: a file that can be written (Input/output error)" in err
    assert file.read_text() == "old" and sorted(os.listdir(tmp_path)) == ["store", "table.md"]


def test_the_store_is_not_written_over(store_row, store_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its file and what belongs to it, there or not, by a path, a link or a second name; nor a run's files."""
    store_row()
    folder = store_file.parent
    other = folder.parent / "other"
    other.mkdir()
    (other / "link.md").symlink_to(store_file)
    os.link(store_file, other / "second.md")
    artifact = next(path for path in (folder / "artifacts").rglob("*") if path.is_file())
    (other / "artifacts").symlink_to(folder / "artifacts")
    names = [f"{store_file}{suffix}" for suffix in ("", "-wal", "-shm", "-journal", ".lock", ".summary.jsonl")]
    names += [f"{folder}/../{folder.name}/{store_file.name}", f"{other}/link.md", f"{other}/second.md"]
    names += [str(artifact), f"{folder}/artifacts/new.md", f"{other}/artifacts/new.md"]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name in names:
        assert main(report, [*SHORT, name]) == 2, name
        assert "allowed: a file that is not the store's" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert main(report, [*SHORT, str(folder / "table.md")]) == 0, "beside it there is room"


def test_what_a_table_is_made_from_is_not_written_over(
    store_row, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--from` and `--out` are never one file, by whatever names."""
    store_row()
    file, link = tmp_path / "runs.csv", tmp_path / "link.csv"
    assert main(report, ["scale=tiny", "--format", "runs", "--out", str(file)]) == 0
    link.symlink_to(file)
    before = file.read_bytes()
    for source, out in ((file, file), (file, link), (link, file)):
        assert main(report, ["--from", str(source), "--format", "runs", "--out", str(out)]) == 2
        assert "a file that this command does not read" in capsys.readouterr().err
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["/dev/shm/{}.md", "/proc/self/cwd/{}.md"])
def test_a_file_below_dev_is_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is replaced, not added to: only what is open already is written to as it is."""
    monkeypatch.chdir(tmp_path)
    file = Path(name.format(tmp_path.name))
    if not file.parent.is_dir():
        pytest.skip(f"no {file.parent} here")
    try:
        for content in (b"first", b"second"):
            out_file.write_whole(file, content)
        assert file.read_bytes() == b"second"
    finally:
        file.unlink(missing_ok=True)
