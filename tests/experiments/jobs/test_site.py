"""Everything that assumes one machine asks the executor's site: a command at another one leaves nothing at this one."""

import pytest

from experiments.jobs.executor import EXECUTORS, NoSettings, Registered
from experiments.jobs.executors.in_process import InProcess
from experiments.jobs.site import Site
from experiments.store import reader
from tests.experiments.commands import QUICK, run_here

# `default_workers` is asked of executors whose jobs run apart.
QUESTIONS = {"alone", "beside_others", "forget", "hold", "lock", "look", "machines", "watches", "work"}


class Elsewhere(Site):
    """A site with a folder of its own, which notes what it is asked."""

    def __init__(self, folder):
        self.folder, self.asked = folder, set()

    def __getattribute__(self, name):
        if name in QUESTIONS:
            self.asked.add(name)
        return super().__getattribute__(name)

    @property
    def work(self):
        return self.folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The site of an executor `elsewhere`, which is registered for the length of a test."""
    site = Elsewhere(tmp_path / "elsewhere")

    class There(InProcess):
        @classmethod
        def site(cls, settings):
            return site

    def of_this_machine(_):
        raise AssertionError("the work folder of this machine was asked for")

    monkeypatch.setattr(Site, "work", property(of_this_machine))
    EXECUTORS.names()
    monkeypatch.setattr(EXECUTORS, "_entries", {**EXECUTORS._entries, "elsewhere": Registered(There, NoSettings)})
    return site


def test_a_command_asks_the_site_and_leaves_nothing_at_another(elsewhere, store_run, store_file, capsys):
    """Leases, checkpoints, waiting results, lost runs and the locks around timing: all of it is the site's."""
    store_run(status=None)  # a run that is RUNNING, and nobody on its job
    words = ("--executor", "elsewhere", "compare=false", *QUICK)
    assert run_here(*words) == 0
    assert run_here(*words) == 0  # it is stored
    assert elsewhere.asked == QUESTIONS
    assert (elsewhere.folder / "leases").is_dir()
    assert not (store_file.parent / "work").exists()
    assert sorted(run.status for run in reader.runs(status=None)) == ["FINISHED", "KILLED"]
