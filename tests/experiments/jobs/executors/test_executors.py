"""The executors there are keep their contract."""

import importlib
import sys

from experiments.jobs.executors.in_process import InProcess
from experiments.jobs.executors.local import Local
from experiments.store import connection
from tests.experiments.jobs.executor_contract import ApartContract, ExecutorContract


class TestHere(ExecutorContract):
    def make(self, run):
        return InProcess(run)


class TestLocal(ApartContract):
    def make(self, run):
        return Local(2, run)


def test_what_cannot_be_imported_ahead_ends_no_server(monkeypatch):
    """The server that workers are forked from would be gone and the command wait for ever; a worker says it instead."""

    def fails():
        raise RuntimeError("no home")

    monkeypatch.setattr(connection, "import_mlflow", fails)
    monkeypatch.delitem(sys.modules, "experiments.jobs.executors.local_preload", raising=False)
    importlib.import_module("experiments.jobs.executors.local_preload")
