"""A folder outside the repository whose modules can be imported, and a scale in it that is quick."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from experiments.common.registry import Registry
from experiments.spec import yaml_files

MODULES = ("my", "my.module")


def lay(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files where the page says."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def add_quick_scale(conf: Path) -> None:
    """Scale `quick` in a folder of YAML files: as `tiny`, of two steps. A table takes no run with overrides."""
    quick = yaml.safe_load((yaml_files.CONF / "scale" / "tiny.yaml").read_text(encoding="utf-8"))
    quick["train"] |= {"steps": 2, "warmup_steps": 1}
    quick["data"]["world"] |= {"queries": 18, "val_queries": 18}
    (conf / "scale").mkdir(exist_ok=True)
    text = f"# @package _global_\n# Two steps.\n{yaml.safe_dump(quick)}"
    (conf / "scale" / "quick.yaml").write_text(text, encoding="utf-8")


@contextlib.contextmanager
def with_more(package: ModuleType, folder: Path) -> Iterator[None]:
    """As if the files of a folder lay in a package too; what was imported of them is forgotten afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "__path__", [*package.__path__, str(folder)])
        try:
            yield
        finally:
            for file in folder.glob("*.py"):
                sys.modules.pop(f"{package.__name__}.{file.stem}", None)
                vars(package).pop(file.stem, None)


@contextlib.contextmanager
def standing_in(folder: Path, *registries: Registry) -> Iterator[None]:
    """In a folder whose modules can be imported; what they register is forgotten afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for registry in registries:
            registry.names()  # the built-in ones stay
            for kept in ("_entries", "_modules"):
                patch.setattr(registry, kept, dict(getattr(registry, kept)))
        for name in MODULES:
            patch.delitem(sys.modules, name, raising=False)
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        try:
            yield
        finally:
            for name in MODULES:
                sys.modules.pop(name, None)
