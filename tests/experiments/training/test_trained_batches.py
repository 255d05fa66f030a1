"""The hashes of the batches that were trained on: every step counts, and how often training was stopped does not."""

import shutil

import pytest
import torch

from experiments.common.interrupt import StopRequest
from experiments.data.feature_cache import Features
from experiments.training import trained_batches
from experiments.training.build import build_mixture, build_model
from experiments.training.checkpoint import Progressed, load_newest
from experiments.training.loop import Trainer, train
from tests.experiments.commands import tiny_spec

STEPS = 3


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    spec = tiny_spec()
    model = build_model(spec, torch.device("cpu"))
    return Features(model, build_mixture(spec).sources, folder=tmp_path_factory.mktemp("features"))


def trained(spec, folder, features, progressed=None):
    """Train to the end from where a folder's newest checkpoint is, or as `progressed` says."""
    trainer = Trainer(build_model(spec, torch.device("cpu")), spec)
    found, problems = load_newest(folder, trainer.model, trainer.optimizer, spec.train_hash)
    assert problems == []
    progressed = progressed or found or Progressed()
    with StopRequest() as stop:
        train(
            trainer,
            build_mixture(spec),
            spec,
            features=features,
            folder=folder,
            progressed=progressed,
            before_checkpoint=lambda _: None,
            stop=stop,
        )
    return progressed


def test_a_job_that_went_on_has_the_hashes_of_one_that_never_stopped(tmp_path, features):
    """From a checkpoint with them, and from one of older code, without: its batches are drawn again."""
    spec = tiny_spec(f"train.steps={STEPS}", "train.checkpoint_every=1")
    whole = trained(spec, tmp_path, features).batches
    assert whole == trained_batches.drawn_again(build_mixture(spec), STEPS, features=features)
    newest = max(tmp_path.glob("step-*"))
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path, kept, ignore=shutil.ignore_patterns("kept"))
    (kept / newest.name).unlink()
    assert trained(spec, kept, features).batches == whole
    of_older_code = Progressed(step=STEPS, batches=None)
    assert trained(spec, tmp_path, features, of_older_code).batches == whole


def test_every_step_and_the_order_of_steps_count(features):
    """Another batch at any one step is another hash, of its data set alone."""
    mixture, other = (build_mixture(tiny_spec(f"seed={seed}")) for seed in (0, 1))
    whole = trained_batches.drawn_again(mixture, STEPS, features=features)
    for changed in range(STEPS):
        hashes = trained_batches.before_the_first(mixture.datasets)
        for step in range(STEPS):
            for dataset in mixture.datasets:
                source = other if (step, dataset) == (changed, "align") else mixture
                trained_batches.add(hashes, source.batch(dataset, step, features=features))
        assert {dataset for dataset in whole if hashes[dataset] != whole[dataset]} == {"align"}


def test_what_else_is_in_the_mixture_moves_no_hash(features):
    """A row without a data set has the baseline's hash of each that is left."""
    whole, without = (
        trained_batches.drawn_again(build_mixture(tiny_spec(*words)), STEPS, features=features)
        for words in ([], ["ablation=data_without_m3w"])
    )
    assert without == {dataset: hash_ for dataset, hash_ in whole.items() if dataset != "m3w"}
