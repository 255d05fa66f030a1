"""Which benchmarks are run, how, and which of them count in Overall."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.common.problems import Problem, did_you_mean, wrong_value
from experiments.common.rules import ADDED, Checked, Rule, allow, at_least
from experiments.evaluation.benchmark import BENCHMARKS, published

SHOTS = ("0", "4", "8", "16", "32")


def default_benchmarks() -> list[str]:
    """The benchmarks of the published table, in its order."""
    return [benchmark.name for benchmark in published()]


def _registered_each_once() -> Rule:
    """The rule of `eval.benchmarks`; benchmarks from outside are allowed once their module is imported."""
    names = BENCHMARKS.names()
    return Rule(
        f"a list of {', '.join(names)}, each at most once, at least one",
        lambda value: 0 < len(value) == len(set(value) & set(names)),
        names,
    )


def _points_by_metric() -> Rule:
    """The rule of `eval.ceilings`; which metrics are allowed depends on the benchmarks: see `wrong_ceilings`."""
    metrics = ", ".join(benchmark.metric for benchmark in published())
    return Rule(f"points above 0 for each of {metrics}", lambda value: isinstance(value, Mapping))


@dataclass(kw_only=True, slots=True)
class EvalConfig(Checked):
    """Benchmarks, prompts and decoding."""

    benchmarks: list[str] = field(default_factory=default_benchmarks, metadata={"rule": _registered_each_once, **ADDED})
    shots: int = field(default=4, metadata=allow(", ".join(SHOTS), lambda value: str(value) in SHOTS, SHOTS))
    batch_size: int = field(metadata=at_least(1))
    beams: int = field(default=1, metadata=at_least(1))
    max_new_tokens: int = field(metadata=at_least(1))
    ceilings: dict[str, float] = field(metadata={"rule": _points_by_metric})  # that count as 100 in Overall


def ceilings_of_run(
    benchmarks: Sequence[str], ceilings: Mapping[str, Any], kept: Collection[str] = ()
) -> dict[str, Any]:
    """The ceilings of the benchmarks that are run, and those in `kept`; a scale may have more."""
    others = {BENCHMARKS.get(name).metric for name in BENCHMARKS.names() if name not in benchmarks}
    return {metric: points for metric, points in ceilings.items() if metric in kept or metric not in others}


def wrong_ceilings(benchmarks: Sequence[str], ceilings: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems with `eval.ceilings`, given the benchmarks that are run.

    Every benchmark of the published table that is run needs a ceiling and counts in Overall. Any other counts if it has
    a ceiling.
    """
    run = {BENCHMARKS.get(name).metric: BENCHMARKS.get(name) for name in benchmarks}
    needed = [one.metric for one in published() if one.metric in run]
    allowed = f"points above 0 for each of {', '.join(needed)}" if needed else "points above 0"
    others = [metric for metric in run if metric not in needed]
    if others:
        allowed += f"{', and' if needed else ''} for {', '.join(others)} where they are to count in Overall"
    for metric, points in ceilings.items():
        key = f"eval.ceilings.{metric}"
        if metric not in run:
            yield wrong_value(key, points, allowed, _meant(metric, benchmarks, list(run)))
        elif not (isinstance(points, int | float) and 0 < points < math.inf):
            yield wrong_value(key, points, allowed)
    missing = [metric for metric in needed if metric not in ceilings]
    if missing or not ceilings:
        said = " ".join(f"eval.ceilings.{metric}={run[metric].ceiling:g}" for metric in missing or others)
        hint = f"the published {'one' if len(missing) == 1 else 'ones'}: {said}" if missing else f"as {said}"
        yield wrong_value("eval.ceilings", dict(ceilings), allowed, hint)


def _meant(metric: str, benchmarks: Sequence[str], run: Sequence[str]) -> str:
    """A hint: the metric that was probably meant, or the benchmark to run with it."""
    names = BENCHMARKS.names()
    if metric in names:
        return f"did you mean `eval.ceilings.{BENCHMARKS.get(metric).metric}`?"
    owner = next((name for name in names if BENCHMARKS.get(name).metric == metric), None)
    if owner is None:
        return did_you_mean(metric, run) or "`eval.benchmarks` says what is run"
    return f"run it too: eval.benchmarks=[{','.join([*benchmarks, owner])}]"
