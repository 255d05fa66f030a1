"""Two commands of every pair of kinds at once on a store that is not there yet: both end well, no job is done twice."""

from collections import Counter
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from experiments.store import reader
from experiments.store.error import URI_VARIABLE
from tests.experiments.commands import QUICK
from tests.reliability.warm import WarmProcess

SIZES = [word for word in QUICK if word != "scale=tiny"]
KINDS = {
    "run": ("run", "scale=tiny", *SIZES),
    "table3": ("table3", "scale=tiny", "--rows", "xattn_every_4th", *SIZES),
    "report": ("report", "scale=tiny"),
    "dashboard": ("look", "tiny"),
}
JOBS = {"run": 1, "table3": 2, "report": 0, "dashboard": 0}  # the run's is one of the table's


@pytest.mark.slow
def test_two_commands_of_every_pair_of_kinds_at_once(
    warm: WarmProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0 and no traceback; each job has one run, finished and timed once, whoever did it."""
    for one, other in combinations_with_replacement(KINDS, 2):
        store = tmp_path / f"{one}-{other}" / "mlflow.db"
        monkeypatch.setenv(URI_VARIABLE, f"sqlite:///{store}")
        for ended in warm.run_at_once(KINDS[one], KINDS[other], store=store):
            assert ended.code == 0, (one, other, ended)
            assert "Traceback" not in ended.err, (one, other, ended.err)
            assert ended.out, (one, other)
        runs = reader.runs(status=None)
        assert Counter((run.row, run.seed, run.status) for run in runs) == {
            (row, 0, "FINISHED"): 1 for row in ("baseline", "xattn_every_4th")[: max(JOBS[one], JOBS[other])]
        }, (one, other)
        assert all("step_time_s" in run.metrics for run in runs), (one, other)
        assert reader.runs(status="RUNNING") == []
