"""A change of code that changes results must raise `record.RESULTS_VERSION`: a golden loss trace notices.

Rewritten by `python -m tests.experiments.spec.test_results_version`, which prints what moved.
"""

import json

import pytest
import torch

from experiments.common.checkout import ROOT
from experiments.store.names import RESULTS_VERSION
from experiments.training.build import build_mixture, build_model
from experiments.training.loop import Trainer, draw_step
from tests.experiments.commands import tiny_spec

GOLDEN = ROOT / "tests" / "golden" / "tiny_losses.json"
ROWS = ("baseline", "xattn_grafting", "optimisation_round_robin", "resampler_mlp", "vision_clip_vit_l14")
STEPS = 3


def trace(row: str) -> list[float]:
    """Every data set's loss over the first steps of a row at the tiny scale."""
    torch.set_num_threads(1)
    spec = tiny_spec(f"ablation={row}")
    trainer, mixture = Trainer(build_model(spec, torch.device("cpu")), spec), build_mixture(spec)
    steps = [trainer.step(draw_step(mixture, spec, step), step) for step in range(STEPS)]
    return [loss.item() for losses in steps for loss in losses.values()]


def measured() -> dict:
    """The content of the golden file."""
    return {
        "results_version": RESULTS_VERSION,
        "torch": torch.__version__.split("+")[0],
        "losses": {row: trace(row) for row in ROWS},
    }


@pytest.mark.parametrize("row", ROWS)
def test_the_first_losses_are_those_of_this_results_version(row):
    """Other losses under the same version mean that stored runs would be taken for what the code now does."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    if golden["torch"] != torch.__version__.split("+")[0]:
        pytest.skip(f"the trace was drawn with torch {golden['torch']}, whose generators make draws of their own")
    assert golden["results_version"] == RESULTS_VERSION, "rewrite the trace of the new version"
    # kernels of other processors round otherwise; a change of code moves a loss by more
    assert trace(row) == pytest.approx(golden["losses"][row], rel=1e-4)


if __name__ == "__main__":
    before = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {"losses": {}}
    now = measured()
    for name in ROWS:
        print(name, before["losses"].get(name), "->", now["losses"][name])
    GOLDEN.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
