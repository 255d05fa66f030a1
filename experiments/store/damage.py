"""Damage to stored runs: how it is detected, and how it is reported.

A run that cannot be trusted is left out of every table and counts as not stored; such a file counts as missing. Each
is reported once per command, with the command that makes it again.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from experiments.common.plain_text import visible, visible_lines
from experiments.store.columns import further_columns
from experiments.store.digests import Digests, params_hash
from experiments.store.names import BENCHMARKS, DIGESTS, HASHED
from experiments.store.stored_run import StoredRun

NEEDED = ("ablation", "scale", "seed", "spec_hash", "baseline_hash")  # tags that every reader uses
LATEST = 253_402_300_800_000  # milliseconds: the year 10000, beyond what dates can show
LARGEST = 1e30  # of any figure; MLflow stores infinity as the largest number there is
# Errors from parsing files that were cut short, edited or lost.
UNREADABLE = (ValueError, OSError, LookupError, TypeError, AttributeError)
SHOWN = 40  # characters of a wrong value
LONGEST_REASON = 150

_told: set[str] = set()
_listeners: list[list[str]] = []


class Damaged(ValueError):
    """The data read is not the data that was stored."""


def tell(text: str) -> None:
    """Print a message on stderr, once per command, and pass it to every `heard` context."""
    for heard in _listeners:
        if text not in heard:
            heard.append(text)
    if text not in _told:
        _told.add(text)
        print(visible_lines(text), file=sys.stderr)


def forget() -> None:
    """Start a new command: earlier messages may be printed again."""
    _told.clear()


@contextmanager
def heard() -> Iterator[list[str]]:
    """The messages of `tell` in this context."""
    texts: list[str] = []
    _listeners.append(texts)
    try:
        yield texts
    finally:
        _listeners.remove(texts)


def left_out(run: StoredRun, place: str, reason: str) -> None:
    """Report that a run does not count, why, and the command that makes it again."""
    tell(f"run {shown(run.run_id)} in {place} left out: {reason}\nhint: {makes_again(run)}")


def not_there(run: StoredRun, path: str, reason: str) -> None:
    """Report that a file of a run does not count, why, and the command that makes it again."""
    tell(
        f"{path} of run {run.run_id} ({shown(run.row)} seed {run.seed}) {reason}\nhint: {makes_again(run, stored=True)}"
    )


def makes_again(run: StoredRun, *, stored: bool = False) -> str:
    """The hint with a run's command; a run that is `stored` needs rerun=true in it."""
    from experiments.store.commands import command, origin

    legible = all(type(run.tags.get(tag)) is str and run.tags[tag] for tag in ("ablation", "scale"))
    if not legible or run.seed < 0:
        return "the command of its row makes it again"
    overrides = f"{run.tags.get('overrides', '')} rerun=true" if stored else run.tags.get("overrides", "")
    try:
        said = command(
            run.row, scale=run.tags["scale"], seeds=[run.seed], overrides=overrides, **origin(run.row, [run])
        )
    except (ValueError, TypeError, AttributeError):  # overrides that are not words of a shell
        return "the command of its row makes it again"
    return f"{shown(said, longest=300)} makes it again"


def fault(run: StoredRun) -> str | None:
    """The reason why a run cannot be in any table; None if nothing is wrong with it."""
    for name, value in (("start", run.started), ("end", run.ended)):
        if type(value) is not int or not 0 <= value < LATEST:
            return f"its {name} is `{shown(value)}`, not a time"
    for name, text in run.tags.items():
        if type(text) is not str:
            return f"its tag `{shown(name)}` is not text"
    for name in NEEDED:
        if not run.tags.get(name):
            return f"its tag `{name}` is missing"
    try:
        further_columns(run)
    except ValueError as error:
        return f"its tag `{BENCHMARKS}` cannot be read: {shown(error, longest=LONGEST_REASON)}"
    if run.seed < 0:
        return f"its seed is `{shown(run.tags['seed'])}`, not a number"
    for name, number in run.metrics.items():
        if type(number) not in (float, int):
            return f"its `{shown(name)}` is `{shown(number)}`, not a number"
        if not abs(number) < LARGEST and "/" not in name:  # true for NaN; curves over steps are in no table
            return f"its `{shown(name)}` is `{'nan' if math.isnan(number) else 'inf'}`"
    if run.status != "FINISHED":
        return None
    try:
        digests = digests_of(run.tags)
    except Damaged as error:
        return str(error)
    if digests is None:
        return None
    if digests.times != [run.started, run.ended]:
        return "its start or end is not what was stored"
    changed = digests.what_differs(tags=run.tags, metrics=run.metrics)
    if changed is not None:
        return f"its {changed} are not what was stored"
    return fault_of_params(run.tags, run.params) if isinstance(run.params, dict) else None  # else checked when read


def fault_of_params(tags: Mapping[str, str], params: Mapping[str, str]) -> str | None:
    """The fault in the params of a run with these tags; None if there is none."""
    for name, text in params.items():
        if type(text) is not str or type(name) is not str:
            return f"its param `{shown(name)}` is not text"
    try:
        digests = digests_of(tags)
    except Damaged as error:
        return str(error)
    if digests is None or not digests.params or params_hash(params) in digests.params:
        return None
    return "its params are not what was stored"


def digests_of(tags: Mapping[str, str]) -> Digests | None:
    """The hashes of a run; None for a run that was stored before runs had hashes.

    Raises:
        Damaged: its hashes are lost or changed.
    """
    text = tags.get(DIGESTS)
    if text is None and HASHED not in tags:
        return None
    if text is None or HASHED not in tags:
        raise Damaged("some of its hashes are missing")
    try:
        return Digests.read(text)
    except (ValueError, TypeError) as error:
        raise Damaged(" ".join(str(error).split())) from None


def in_words(error: Exception) -> str:
    """An error on one line, with its type unless it is `Damaged`."""
    text = str(error) if isinstance(error, Damaged) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:200]


def shown(value: Any, *, longest: int = SHOWN) -> str:
    """A value made safe to print: no control characters, at most `longest` characters."""
    text = visible(value.hex() if isinstance(value, bytes) else str(value)[: longest + 1])
    return text if len(text) <= longest else f"{text[:longest]}..."
