"""The certificate: what it hashes, and what moves it."""

import torch

from experiments.analysis.table.pairing import changed_keys, compare
from experiments.evaluation.evaluate import all_prompts, prompts_hash
from experiments.store.writer import flatten
from experiments.training.build import build_mixture, build_model
from experiments.training.certificate import certify, joined, module_hashes, processor
from tests.experiments.commands import tiny_spec

CPU = torch.device("cpu")


def certificate(*arguments, touch=None):
    spec = tiny_spec(*arguments)
    model = build_model(spec, CPU)
    if touch is not None:
        touch(model)
    return spec, certify(model, build_mixture(spec), spec, prompts=prompts_hash(all_prompts(spec))).plain()


def pairing(row, baseline):
    (spec, ours), (other, theirs) = row, baseline
    return compare(ours, theirs, changed_keys(flatten(spec.tree), flatten(other.tree)))


def test_it_is_the_same_every_time():
    """Two builds of one spec certify the same."""
    (_, one), (_, other) = certificate(), certificate()
    assert one == other
    assert one["batches"].keys() == set(tiny_spec().data.mixture)
    assert all(len(value) == 64 for value in one["weights"].values())


def test_every_weight_is_in_it():
    """A change of any one parameter changes the hash of its module and of no other."""
    model = build_model(tiny_spec(), CPU)
    before = module_hashes(model)
    for name, parameter in list(model.named_parts())[::7]:
        with torch.no_grad():
            parameter.add_(1)
        after = module_hashes(model)
        moved = [module for module in before if before[module] != after[module]]
        assert len(moved) == 1 and name.startswith(moved[0]), name
        with torch.no_grad():
            parameter.sub_(1)
        before = module_hashes(model)


def test_a_touched_weight_is_named():
    """An untouched module that differs is no longer paired, and the line says which."""

    def touch(model):
        with torch.no_grad():
            model.resampler.latents.add_(1e-3)

    found = pairing(certificate("ablation=xattn_every_4th", touch=touch), certificate())
    assert not found.paired
    assert found.unexpected == ("weights.resampler",)


def test_another_seed_moves_weights_batches_and_prompts():
    """Nothing that is drawn from the seed stays, of batches once one is trained on (`test_trained_batches`)."""
    (_, one), (_, other) = certificate(), certificate("seed=1")
    assert one["prompts"] != other["prompts"]
    assert one["frozen"] == other["frozen"]
    assert one["data"] == other["data"]


def test_the_kind_of_processor_and_its_instructions_are_named(tmp_path):
    """As Linux calls them, on ARM by number; elsewhere as Python does. What torch uses of it stands behind."""
    file = tmp_path / "cpuinfo"
    file.write_text("processor: 0\nmodel name\t: AMD  EPYC 7763\n\nprocessor: 1\nmodel name: another\n")
    used = torch.backends.cpu.get_cpu_capability()
    assert processor(file) == f"AMD EPYC 7763, {used}"
    file.write_text("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n")
    assert processor(file) == f"implementer 0x41 part 0xd0c, {used}"
    assert processor(tmp_path / "none").endswith(f", {used}")


def test_a_job_that_went_on_elsewhere_names_both_places():
    """Every value, once, in the order they came; so it is no pair with a job of either place alone."""
    first, second = {"cpu": "A, AVX512", "torch": "2.13"}, {"cpu": "B, AVX2", "torch": "2.13", "threads": "1"}
    both = joined(joined(first, second), first)
    assert both == {"cpu": "A, AVX512; B, AVX2", "torch": "2.13", "threads": "1"}
    assert joined({}, first) == first
