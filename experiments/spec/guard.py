"""The guard: an ablation changes what its file declares, and nothing else.

The resolved spec is compared with that of the same command under `ablation=baseline`: exactly the declared keys must
differ. A declared `name` also covers the branch that it chooses.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.common.problems import Problem, nearest, show
from experiments.published.table3 import BASELINE
from experiments.spec.schema import OUTSIDE_HASH
from experiments.spec.yaml_files import leaves

Changes = Mapping[str, Sequence[str]]  # the keys each ablation declares


class Absent:
    """Placeholder for the value of a key that one of two specs lacks."""

    def __str__(self) -> str:
        return "nothing"


ABSENT = Absent()
CHOOSES = (".name", ".source")  # suffixes of the keys that choose a branch


def diff(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted keys in which two nested dicts differ, with both values; `ABSENT` for a missing key."""
    left, right = leaves(a), leaves(b)
    return {
        key: (left.get(key, ABSENT), right.get(key, ABSENT))
        for key in [*left, *(key for key in right if key not in left)]
        if key not in left or key not in right or left[key] != right[key]
    }


def guard(
    names: Sequence[str],
    changes: Changes,
    *,
    baseline: Mapping[str, Any],
    row: Mapping[str, Any],
    overrides: Mapping[str, Any],
) -> list[Problem]:
    """Check the declarations of these ablations against both resolved specs and the command's overrides."""
    problems = [*_misdeclared(names, changes, {*leaves(baseline), *leaves(row), *overrides})]
    problems += _shared(names, changes)
    if problems:
        return problems
    found = diff(baseline, row)
    for name in names:
        for key in changes[name]:
            # Also without effect: a key of a component that another ablation removed.
            if key not in found or (_of_some_branch(key) and found[key][1] is ABSENT):
                problems.append(_without_effect(name, key, row, overrides))
    declared = {key for name in names for key in changes[name]}
    covered = tuple(
        f"{key.rpartition('.')[0]}.{side}." for key in declared & found.keys() for side in _branches(key, found)
    )
    for key, (old, new) in found.items():
        if key not in declared and not key.startswith(covered):
            problems.append(_undeclared(names, declared, key, old, new))
    return problems


def _branches(key: str, found: Mapping[str, tuple[Any, Any]]) -> tuple[str, ...]:
    """The old and the new branch of a changed `name` or `source`; empty for any other key."""
    return tuple(map(str, found[key])) if key.endswith(CHOOSES) else ()


def _misdeclared(names: Sequence[str], changes: Changes, keys: set[str]) -> Iterator[Problem]:
    for name in names:
        if not changes.get(name):
            yield Problem(
                text=f"ablation `{name}` declares no changes; allowed: the keys it changes, under its own name",
                hint=f"write `changes: {{{name}: [KEY, ...]}}` into the ablation file",
                key="changes",
                value=name,
            )
        for key in changes.get(name, ()):
            if key in OUTSIDE_HASH:
                text = f"ablation `{name}` declares `{key}`, which is no part of what a spec is compared by"
                yield Problem(text=text, hint=f"take `{key}` out of the ablation file", key=key, value=name)
            elif key not in keys and not _of_some_branch(key):
                near = nearest(key, sorted(keys))
                text = f"ablation `{name}` declares `{key}`, which is no key of the spec"
                hint = f"did you mean `{near}`?" if near else "declare each key in full, as train.lr"
                yield Problem(text=text, hint=hint, key=key, value=name)
    for name in changes:
        if name not in names:
            text = f"`changes` has `{name}`, which is not among the ablations `{', '.join(names) or BASELINE}`"
            yield Problem(text=text, hint="an ablation file declares under its own name", key="changes", value=name)


def _of_some_branch(key: str) -> bool:
    """Whether the key has the form of a component's key: model.SLOT.COMPONENT.KEY."""
    return key.startswith("model.") and key.count(".") == 3


def _shared(names: Sequence[str], changes: Changes) -> Iterator[Problem]:
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            for key in changes.get(name, ()):
                if key in changes.get(other, ()):
                    yield Problem(
                        text=f"ablations `{name}` and `{other}` both change `{key}`; allowed: one of them",
                        hint=f"take one out of `ablation`, or sweep over both: -m ablation={name},{other}",
                        key=key,
                        value=f"{name}, {other}",
                    )


def _without_effect(name: str, key: str, row: Mapping[str, Any], overrides: Mapping[str, Any]) -> Problem:
    slot, _, branch = key.removeprefix("model.").partition(".")
    chosen = row["model"].get(slot, {}).get("name") if key.startswith("model.") else None
    value = leaves(row).get(key, ABSENT)
    if key in overrides:
        text = (
            f"ablation `{name}` declares `{key}`, found without effect: the command sets it to `{show(overrides[key])}`"
        )
        hint = f"take `{key}` out of the command, or `{name}` out of `ablation`"
    elif chosen is not None and value is ABSENT:
        text = (
            f"ablation `{name}` declares `{key}`, found without effect: `model.{slot}.name` is `{chosen}`, "
            f"which has no `{branch}`"
        )
        hint = f"`{name}` cannot be combined with what chooses `{chosen}`"
    else:
        text = f"ablation `{name}` declares `{key}`, found without effect: it is `{show(value)}` in the baseline too"
        hint = f"give `{key}` another value in the ablation file, or take it out of its `changes`"
    return Problem(text=text, hint=hint, key=key, value=show(value))


def _undeclared(names: Sequence[str], declared: set[str], key: str, old: Any, new: Any) -> Problem:
    who = f"ablation `{names[0]}` declares" if len(names) == 1 else f"ablations `{'`, `'.join(names)}` declare"
    also = "changes" if len(names) == 1 else "change"
    listed = ", ".join(f"`{one}`" for one in sorted(declared))
    return Problem(
        text=f"{who} {listed} but also {also} `{key}`: {show(old)} -> {show(new)}",
        hint=f"take `{key}` out of the ablation file; given on the command line, the baseline gets it as well",
        key=key,
        value=show(new),
    )
