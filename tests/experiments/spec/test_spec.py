"""Specs: what a command resolves to, and that its hash moves with what can change a result and with nothing else.

`python -m tests.experiments.spec.test_spec` freezes hashes that `tests/golden/spec_hashes.json` does not have yet.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.common.problems import UserError
from experiments.common.rules import ADDED, broken_rules
from experiments.data.config import DATASETS, DataConfig, DatasetConfig
from experiments.data.world.config import WorldConfig
from experiments.evaluation.config import EvalConfig
from experiments.spec.identity import spec_hash
from experiments.spec.resolve import put
from experiments.spec.schema import OUTSIDE_HASH, SLOT_BASES, Slot, TrainConfig, make_schema
from experiments.spec.spec import data_config
from experiments.spec.yaml_files import compose_files, leaves
from experiments.store.names import RESULTS_VERSION
from flamingo_core import registry
from tests.experiments.commands import tiny_spec

GOLDEN = Path(__file__).parents[2] / "golden" / "spec_hashes.json"
FROZEN = {
    "baseline": [],
    "every slot another": [
        "ablation=[tanh_gating_off,xattn_every_2nd,resampler_transformer,vision_clip_vit_l14,lm_unfrozen_random]"
    ],
}
FILES = {"model.lm.path": "0" * 64}  # stands for the hash of a weight file
DATA = "1" * 64  # stands for that of the data sets


def copy_of(tree: dict[str, Any]) -> Any:
    """A deep copy, through JSON: a tree is plain data."""
    return json.loads(json.dumps(tree))


def changed(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 1.5 + 0.1
    if isinstance(value, list):
        return value[1:] if value else ["x"]
    return f"{value}x"


@pytest.mark.parametrize("command", FROZEN.values(), ids=FROZEN)
def test_the_hash_moves_with_every_key_that_can_change_a_result(command: list[str]) -> None:
    """Change any leaf of a resolved spec: the hash moves, unless the key is declared to be outside, or is a path."""
    tree = tiny_spec(*command).tree
    names = {f"model.{slot}.name" for slot in registry.SLOTS}  # a changed name is another branch: tested with the rows
    for training in (False, True):
        before = spec_hash(tree, files={}, data=DATA, training=training)
        for key, value in leaves(tree).items():
            if key in names:
                continue
            mutated = copy_of(tree)
            put(mutated, key, changed(value))
            outside = key in OUTSIDE_HASH or key.endswith(".path") or (training and key.startswith("eval."))
            assert (spec_hash(mutated, files={}, data=DATA, training=training) == before) is outside, key


def test_what_is_outside_the_hash_is_in_the_spec() -> None:
    """The declared exclusions are keys that there are, and no more than these."""
    assert OUTSIDE_HASH == ("seed", "device", "compare", "rerun", "debug", "components", "train.checkpoint_every")
    assert set(OUTSIDE_HASH) - {"debug"} <= leaves(tiny_spec().tree).keys()


def test_the_hash_moves_with_weight_files_data_and_version() -> None:
    """What a run reads besides its spec counts too."""
    tree = tiny_spec().tree
    hashes = {
        spec_hash(tree, files=files, data=data, version=version)
        for files in ({}, FILES, {"model.lm.path": "2" * 64})
        for data in (DATA, "3" * 64)
        for version in (1, 2)
    }
    assert len(hashes) == 12
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in hashes)


def test_the_hash_ignores_the_order_of_keys() -> None:
    """A mapping read in another order is the same spec."""

    def reverse(tree: Any) -> Any:
        return {key: reverse(tree[key]) for key in reversed(tree)} if isinstance(tree, dict) else tree

    tree = tiny_spec().tree
    assert list(reverse(tree)) != list(tree)
    assert spec_hash(reverse(tree), files={}, data=DATA) == spec_hash(tree, files={}, data=DATA)


def test_equal_commands_have_equal_hashes_and_others_have_not() -> None:
    """Seed, device and checkpoints leave a spec what it is; training, evaluation, data and scale sizes do not."""
    spec = tiny_spec("ablation=xattn_every_4th")
    same = tiny_spec("seed=5", "device=cpu", "compare=false", "rerun=true", "ablation=xattn_every_4th")
    assert (same.hash, same.train_hash, same.baseline_hash) == (spec.hash, spec.train_hash, spec.baseline_hash)
    assert same.seed == 5
    assert tiny_spec("ablation=xattn_every_4th", "train.checkpoint_every=3").hash == spec.hash
    other_shots = tiny_spec("ablation=xattn_every_4th", "eval.shots=0")
    assert other_shots.hash != spec.hash and other_shots.train_hash == spec.train_hash
    for override in ("train.lr=2e-3", "data.world.queries=31", "model.xattn.gated.ff_mult=2"):
        other = tiny_spec("ablation=xattn_every_4th", override)
        assert other.hash != spec.hash and other.train_hash != spec.train_hash
        assert other.baseline_hash not in (spec.baseline_hash, other.hash)


def test_a_hash_is_known_without_the_ablation_s_name() -> None:
    """The same model by an ablation and by overrides is the same spec."""
    assert tiny_spec("model.xattn.placement=every_4th").hash == tiny_spec("ablation=xattn_every_4th").hash


def test_the_baseline_is_the_same_command_without_the_ablation() -> None:
    """Overrides reach the baseline; one for a component that it does not have passes it by."""
    spec = tiny_spec("ablation=resampler_mlp", "train.steps=7", "model.resampler.mlp.depth=2", "seed=4")
    assert spec.baseline == tiny_spec("train.steps=7", "seed=4")
    assert spec.baseline.baseline is spec.baseline
    assert spec.overrides == ("model.resampler.mlp.depth=2", "train.steps=7")
    assert spec.baseline.overrides == ("train.steps=7",)


def test_overrides_are_what_made_a_difference() -> None:
    """Sorted, as they can be typed again; a value that was there anyway, or cannot change a result, is not one."""
    steps = f"train.steps={tiny_spec().train.steps}"
    spec = tiny_spec(steps, "train.lr=2e-3", "seed=1", "device=cpu", "data.mixture=[m3w,vtp]", "eval.shots=0")
    assert spec.overrides == ("data.mixture=[m3w,vtp]", "eval.shots=0", "train.lr=0.002")
    assert tiny_spec(*spec.overrides).hash == spec.hash
    assert tiny_spec("train.steps=60", "eval.shots=4", "train.checkpoint_every=7").overrides == ()
    assert tiny_spec("eval.ceilings.coco_cider=600").overrides == ("eval.ceilings.coco_cider=600.0",)


def test_a_spec_is_plain_data_in_which_everything_is_said() -> None:
    """It has the sections of the contract, one branch a slot, nothing missing, and reads back from its YAML."""
    spec = tiny_spec("ablation=[xattn_every_4th,vision_clip_vit_l14]", "eval.shots=8")
    assert list(spec.tree) == ["seed", "device", "compare", "rerun", "components", "model", "train", "data", "eval"]
    assert {slot: set(choice) for slot, choice in spec.model.items()} == {
        "vision": {"name", "clip_vit_l14"},
        "resampler": {"name", "perceiver"},
        "xattn": {"name", "placement", "gated"},
        "lm": {"name", "freeze", "weights", "path", "llama"},
    }
    assert yaml.safe_load(spec.yaml()) == spec.tree == json.loads(json.dumps(spec.tree))
    assert spec.train == TrainConfig(**spec.tree["train"]) and spec.eval.shots == 8
    assert spec.data == data_config(spec.tree) and asdict(spec.data) == spec.tree["data"]
    assert asdict(spec.train) == spec.tree["train"] and asdict(spec.eval) == spec.tree["eval"]


def test_values_take_the_type_of_their_key() -> None:
    """A whole number given for a number is one; the hash cannot tell 1 from 1.0."""
    assert tiny_spec("train.clip_norm=1").hash == tiny_spec("train.clip_norm=1.0").hash == tiny_spec().hash
    assert type(tiny_spec("train.clip_norm=2").tree["train"]["clip_norm"]) is float


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a language model, as `model.lm.path` takes it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("lm")
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    LlamaForCausalLM(LlamaConfig(vocab_size=256, **sizes)).save_pretrained(folder)
    return folder


def test_a_weight_file_counts_by_its_content_not_its_path(
    language_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved or renamed weights are the same spec, a changed byte is another; a relative path is seen from here."""
    original = tiny_spec(f"model.lm.path={language_model}")
    shutil.copytree(language_model, tmp_path / "elsewhere" / "007")
    monkeypatch.chdir(tmp_path / "elsewhere")
    moved = tiny_spec("model.lm.path=007")
    assert moved.hash == original.hash != tiny_spec().hash
    assert moved.tree["model"]["lm"]["path"] == str(tmp_path / "elsewhere" / "007")
    weights = tmp_path / "elsewhere" / "007" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert tiny_spec("model.lm.path=007").hash != original.hash


