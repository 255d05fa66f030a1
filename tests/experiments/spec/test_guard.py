"""The guard: an ablation changes what its file declares, no more and no less."""

from pathlib import Path

import pytest

from experiments.common.problems import UserError
from experiments.spec.guard import ABSENT, diff
from tests.experiments.commands import tiny_spec

HEADER = "# @package _global_\n"


def refused(folder: Path, text: str, *arguments: str, name: str = "mine") -> str:
    """The message about an ablation file of one's own."""
    (folder / "ablation").mkdir(exist_ok=True)
    (folder / "ablation" / f"{name}.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        tiny_spec(*(arguments or (f"ablation={name}",)), config_dir=folder)
    return str(caught.value)


def test_diff_names_every_difference_by_dotted_key() -> None:
    """Equal values are left out, lists are compared whole, a key that one side lacks is absent there."""
    a = {"x": 1, "y": {"same": [1], "list": [1, 2]}, "gone": {"a": 0}}
    b = {"y": {"list": [2, 1], "same": [1]}, "x": 2, "new": {}}
    assert diff(a, b) == {
        "x": (1, 2),
        "y.list": ([1, 2], [2, 1]),
        "gone.a": (0, ABSENT),
        "new": (ABSENT, {}),
    }
    assert diff(a, a) == {}


def test_a_stray_line_in_an_ablation_file_is_found(tmp_path: Path) -> None:
    """A change that the file does not declare is named with both values, whatever section it is in."""
    text = HEADER + "changes: {mine: [model.xattn.placement]}\nmodel: {xattn: {placement: every_4th}}\n"
    lr = tiny_spec().train.lr
    assert refused(tmp_path, text + "train: {lr: 3.0e-3}\n") == (
        f"error: ablation `mine` declares `model.xattn.placement` but also changes `train.lr`: {lr} -> 0.003\n"
        "hint: take `train.lr` out of the ablation file; given on the command line, the baseline gets it as well"
    )
    assert "also changes `seed`: 0 -> 7" in refused(tmp_path, text + "seed: 7\n")
    assert "also changes `compare`: true -> false" in refused(tmp_path, text + "compare: false\n")


def test_a_declared_change_that_is_none_is_found(tmp_path: Path) -> None:
    """A declared key with the baseline's value is without effect."""
    text = HEADER + "changes: {mine: [train.lr, train.steps]}\ntrain: {lr: 3.0e-3}\n"
    steps = tiny_spec().train.steps
    assert f"declares `train.steps`, found without effect: it is `{steps}` in the baseline too" in refused(
        tmp_path, text
    )


def test_a_declared_name_covers_its_branch_and_no_other(tmp_path: Path) -> None:
    """Sizes of the chosen component may come with its name; a change of another slot's may not."""
    text = HEADER + "changes: {mine: [model.resampler.name]}\nmodel: {resampler: {name: mlp, mlp: {depth: 1}}}\n"
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation" / "mine.yaml").write_text(text)
    assert tiny_spec("ablation=mine", config_dir=tmp_path).model["resampler"]["mlp"]["depth"] == 1
    text = HEADER + (
        "changes: {mine: [model.resampler.name]}\nmodel: {resampler: {name: mlp}, xattn: {gated: {ff_mult: 2}}}\n"
    )
    assert "also changes `model.xattn.gated.ff_mult`: 4 -> 2" in refused(tmp_path, text)


def test_declarations_are_checked(tmp_path: Path) -> None:
    """Each file declares keys that there are, under its own name, that are part of what a spec is known by."""
    body = "train: {lr: 3.0e-3}\n"
    assert "`mine` declares no changes" in refused(tmp_path, HEADER + body)
    assert "`mine` declares no changes" in refused(tmp_path, HEADER + "changes: {mine: []}\n" + body)
    other = refused(tmp_path, HEADER + "changes: {yours: [train.lr]}\n" + body)
    assert "`changes` has `yours`" in other
    assert "did you mean `train.lr`?" in refused(tmp_path, HEADER + "changes: {mine: [train.lrr]}\n" + body)
    seed = refused(tmp_path, HEADER + "changes: {mine: [seed]}\nseed: 1\n")
    assert "declares `seed`, which is no part of what a spec is compared by" in seed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("changes: {mine: [train.lr]}\ntrain: {lr: 3.0e-3}\n", f"write `{HEADER.strip()}` as its first line"),
        (HEADER + "changes: {mine: [train.lrr]}\ntrain: {lrr: 3.0e-3}\n", "did you mean `train.lr`?"),
        (HEADER + "changes: {mine: [train.lr]}\ntrain: {lr: fast}\n", "`train.lr` is `fast`; allowed: numbers above 0"),
        (HEADER + "changes: {mine: [train.lr]}\ntrain: {lr: -1}\n", "`train.lr` is `-1.0`; allowed: numbers above 0"),
        (HEADER + "changes: {mine: [train.lr]}\ntrain: {lr: '${train.lr_lm}'}\n", "no interpolation"),
        (HEADER + "changes: {mine: [train.lr]}\ntrain: {lr: .nan}\n", "`train.lr` is `nan`"),
        (HEADER + "changes: {mine: [train.lr]}\ntrain: [\n", "is not YAML"),
        (HEADER + "- a\n- b\n", "is not YAML"),
        (HEADER + "changes: {mine: [model.lm.name]}\nmodel: {lm: {name: lama}}\n", "did you mean `llama`?"),
        (HEADER + "changes: {mine: [train]}\ntrain: {_target_: os.system}\n", "`train._target_`"),
        ("", f"write `{HEADER.strip()}` as its first line"),
    ],
)
def test_a_faulty_file_is_named_with_its_fault(text: str, said: str, tmp_path: Path) -> None:
    """A file that does not fit the schema is refused in the words that an override would be."""
    assert said in refused(tmp_path, text)


def test_a_file_may_not_hide_one_of_ours(tmp_path: Path) -> None:
    """A name that is taken is refused: which of the two was meant could not be told."""
    said = refused(tmp_path, HEADER, name="xattn_every_4th")
    assert "xattn_every_4th.yaml` has the name of an ablation that there is" in said


def test_combined_ablations_are_guarded_together() -> None:
    """What two ablations declare together is what differs; their order in the command changes nothing."""
    one = tiny_spec("ablation=[resampler_mlp,xattn_every_4th]")
    two = tiny_spec("ablation=[xattn_every_4th,resampler_mlp]")
    assert one == two
    assert (one.name, one.group) == ("xattn_every_4th+resampler_mlp", "combination")
    assert one.changes == {"xattn_every_4th": ["model.xattn.placement"], "resampler_mlp": ["model.resampler.name"]}
    changed = {key for key in diff(one.baseline.tree, one.tree) if not key.startswith("model.resampler.")}
    assert changed == {"model.xattn.placement"}
