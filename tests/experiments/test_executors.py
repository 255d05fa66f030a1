"""The executors there are keep their contract."""

import importlib
import sys

from experiments.jobs.executor import Here
from experiments.jobs.local import Local
from experiments.store import connection
from tests.experiments.executor_contract import ApartContract, ExecutorContract


class TestHere(ExecutorContract):
    def make(self, run):
        return Here(run)


class TestLocal(ApartContract):
    def make(self, run):
        return Local(2, run)


def test_what_cannot_be_imported_ahead_ends_no_server(monkeypatch):
    """The server that workers are forked from would be gone and the command wait for ever; a worker says it instead."""

    def fails():
        raise RuntimeError("no home")

    monkeypatch.setattr(connection, "import_mlflow", fails)
    monkeypatch.delitem(sys.modules, "experiments.jobs.preload", raising=False)
    importlib.import_module("experiments.jobs.preload")