def test_a_language_model_of_another_family_is_refused_by_name(language_model: Path) -> None:
    """The directory must hold a model of the family that was chosen."""
    with pytest.raises(UserError, match="holds a `llama` model"):
        tiny_spec(f"model.lm.path={language_model}", "model.lm.name=opt")
    (language_model.parent / "empty").mkdir(exist_ok=True)
    with pytest.raises(UserError, match=r"config\.json"):
        tiny_spec(f"model.lm.path={language_model.parent / 'empty'}")


def test_a_component_without_sizes_at_the_scale_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with its keys and the components that have sizes; giving every key on the command line is enough."""

    def without_mlp(*arguments: Any) -> Any:
        said = copy_of(dict(compose_files(*arguments)))
        said["model"]["resampler"]["mlp"] = None
        return said

    monkeypatch.setattr("experiments.spec.spec.compose_files", without_mlp)
    with pytest.raises(UserError) as caught:
        tiny_spec("ablation=resampler_mlp")
    assert "`model.resampler.name` is `mlp`, for which scale `tiny` has no sizes; with sizes: perceiver" in str(
        caught.value
    )
    assert "width, depth, max_frames" in str(caught.value)
    with pytest.raises(UserError, match=r"`model\.resampler\.mlp\.max_frames` has no value at scale `tiny`"):
        tiny_spec("ablation=resampler_mlp", "model.resampler.mlp.depth=2", "model.resampler.mlp.width=8")
    given = [f"model.resampler.mlp.{key}=8" for key in ("width", "depth", "max_frames")]
    assert tiny_spec("ablation=resampler_mlp", *given).model["resampler"]["mlp"]["ff_mult"] == 4


# Fields added later


def with_defaults(tree: dict[str, Any]) -> Any:
    """A stored tree as it would be resolved today: fields added since have their default."""
    filled = copy_of(tree)
    data = filled["data"]
    sets = {name: DatasetConfig(**data[name]) for name in DATASETS if name in data}
    filled["data"] = asdict(DataConfig(mixture=data["mixture"], world=WorldConfig(**data["world"]), **sets))
    filled["train"], filled["eval"] = asdict(TrainConfig(**filled["train"])), asdict(EvalConfig(**filled["eval"]))
    for slot, choice in filled["model"].items():
        own = {key: value for key, value in choice.items() if key != choice["name"]}
        filled["model"][slot] = {
            **asdict(SLOT_BASES.get(slot, Slot)(**own)),
            choice["name"]: asdict(registry.make_config(slot, choice)),
        }
    return filled


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_hashes_stay(name: str) -> None:
    """Specs stored before a field was added keep their hash: it is marked as added, its default is what was done."""
    frozen = json.loads(GOLDEN.read_text())[name]
    tree = with_defaults(frozen["tree"])
    for training, expected in ((False, frozen["hash"]), (True, frozen["train_hash"])):
        assert spec_hash(tree, files=frozen["files"], data=frozen["data"], version=1, training=training) == expected


def test_a_field_added_later_counts_once_it_is_not_at_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its default the hash is that of a spec without the field; marked or not, another value moves it."""

    @dataclass(kw_only=True, slots=True)
    class Grown:
        width: int
        added: int = field(default=3, metadata=ADDED)
        listed: list[int] = field(default_factory=lambda: [1], metadata=ADDED)
        unmarked: int = 0

    registry.names("resampler")
    grown = {**registry._components["resampler"], "grown": registry.Component(object, Grown)}
    monkeypatch.setitem(registry._components, "resampler", grown)
    tree = tiny_spec().tree

    def hash_of(**branch: Any) -> str:
        resampler = {"name": "grown", "grown": {"width": 8, "unmarked": 0, **branch}}
        return spec_hash({**tree, "model": {**tree["model"], "resampler": resampler}}, files={}, data=DATA)

    assert hash_of() == hash_of(added=3) == hash_of(added=3, listed=[1])
    assert len({hash_of(), hash_of(added=4), hash_of(listed=[]), hash_of(unmarked=1)}) == 4


