"""Benchmarks and their blind twins: prompts, answers, per-example scores, and their means."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from experiments.common.interrupt import StopRequest
from experiments.common.progress import Progress
from experiments.data.feature_cache import Features
from experiments.data.source import Sources
from experiments.data.tokenizer import tokenizer_of
from experiments.evaluation.benchmark import BENCHMARKS
from experiments.evaluation.config import EvalConfig
from experiments.evaluation.decode import answer
from experiments.evaluation.overall import overall
from experiments.evaluation.prompts import Prompt, blind_media, build_prompts
from experiments.evaluation.score import score_examples
from experiments.store.names import OVERALL, PREDICTION_COLUMNS, blind
from flamingo_core.flamingo import Flamingo

if TYPE_CHECKING:
    import pandas as pd


class Spec(Protocol):
    """The part of a spec that an evaluation uses."""

    @property
    def title(self) -> str:
        """The printed name of the job."""

    @property
    def seed(self) -> int:
        """The seed of the demonstrations."""

    @property
    def model(self) -> dict[str, Any]:
        """The four slots."""

    def sources(self) -> Sources:
        """The sources of queries, by benchmark."""

    @property
    def eval(self) -> EvalConfig:
        """Benchmarks, shots, batch size, beams and ceilings."""


@dataclass(frozen=True)
class Evaluation:
    """Scores in points by MLflow metric, and the predictions of every benchmark."""

    scores: dict[str, float]
    predictions: "dict[str, pd.DataFrame]"


def all_prompts(spec: Spec, *, split: str = "test") -> dict[str, list[Prompt]]:
    """Every prompt of every benchmark. All rows with the same seed get the same prompts."""
    sources = spec.sources()
    return {
        name: build_prompts(sources.of(name), name, seed=spec.seed, shots=spec.eval.shots, split=split)
        for name in spec.eval.benchmarks
    }


def prompts_hash(prompts: dict[str, list[Prompt]]) -> str:
    """The sha256 of all prompts, in order."""
    return hashlib.sha256("\n".join(prompt.hash for some in prompts.values() for prompt in some).encode()).hexdigest()


def evaluate(
    model: Flamingo,
    spec: Spec,
    prompts: dict[str, list[Prompt]],
    features: Features,
    *,
    stop: StopRequest,
    split: str = "test",
) -> Evaluation:
    """Answer every prompt of a split twice, the second time with the medium of another query instead of its own.

    Raises:
        KeyboardInterrupt: a stop was requested.
    """
    predictions = {}
    total = 2 * sum(map(len, prompts.values()))
    with Progress(f"evaluating {spec.title}", total, "query") as progress:

        def after_batch(benchmark: str, count: int) -> None:
            progress.advance(benchmark, by=count)
            stop.check()

        for benchmark, some in prompts.items():
            predictions[benchmark] = _ask(
                model, spec, benchmark, some, features, partial(after_batch, benchmark), split
            )
    scores: dict[str, float] = {}
    for name, column in ((lambda metric: metric, "score"), (blind, "blind_score")):
        points = {BENCHMARKS.get(each).metric: float(frame[column].mean()) for each, frame in predictions.items()}
        scores.update({name(metric): value for metric, value in points.items()})
        counted = {metric: value for metric, value in points.items() if metric in spec.eval.ceilings}
        scores[name(OVERALL)] = overall(counted, spec.eval.ceilings)
    for benchmark, some in prompts.items():
        if BENCHMARKS.get(benchmark).role != benchmark:
            continue  # further scores of these queries belong to the benchmark of that name
        for name, column in ((lambda metric: metric, "answer"), (blind, "blind_answer")):
            points = _further_scores(some, predictions[benchmark][column])
            scores.update({name(metric): value for metric, value in points.items()})
    return Evaluation(scores, predictions)


def _ask(
    model: Flamingo,
    spec: Spec,
    benchmark: str,
    prompts: list[Prompt],
    features: Features,
    after_batch: Callable[[int], None],
    split: str,
) -> "pd.DataFrame":
    import pandas as pd

    tokenizer, chosen = tokenizer_of(spec.model["lm"]["path"]), BENCHMARKS.get(benchmark)
    texts, references = [prompt.text for prompt in prompts], [list(prompt.query.answers) for prompt in prompts]
    cache = features.of_role(benchmark)
    columns: dict[str, list] = {
        "id": [prompt.query.id for prompt in prompts],
        "medium": [prompt.query.medium for prompt in prompts],
        "prompt": texts,
        "prompt_hash": [prompt.hash for prompt in prompts],
        "demonstrations": [[shown.completion for shown in prompt.demonstrations] for prompt in prompts],
        "references": references,
    }
    twins = blind_media(prompts, cache.source, split=split)
    for prefix, media in (("", [prompt.media for prompt in prompts]), ("blind_", twins)):
        answers = answer(model, tokenizer, texts, media, cache, spec.eval, after_batch=after_batch)
        scored = [chosen.scored_part(prompt.query, text) for prompt, text in zip(prompts, answers, strict=True)]
        columns[f"{prefix}answer"] = answers
        columns[f"{prefix}score"] = score_examples(benchmark, scored, references)
    return pd.DataFrame(columns)[list(PREDICTION_COLUMNS)]


def _further_scores(prompts: list[Prompt], answers: Iterable[str]) -> dict[str, float]:
    """The means of the further scores of queries, by metric."""
    points: dict[str, list[float]] = {}
    for prompt, text in zip(prompts, answers, strict=True):
        for metric, value in prompt.query.further_scores(text).items():
            points.setdefault(metric, []).append(value)
    return {metric: sum(values) / len(prompts) for metric, values in points.items()}
