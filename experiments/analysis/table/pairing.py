"""Compare two runs by their certificates: what is equal, different as declared, or different without being declared.

Two runs are paired if nothing differs except what the row's spec declares. The row's certificate records the changed
keys: both specs were resolved in the same checkout, so file locations do not count as differences. For a certificate
without this record, the stored params are compared, ignoring paths: only a file's content matters.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.store import reader
from experiments.store.names import is_path
from experiments.store.stored_run import StoredRun

# Slots whose sizes depend on another slot's: the resampler's input width is the encoder's output width, and so on.
# A grafted stack adds layers of the language model's class.
FOLLOWERS = {"vision": ("resampler",), "resampler": (), "xattn": ("lm",), "lm": ("resampler", "xattn")}
# Keys that select which modules exist or are trained, without changing the initial weights of the remaining ones.
SAME_WEIGHTS = {"model.xattn.placement", "model.lm.freeze"}
MIXTURE, STEPS = "data.mixture", "train.steps"
LM_PATH = "model.lm.path"  # a language model comes with its tokenizer
CHANGES = "changes"  # in a row's certificate: the keys in which its spec differs from its baseline's
COMMON = ("batches", "prompts", "data")  # printed by name, after the module count
WEIGHTS = "weights."
NOTHING: tuple[Any, ...] = (None, "", [], {})  # values whose equality in two certificates proves nothing
NO_FILE = "null"  # the param of a path that is not set
LISTED = 8  # differences that are printed by name


@dataclass(frozen=True)
class Pairing:
    """Names of compared entries: `weights.<module>`, batches, prompts, data, `frozen.<slot>`, `environment.<name>`."""

    equal: tuple[str, ...]
    declared: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def paired(self) -> bool:
        """Whether there are no unexpected differences."""
        return not self.unexpected

    def sentence(self) -> str:
        """The printed line: the equal entries, or `NOT PAIRED:` and the unexpected differences."""
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
    """Compare two stored runs; None if either has no certificate."""
    ours, theirs = reader.certificate(row), reader.certificate(baseline)
    if ours is None or theirs is None:
        return None
    return compare(ours, theirs, changes(row, baseline, ours))


def changes(row: StoredRun, baseline: StoredRun, certificate: Mapping[str, Any] | None) -> set[str]:
    """The keys that a row changes: as recorded in its certificate, else those whose params differ."""
    recorded = (certificate or {}).get(CHANGES)
    if recorded is None or row.tags.get("baseline_hash") != baseline.tags.get("spec_hash"):
        return changed_keys(row.params, baseline.params)
    return set(recorded)


def changed_keys(row: Mapping[str, str], baseline: Mapping[str, str]) -> set[str]:
    """The keys whose params differ between two runs. A path counts only if one of the runs has none."""
    return {
        key
        for key in row.keys() | baseline.keys()
        if row.get(key) != baseline.get(key)
        and (not is_path(key) or NO_FILE in (row.get(key, NO_FILE), baseline.get(key, NO_FILE)))
    }


def compare(row: Mapping[str, Any], baseline: Mapping[str, Any], changed: set[str]) -> Pairing:
    """Compare two certificates whose specs differ in the keys `changed`."""
    ours, theirs = dict(_entries(row)), dict(_entries(baseline))
    excused = _excused_batches(row, baseline, changed)
    if MIXTURE in changed:
        # Each data set has its own order: leaving one out must not change the batches of those both runs use.
        shared = _batches(row).keys() & _batches(baseline).keys()
        for side, certificate in ((ours, row), (theirs, baseline)):
            side["batches"] = {place: _batches(certificate)[place] for place in sorted(shared)}
    equal, declared, unexpected = [], [], []
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if name in ours and name in theirs and ours[name] == theirs[name] and ours[name] not in NOTHING:
            equal.append(name)
        elif _is_declared(name, changed, resized=_is_resized(name, row, baseline), excused=excused):
            declared.append(name)
        else:
            unexpected.append(_told(name, ours.get(name), theirs.get(name), row, baseline))
    return Pairing(tuple(equal), tuple(declared), tuple(unexpected))


def _excused_batches(row: Mapping[str, Any], baseline: Mapping[str, Any], changed: set[str]) -> bool:
    """Whether batches may differ with unchanged data: other tokenizer, other number of steps, no shared data set."""
    ours, theirs = _batches(row), _batches(baseline)
    if not ours or not theirs or _is_old_form(row) != _is_old_form(baseline):
        return False
    tokens = [certificate.get("frozen", {}).get("tokenizer") for certificate in (row, baseline)]
    return (
        (LM_PATH in changed and tokens[0] != tokens[1])
        or (STEPS in changed and ours.keys() == theirs.keys() and not _is_old_form(row))
        or (MIXTURE in changed and not ours.keys() & theirs.keys() and not _is_old_form(row))
    )


def _told(name: str, ours: Any, theirs: Any, row: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    """A difference as printed: with both values unless they are hashes, or the reason why they cannot be compared."""
    if name == "batches" and _is_old_form(row) != _is_old_form(baseline):
        return "batches (those of one run were hashed by older code: not comparable until rerun=true makes it again)"
    if name.startswith("environment.") or name == "seed":
        return f"{name} ({ours} against {theirs})"
    return f"{name} (not recorded)" if "." not in name and (ours in NOTHING or theirs in NOTHING) else name


def _is_old_form(certificate: Mapping[str, Any]) -> bool:
    """Whether it lists the first batches, as certificates did before they held one hash per data set over all."""
    return isinstance(certificate.get("batches"), list)


def _batches(certificate: Mapping[str, Any]) -> dict[str, str]:
    """The hash over all batches, by data set; for an older certificate, hashes of the first ones by `data set/step`."""
    recorded = certificate.get("batches") or {}
    return dict(entry.split(":", 1) for entry in recorded) if _is_old_form(certificate) else dict(recorded)


def _entries(certificate: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ("seed", *COMMON):
        yield name, certificate.get(name)
    for group in ("weights", "frozen", "environment"):
        recorded = certificate.get(group)
        if not recorded:
            yield group, None
        for name, value in (recorded or {}).items():
            yield f"{group}.{name}", value


def _is_resized(name: str, row: Mapping[str, Any], baseline: Mapping[str, Any]) -> bool:
    """Whether a module is in only one of the two, or its weights differ in shape."""
    module = name.removeprefix(WEIGHTS)
    in_one = (module in row.get("weights", {})) != (module in baseline.get("weights", {}))
    return in_one or row.get("shapes", {}).get(module) != baseline.get("shapes", {}).get(module)


def _is_declared(name: str, changed: set[str], *, resized: bool, excused: bool) -> bool:
    group, _, rest = name.partition(".")
    if group == "weights":
        slots, slot = _slots(changed), rest.partition(".")[0]
        if resized:
            return slot in slots or any(slot in FOLLOWERS[other] for other in slots)
        return slot in _slots(changed - SAME_WEIGHTS)
    if group == "frozen":
        return LM_PATH in changed if rest == "tokenizer" else rest in _slots(changed)
    if group in ("batches", "data"):
        return (excused and group == "batches") or any(key.startswith("data.") for key in changed - {MIXTURE})
    return group == "prompts" and any(key.startswith(("eval.", "data.world.")) for key in changed)


def _slots(keys: set[str]) -> set[str]:
    return {slot for slot in FOLLOWERS if any(key.startswith(f"model.{slot}.") for key in keys)}
