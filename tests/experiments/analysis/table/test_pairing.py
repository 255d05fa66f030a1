"""A pair is paired unless something differs that neither spec says differs; then it is named."""

from collections.abc import Callable
from typing import Any

import pytest

from experiments.analysis.table import pairing
from experiments.store import reader
from tests.experiments.stored_runs import a_certificate, old_batches

Certificate = dict[str, Any]
PLACEMENT = {"model.xattn.placement"}


def test_a_clean_pair_is_paired() -> None:
    """Fewer blocks, as declared; the rest is equal, and counted."""
    row, baseline = a_certificate(), a_certificate()
    del row["weights"]["xattn.1"]
    pair = pairing.compare(row, baseline, PLACEMENT)
    assert pair.paired and pair.declared == ("weights.xattn.1",)
    assert pair.sentence() == "paired: 4 of 4 untouched modules, batches, prompts, data equal"


def change(path: str, value: Any) -> Callable[[Certificate], None]:
    *folders, last = path.split("/")

    def apply(certificate: Certificate) -> None:
        for folder in folders:
            certificate = certificate[folder]
        certificate[last] = value

    return apply


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (change("weights/resampler.layers.0", "other"), "weights.resampler.layers.0"),
        (change("weights/lm.model.layers.0", "other"), "weights.lm.model.layers.0"),
        (change("weights/xattn.0", "other"), "weights.xattn.0"),
        (change("frozen/vision", "other"), "frozen.vision"),
        (change("frozen/lm", "other"), "frozen.lm"),
        (change("data", "other"), "data"),
        (change("prompts", "other"), "prompts"),
        (change("batches/m3w", "other"), "batches"),
        (change("seed", 1), "seed (1 against 0)"),
        (change("environment/threads", 2), "environment.threads (2 against 1)"),
        (change("environment/cpu", "EPYC, AVX2"), "environment.cpu (EPYC, AVX2 against Xeon, AVX512)"),
        (change("prompts", None), "prompts (not recorded)"),
        (change("environment/torch", "1.0"), "environment.torch (1.0 against 2.13)"),
    ],
)
def test_what_differs_for_no_stated_reason_is_named(fault: Callable[[Certificate], None], named: str) -> None:
    """Each single fault is found, alone, in either run of the pair."""
    row, baseline = a_certificate(), a_certificate()
    fault(row)
    pair = pairing.compare(row, baseline, PLACEMENT)
    assert not pair.paired and pair.unexpected == (named,)
    assert pair.sentence() == f"NOT PAIRED: {named}"
    assert len(pairing.compare(baseline, row, PLACEMENT).unexpected) == 1


CHANGES = {
    "model.vision.name": {"frozen/vision", "weights/vision.stages.0"},
    "model.resampler.mlp.depth": {"weights/resampler.layers.0"},
    "model.lm.weights": {"frozen/lm", "weights/lm.model.layers.0"},
    "model.lm.freeze": {"frozen/lm"},
    "model.xattn.placement": set(),
    "model.xattn.gated.tanh_gating": {"weights/xattn.0", "weights/xattn.1"},
    "data.mixture": set(),
    "data.world.queries": {"data", "batches", "prompts"},
    "eval.shots": {"prompts"},
    "train.lr": set(),
}


@pytest.mark.parametrize("changed", CHANGES)
def test_what_a_change_may_touch_is_declared(changed: str) -> None:
    """A changed key excuses what follows from it, and nothing else."""
    weights = [f"weights/{module}" for module in a_certificate()["weights"]]
    for place in [*weights, "frozen/vision", "frozen/lm", "data", "batches", "prompts"]:
        row = a_certificate()
        change(place, "other" if place != "batches" else {"m3w": "other"})(row)
        pair = pairing.compare(row, a_certificate(), {changed})
        found = pair.declared if place in CHANGES[changed] else pair.unexpected
        assert found == (place.replace("/", ".", 1),)


@pytest.mark.parametrize(
    ("changed", "follow"),
    [
        ("model.vision.name", {"vision.stages.0", "resampler.layers.0"}),
        ("model.resampler.name", {"resampler.layers.0"}),
        ("model.lm.path", {"resampler.layers.0", "lm.model.layers.0", "xattn.0", "xattn.1"}),
        ("model.xattn.placement", {"lm.model.layers.0", "xattn.0", "xattn.1"}),
        ("data.mixture", set()),
    ],
)
def test_a_part_may_follow_in_size_where_another_changed(changed: str, follow: set[str]) -> None:
    """The resampler of another encoder reads another width: declared. With the shapes it had, it should be equal."""
    for module in a_certificate()["weights"]:
        row, without = a_certificate(), a_certificate()
        row["weights"][module], row["shapes"][module] = "other", "8x4 4"
        del without["weights"][module], without["shapes"][module]
        for one in ((row, a_certificate()), (without, a_certificate()), (a_certificate(), without)):
            pair = pairing.compare(*one, {changed})
            assert (pair.declared if module in follow else pair.unexpected) == (f"weights.{module}",)


def test_what_is_declared_is_said() -> None:
    """A row on other data is paired in what it shares, and the line says what it does not share."""
    row = a_certificate()
    row["batches"], row["data"] = {"m3w": "other"}, "other"
    assert pairing.compare(row, a_certificate(), {"data.world.image_size"}).sentence() == (
        "paired: 5 of 5 untouched modules, prompts equal; changed as declared: batches, data"
    )


