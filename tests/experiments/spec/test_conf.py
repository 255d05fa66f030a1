"""Every YAML in `experiments/conf`: it composes, is guarded clean, and says what the paper's table 3 says."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.common.checkout import ROOT
from experiments.published.table3 import BASELINE, rows
from experiments.spec import resolve
from experiments.spec.guard import ABSENT, diff
from experiments.spec.spec import Spec, make_spec, make_specs
from experiments.spec.yaml_files import CONF, HEADER, default_scale, known, leaves
from tests.experiments.data import subwords

ABLATIONS = [name for name in known("ablation") if name != BASELINE]
SCALES = list(known("scale"))
FILES = sorted(CONF.rglob("*.yaml"))

# What each row of table 3 changes, in the paper's order.
CHANGED: dict[str, dict[str, Any]] = {
    "data_without_video_text": {"data.mixture": ["m3w", "align", "ltip"]},
    "data_without_image_text": {"data.mixture": ["m3w", "vtp"]},
    "data_laion": {"data.mixture": ["m3w", "laion", "vtp"]},
    "data_without_m3w": {"data.mixture": ["align", "ltip", "vtp"]},
    "optimisation_round_robin": {"train.objective": "round_robin"},
    "tanh_gating_off": {"model.xattn.gated.tanh_gating": False},
    "xattn_vanilla": {"model.xattn.name": "vanilla"},
    "xattn_grafting": {"model.xattn.name": "grafting"},
    "xattn_single_middle": {"model.xattn.placement": "single_middle"},
    "xattn_every_4th": {"model.xattn.placement": "every_4th"},
    "xattn_every_2nd": {"model.xattn.placement": "every_2nd"},
    "resampler_mlp": {"model.resampler.name": "mlp"},
    "resampler_transformer": {"model.resampler.name": "transformer"},
    "vision_clip_vit_l14": {"model.vision.name": "clip_vit_l14"},
    "vision_nfnet_f0": {"model.vision.name": "nfnet_f0"},
    "lm_unfrozen_random": {"model.lm.freeze": False, "model.lm.weights": "random"},
    "lm_unfrozen_pretrained": {"model.lm.freeze": False},
}


@pytest.fixture(scope="module", autouse=True)
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The repository with a small model in the place of those that are made at first use, and are not made here."""
    root = tmp_path_factory.mktemp("repository")
    (root / "experiments").symlink_to(ROOT / "experiments")
    subwords.write_model(root / ".cache" / "smollm2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolve, "ROOT", root)
        yield


@pytest.fixture(scope="module")
def baselines(stand_in: None) -> dict[str, str]:
    """The hash of each scale's baseline, as asked for by itself."""
    return {scale: make_spec(f"scale={scale}").hash for scale in SCALES}


def said_by(path: Path) -> dict[str, Any]:
    """The keys that a file sets."""
    flat = leaves(yaml.safe_load(path.read_text()) or {})
    return {key: value for key, value in flat.items() if key.split(".")[0] not in ("changes", "defaults", "group")}


def test_every_row_of_the_published_table_has_its_file() -> None:
    """One YAML a row, by the names of table3.csv, in its order; a row beside them names its group."""
    names = list(known("ablation"))
    assert names[: len(rows())] == list(rows()) == [BASELINE, *CHANGED]
    assert all("group" in yaml.safe_load(known("ablation")[name].read_text()) for name in names[len(rows()) :])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_stands_where_it_is_used(path: Path) -> None:
    """Files of a group start with Hydra's header; there are no others but config.yaml and the pretraining recipes."""
    if path.parent == CONF:
        assert path.name == "config.yaml"
    elif path.parent.name == "pretrain":
        assert path.stem in SCALES
    else:
        assert path.parent.name in ("ablation", "scale")
        assert path.read_text().splitlines()[0] == HEADER


@pytest.mark.parametrize("scale", SCALES)
def test_the_baseline_is_that_of_the_paper(scale: str) -> None:
    """At every scale the baseline has table 3's original values, and names no ablation."""
    spec = make_spec(f"scale={scale}")
    tree = spec.tree
    assert {slot: choice["name"] for slot, choice in spec.model.items()} == {
        "vision": "nfnet_f6",
        "resampler": "perceiver",
        "xattn": "gated",
        "lm": "llama" if scale in ("tiny", "desk", "smol") else spec.model["lm"]["name"],
    }
    assert tree["model"]["xattn"]["placement"] == "every" and tree["model"]["xattn"]["gated"]["tanh_gating"] is True
    assert tree["model"]["lm"]["freeze"] is True and tree["model"]["lm"]["weights"] == "pretrained"
    assert tree["train"]["objective"] == "accumulation" and tree["data"]["mixture"] == ["m3w", "align", "ltip", "vtp"]
    assert (spec.name, spec.group, spec.ablations, spec.overrides, spec.changes) == (BASELINE, BASELINE, (), (), {})
    assert spec.baseline is spec and spec.hash == spec.baseline_hash


@cache
def specs_of(scale: str) -> dict[str, Spec]:
    """Those of all rows, which share a baseline, by name."""
    specs = make_specs([f"ablation={','.join(ABLATIONS)}", f"scale={scale}"], sweeps=True)
    return {spec.name: spec for spec in specs}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_is_guarded_clean_at_every_scale(name: str, scale: str, baselines: dict[str, str]) -> None:
    """It changes what the paper's row changes, a `name` brings its branch, and nothing else differs."""
    spec = specs_of(scale)[name]
    found = diff(spec.baseline.tree, spec.tree)
    assert {key: new for key, (_, new) in found.items() if key in CHANGED[name]} == CHANGED[name]
    assert spec.changes == {name: list(CHANGED[name])}
    for key in found.keys() - CHANGED[name].keys():
        slot, component = key.split(".")[1:3]
        assert f"model.{slot}.name" in CHANGED[name] and component in found[f"model.{slot}.name"]
        assert ABSENT in found[key]
    assert spec.group == rows()[name].group
    assert spec.hash != spec.baseline_hash == baselines[scale]


def test_specs_of_all_rows_are_known_apart() -> None:
    """No two rows have one hash."""
    hashes = [spec.hash for spec in make_specs(["scale=tiny", f"ablation={','.join(rows())}"], sweeps=True)]
    assert len(set(hashes)) == len(hashes) == 18


@pytest.mark.parametrize("scale", SCALES)
def test_ablations_and_scales_know_nothing_of_each_other(scale: str) -> None:
    """A scale sets no key that an ablation or the baseline decides; ablations set nothing else."""
    decided = set(said_by(CONF / "config.yaml"))
    assert not decided & set(said_by(known("scale")[scale]))
    for name, changed in CHANGED.items():
        assert said_by(known("ablation")[name]) == changed
        assert set(changed) <= decided


def test_tiny_is_small_and_tells_the_placements_apart() -> None:
    """Of the default scale: every 4th layer leaves one block, every 2nd two."""
    from flamingo_core.xattn.placement import block_layers

    spec = make_spec("scale=tiny")
    depth = spec.model["lm"]["llama"]["depth"]
    assert [len(block_layers(name, depth)) for name in ("every_4th", "every_2nd", "every")] == [1, 2, 4]
    assert default_scale() in SCALES
