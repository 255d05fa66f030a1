"""The executors there are keep their contract."""

from experiments.jobs.executor import Here
from experiments.jobs.local import Local
from tests.experiments.executor_contract import ApartContract, ExecutorContract


class TestHere(ExecutorContract):
    def make(self, run):
        return Here(run)


class TestLocal(ApartContract):
    def make(self, run):
        return Local(2, run)