# Rules


CONFIGS = (TrainConfig, EvalConfig, DatasetConfig, WorldConfig)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_every_key_has_a_rule_that_its_shipped_value_keeps(config: type) -> None:
    """Nothing in training, data and evaluation is unchecked; what the scale says is allowed."""
    tree = tiny_spec().tree
    sections = {"TrainConfig": tree["train"], "EvalConfig": tree["eval"], "WorldConfig": tree["data"]["world"]}
    values = sections.get(config.__name__, tree["data"]["m3w"])
    assert all("rule" in entry.metadata for entry in fields(config))
    assert list(broken_rules(config, values)) == []


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_a_dataclass_refuses_what_its_rules_do_not_allow(config: type) -> None:
    """Built directly it names every field at fault with its value."""
    tree = tiny_spec().tree
    sections = {"TrainConfig": tree["train"], "EvalConfig": tree["eval"], "WorldConfig": tree["data"]["world"]}
    values = dict(sections.get(config.__name__, tree["data"]["m3w"]))
    wrong: dict[str, Callable[[Any], Any]] = {"int": lambda value: -5, "float": lambda value: float("nan")}
    for name, value in values.items():
        if type(value).__name__ in wrong:
            values[name] = wrong[type(value).__name__](value)
    with pytest.raises(ValueError) as caught:
        config(**values)
    for name, value in values.items():
        if value == -5 or value != value:
            assert f"`{name}` is {value!r}; allowed: " in str(caught.value)


def test_the_schema_has_a_branch_for_every_component() -> None:
    """Slots hold a name, their own keys, and one optional branch for each registered component."""
    model = next(entry.type for entry in fields(make_schema()) if entry.name == "model")
    for slot in fields(model):  # type: ignore[arg-type]
        names = {entry.name for entry in fields(slot.type)}  # type: ignore[arg-type]
        own = {entry.name for entry in fields(SLOT_BASES.get(slot.name, Slot))}
        assert names == own | set(registry.names(slot.name))


def freeze() -> None:
    """Add what is not frozen yet; what is stays, whatever it would be today."""
    stored = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    for name, command in FROZEN.items():
        if name not in stored:
            tree = tiny_spec(*command).tree
            both = {"hash": False, "train_hash": True}
            hashes = {
                key: spec_hash(tree, files=FILES, data=DATA, version=1, training=one) for key, one in both.items()
            }
            stored[name] = {"tree": tree, "files": FILES, "data": DATA, **hashes}
            print(f"{name}: {hashes}")
    GOLDEN.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    assert RESULTS_VERSION == 1, "later versions have other hashes: freeze them with theirs"
    freeze()
