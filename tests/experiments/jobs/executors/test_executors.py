"""The executors there are keep their contract."""

import importlib
import sys

from experiments.store import connection
from tests.experiments.jobs.executor_contract import ApartContract, ExecutorContract


class TestInProcess(ExecutorContract):
    name = "in_process"


class TestLocal(ApartContract):
    name = "local"


def test_what_cannot_be_imported_ahead_ends_no_server(monkeypatch):
    """The server that workers are forked from would be gone and the command wait for ever; a worker says it instead."""

    def fails():
        raise RuntimeError("no home")

    monkeypatch.setattr(connection, "import_mlflow", fails)
    monkeypatch.delitem(sys.modules, "experiments.jobs.preload", raising=False)
    importlib.import_module("experiments.jobs.preload")
