"""Which source the hash of a component from outside covers: all of one's own that it imports, and nothing else."""

import compileall
import sys
from pathlib import Path

import pytest

from experiments.common.outside_code import imported_hash

MODULE = "from my.helper import SIZE\n"
HELPER = "SIZE = 3\n"


@pytest.fixture
def lay(tmp_path, monkeypatch):
    """Write files below a folder that modules are imported from; none of the names there is loaded."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(files):
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    yield write
    assert not [name for name in sys.modules if name.split(".")[0] in ("my", "other", "apart")], "nothing is executed"


IMPORTS = {
    "from a module": {"my/module.py": "from my.helper import SIZE\n", "my/helper.py": HELPER},
    "of a module": {"my/module.py": "import my.helper\n", "my/helper.py": HELPER},
    "from its package": {"my/module.py": "from my import helper as h\n", "my/helper.py": HELPER},
    "from its own folder": {"my/module.py": "from . import helper\n", "my/helper.py": HELPER},
    "from a folder above": {"my/deep/module.py": "from ..helper import *\n", "my/helper.py": HELPER},
    "from another package": {"my/module.py": "import other.helper\n", "other/helper.py": HELPER},
    "of a file beside it": {"module.py": "import apart\n", "apart.py": HELPER},
    "by another helper": {
        "my/module.py": "from my.first import f\n",
        "my/first.py": "from . import helper\nf = 1\n",
        "my/helper.py": HELPER,
    },
    "in a function": {
        "my/module.py": "def f():\n    class C:\n        def g(self):\n            from my.helper import SIZE\n",
        "my/helper.py": HELPER,
    },
    "by a text": {
        "my/module.py": "import importlib\nNAME = '.helper'\ndef f():\n    importlib.import_module(NAME, 'my')\n",
        "my/helper.py": HELPER,
    },
    "by its package": {"my/__init__.py": "from my import helper\n", "my/module.py": "1\n", "my/helper.py": HELPER},
    "of what is a package": {"my/module.py": "import other\n", "other/__init__.py": HELPER},
    "under a package's file": {
        "my/module.py": "import other.part\n",
        "other/__init__.py": HELPER,
        "other/part.py": "",
    },
    "in a ring": {"my/module.py": "import my.helper\n", "my/helper.py": "import my.module\n" + HELPER},
}


@pytest.mark.parametrize("case", IMPORTS)
def test_what_is_imported_counts(case, lay):
    """However it is imported: another content is another hash, a file that nobody imports is none."""
    files = IMPORTS[case]
    edited = next(name for name, text in files.items() if HELPER in text)
    module = next(name for name in files if name.endswith("module.py")).removesuffix(".py").replace("/", ".")
    lay(files)
    before = imported_hash(module, [module])
    assert before is not None
    lay({"my/unused.py": HELPER, "helper.txt": ""})
    assert imported_hash(module, [module]) == before
    lay({edited: files[edited] + "SIZE = 4\n"})
    assert imported_hash(module, [module]) != before


@pytest.mark.parametrize(
    "files",
    [
        {"my/module.py": "import torch.nn, numpy as np\nfrom flamingo_core.registry import register\n"},
        {"my/module.py": "import experiments.spec.spec, json, no_such_module\n", "my/__init__.py": ""},
        {"my/module.py": "import os\n", "my/__init__.py": '"""Components of ours."""\n# one a file\n'},
        {"my/module.py": "def f(:\n"},
    ],
)
def test_a_component_in_one_file_has_no_other(files, lay):
    """What is installed, ours, not there, or holds no statement is no source of one's own."""
    lay(files)
    assert imported_hash("my.module", ["my.module"]) is None
    assert imported_hash("my.module") is None


def test_a_moved_or_renamed_folder_is_the_same_source(lay, tmp_path, monkeypatch):
    """Wherever it lies, whatever the outermost folder is called; two files that changed places are not the same."""
    files = {"module.py": "from . import helper, part\n", "helper.py": HELPER, "part.py": "A = 1\n"}
    lay({f"my/{name}": text for name, text in files.items()})
    before = imported_hash("my.module", ["my.module"])
    lay({f"elsewhere/other/{name}": text for name, text in files.items()})
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    assert imported_hash("other.module", ["other.module"]) == before
    lay({"my/helper.py": files["part.py"], "my/part.py": files["helper.py"]})
    assert imported_hash("my.module", ["my.module"]) != before


def test_what_leads_to_a_class_counts_where_the_command_does_not_name_its_module(lay):
    """`components=[my]` whose `__init__` picks `my.module`; a module named beside it for another row does not."""
    lay({"my/__init__.py": "", "my/module.py": "A = 1\n", "other/register.py": "from my.module import A\nB = 1\n"})
    assert imported_hash("my.module", ["my.module", "other.register"]) is None
    before = imported_hash("my.module", ["other.register"])
    assert before is not None
    lay({"other/register.py": "from my.module import A\nB = 2\n"})
    assert imported_hash("my.module", ["other.register"]) != before


@pytest.mark.parametrize("place", ["lib/python3/site-packages", "libs"])
def test_what_an_installer_put_there_is_known_by_its_version(place, lay, tmp_path, monkeypatch):
    """Not followed, unless the command names it: a plug-in that is installed is the component itself."""
    lay(
        {
            f"{place}/other/__init__.py": HELPER,
            f"{place}/other/plug.py": "from . import part\n",
            f"{place}/other/part.py": HELPER,
            "my/module.py": "import other.part\n",
        }
    )
    (tmp_path / place / "other-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / place))
    assert imported_hash("my.module", ["my.module"]) is None
    before = imported_hash("other.plug", ["other.plug"])
    lay({f"{place}/other/part.py": "SIZE = 5\n"})
    assert imported_hash("other.plug", ["other.plug"]) not in (before, None)


def test_modules_without_source_count_as_they_are(lay, tmp_path):
    """Compiled files alone: they are followed and hashed."""
    files = {"my/module.py": "def f():\n    from my import helper\n", "my/helper.py": HELPER}
    hashes = []
    for text in (HELPER, "SIZE = 4\n"):
        lay({**files, "my/helper.py": text})
        compileall.compile_dir(str(tmp_path / "my"), legacy=True, quiet=1, force=True)
        for file in (tmp_path / "my").glob("*.py"):
            file.unlink()
        hashes.append(imported_hash("my.module", ["my.module"]))
    assert None not in hashes and hashes[0] != hashes[1]
    assert not list(Path(tmp_path).rglob("module.py"))