def test_a_data_set_left_out_excuses_no_other() -> None:
    """Without m3w the batches of the rest must be those of the baseline."""
    row = a_certificate()
    del row["batches"]["m3w"]
    assert pairing.compare(row, a_certificate(), {"data.mixture"}).paired
    assert pairing.compare(row, a_certificate(), {"train.steps"}).unexpected == ("batches",)
    row["batches"]["align"] = "other"
    assert pairing.compare(row, a_certificate(), {"data.mixture"}).unexpected == ("batches",)


def test_what_changes_which_batches_there_are_is_declared() -> None:
    """Other steps of the same data sets, and other tokens by a language model that the row declares."""
    row = a_certificate()
    row["batches"] = dict.fromkeys(row["batches"], "other")
    assert pairing.compare(row, a_certificate(), {"train.steps"}).declared == ("batches",)
    assert pairing.compare(row, a_certificate(), {"model.lm.path"}).unexpected == ("batches",)
    row["frozen"]["tokenizer"] = "another"
    assert pairing.compare(row, a_certificate(), {"model.lm.path"}).declared == ("batches", "frozen.tokenizer")


def test_certificates_of_older_code_compare_with_each_other_and_with_no_newer_one() -> None:
    """A list of first batches against hashes over all: neither equal nor a traceback, and why is said."""
    old, new = {**a_certificate(), "batches": old_batches()}, a_certificate()
    assert pairing.compare(old, {**new, "batches": old_batches()}, PLACEMENT).paired
    for pair in ((old, new), (new, old)):
        found = pairing.compare(*pair, {"data.mixture"})
        assert len(found.unexpected) == 1 and "not comparable" in found.sentence()
    nothing = {**a_certificate(), "batches": {}}
    assert pairing.compare(nothing, nothing, PLACEMENT).unexpected == ("batches (not recorded)",)


def test_an_emptied_certificate_is_equal_to_nothing() -> None:
    """Not even to another one."""
    assert not pairing.compare({}, {}, PLACEMENT).paired
    assert not pairing.compare({}, a_certificate(), PLACEMENT).paired


def test_a_data_set_left_out_excuses_no_other_in_certificates_of_older_code() -> None:
    """Without m3w the batches of the rest are drawn further, and must be those of the baseline where both have them."""
    row, baseline = ({**a_certificate(), "batches": old_batches()} for _ in range(2))
    row["batches"] = [entry for entry in row["batches"] if not entry.startswith("m3w/")] + ["vtp/5:sha of 5"]
    assert pairing.compare(row, baseline, {"data.mixture"}).paired
    assert pairing.compare(row, baseline, {"train.steps"}).unexpected == ("batches",)
    row["batches"][0] = "align/0:other"
    assert pairing.compare(row, baseline, {"data.mixture"}).unexpected == ("batches",)


def test_the_changed_keys_are_those_of_the_stored_params(store_run: Callable[..., str]) -> None:
    """Two stored runs answer for themselves; a run without a certificate gives no answer."""
    store_run(certificate=a_certificate())
    row = a_certificate()
    del row["weights"]["xattn.1"]
    store_run("xattn_every_4th", certificate=row)
    store_run("xattn_every_2nd")
    runs = {run.row: run for run in reader.runs()}
    pair = pairing.of_runs(runs["xattn_every_4th"], runs["baseline"])
    assert pair is not None and pair.paired
    assert pairing.of_runs(runs["xattn_every_2nd"], runs["baseline"]) is None


FREEZE = ["model.lm.freeze", "model.lm.weights"]
OTHER_LM = {"frozen": {"lm": "another", "vision": "sha of vision"}}


@pytest.mark.parametrize(
    ("changes", "differs", "unexpected"),
    [
        (None, {}, ()),  # older code recorded no changes; the files are the same ones in two checkouts
        (None, OTHER_LM, ("frozen.lm",)),
        ([], OTHER_LM, ("frozen.lm",)),
        (FREEZE, {}, ()),
        (FREEZE, OTHER_LM, ()),
        (["model.lm.path"], OTHER_LM, ()),
        (["train.lr"], {"frozen": {"lm": "sha of lm", "vision": "another"}}, ("frozen.vision",)),
    ],
)
def test_where_a_file_lies_excuses_nothing(
    store_run: Callable[..., str], changes: list[str] | None, differs: Certificate, unexpected: tuple[str, ...]
) -> None:
    """Runs of two checkouts pair by what is in their files: another path is no reason to be another model."""

    def stored(name: str, checkout: str, certificate: Certificate) -> None:
        model = {"lm": {"path": f"/{checkout}/llama"}, "vision": {"nfnet_f6": {"path": f"/{checkout}/f6"}}}
        store_run(name, certificate=certificate, tree={"seed": 0, "model": model, "eval": {}})

    stored("baseline", "one", a_certificate())
    stored(
        "lm_unfrozen_random",
        "other",
        {**a_certificate(), **differs, **({} if changes is None else {"changes": changes})},
    )
    runs = {run.row: run for run in reader.runs()}
    pair = pairing.of_runs(runs["lm_unfrozen_random"], runs["baseline"])
    assert pair is not None and pair.unexpected == unexpected


def test_a_file_that_one_of_two_specs_does_not_have_is_a_change() -> None:
    """No checkout makes a file of none."""
    assert pairing.changed_keys({"model.lm.path": "/one"}, {"model.lm.path": "/other"}) == set()
    assert pairing.changed_keys({"model.lm.path": "null"}, {"model.lm.path": "/other"}) == {"model.lm.path"}
