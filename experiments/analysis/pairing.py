"""What two runs have in common, from their certificates: equal, different as declared, different for no stated reason.

Two runs are paired where nothing differs but what their specs say differs. Which keys differ is read from the stored
params, so that a run answers for itself, without the code that made it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.analysis import results
from experiments.analysis.results import StoredRun

# The parts whose sizes follow from another part's: the resampler reads as wide as the encoder writes, and so on.
# A grafted stack brings layers of the language model's class.
FOLLOWERS = {"vision": ("resampler",), "resampler": (), "xattn": ("lm",), "lm": ("resampler", "xattn")}
# Keys that say which modules there are, or which are trained, and leave the weights of those that stay as they are.
SAME_WEIGHTS = {"model.xattn.placement", "model.lm.freeze"}
MIXTURE, LM_PATH = "data.mixture", "model.lm.path"  # a language model brings its tokenizer
COMMON = ("batches", "prompts", "data")  # what is printed by name beside the modules
WEIGHTS = "weights."
LISTED = 8  # differences that are printed by name


@dataclass(frozen=True)
class Pairing:
    """Names of what was compared: `weights.<module>`, batches, prompts, data, `frozen.<slot>`, `environment.<name>`."""

    equal: tuple[str, ...]
    declared: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def paired(self) -> bool:
        """Whether nothing differs that should not."""
        return not self.unexpected

    def sentence(self) -> str:
        """The printed line: what is equal, or `NOT PAIRED:` and what differs."""
        if not self.paired:
            more = len(self.unexpected) - LISTED
            return f"NOT PAIRED: {', '.join(self.unexpected[:LISTED])}" + (f" and {more} more" if more > 0 else "")
        modules = sum(name.startswith(WEIGHTS) for name in self.equal)
        same = [f"{modules} of {modules} untouched modules", *(name for name in COMMON if name in self.equal)]
        declared = [name for name in COMMON if name in self.declared]
        return f"paired: {', '.join(same)} equal" + (
            f"; changed as declared: {', '.join(declared)}" if declared else ""
        )


def of_runs(row: StoredRun, baseline: StoredRun) -> Pairing | None:
    """Compare two stored runs; None where either has no certificate."""
    ours, theirs = results.certificate(row), results.certificate(baseline)
    if ours is None or theirs is None:
        return None
    return compare(ours, theirs, changed_keys(row.params, baseline.params))


def changed_keys(row: Mapping[str, str], baseline: Mapping[str, str]) -> set[str]:
    """The keys in which two runs' params differ."""
    return {key for key in row.keys() | baseline.keys() if row.get(key) != baseline.get(key)}


def compare(row: Mapping[str, Any], baseline: Mapping[str, Any], changed: set[str]) -> Pairing:
    """Compare two certificates, of specs that differ in the keys `changed`."""
    ours, theirs = dict(_entries(row)), dict(_entries(baseline))
    if MIXTURE in changed:
        # Each data set has an order of its own: what both draw from must not differ by what one leaves out.
        shared = _batches(row).keys() & _batches(baseline).keys()
        for side, certificate in ((ours, row), (theirs, baseline)):
            side["batches"] = {place: _batches(certificate)[place] for place in sorted(shared)}
    equal, declared, unexpected = [], [], []
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if name in ours and name in theirs and ours[name] == theirs[name]:
            equal.append(name)
        elif _is_declared(name, changed, resized=_is_resized(name, row, baseline)):
            declared.append(name)
        elif name.startswith("environment.") or name == "seed":
            unexpected.append(f"{name} ({ours.get(name)} against {theirs.get(name)})")
        else:
            unexpected.append(name)
    return Pairing(tuple(equal), tuple(declared), tuple(unexpected))


def _batches(certificate: Mapping[str, Any]) -> dict[str, str]:
    """The first batches by data set and step, from entries `data set/step:hash`."""
    return dict(entry.split(":", 1) for entry in certificate.get("batches", []))


def _entries(certificate: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ("seed", *COMMON):
        yield name, certificate.get(name)
    for group in ("weights", "frozen", "environment"):
        for name, value in certificate.get(group, {}).items():
            yield f"{group}.{name}", value


def _is_resized(name: str, row: Mapping[str, Any], baseline: Mapping[str, Any]) -> bool:
    """Whether a module is in one of the two only, or has weights of other shapes in each."""
    module = name.removeprefix(WEIGHTS)
    in_one = (module in row.get("weights", {})) != (module in baseline.get("weights", {}))
    return in_one or row.get("shapes", {}).get(module) != baseline.get("shapes", {}).get(module)


def _is_declared(name: str, changed: set[str], *, resized: bool) -> bool:
    group, _, rest = name.partition(".")
    if group == "weights":
        slots, slot = _slots(changed), rest.partition(".")[0]
        if resized:
            return slot in slots or any(slot in FOLLOWERS[other] for other in slots)
        return slot in _slots(changed - SAME_WEIGHTS)
    if group == "frozen":
        return LM_PATH in changed if rest == "tokenizer" else rest in _slots(changed)
    if group in ("batches", "data"):
        return any(key.startswith("data.") for key in changed - {MIXTURE})
    return group == "prompts" and any(key.startswith(("eval.", "data.world.")) for key in changed)


def _slots(keys: set[str]) -> set[str]:
    return {slot for slot in FOLLOWERS if any(key.startswith(f"model.{slot}.") for key in keys)}
