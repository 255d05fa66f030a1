"""Specs, predictions and certificates in miniature, for tests to store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from experiments.evaluation.benchmark import published
from experiments.published import table3
from experiments.published.table3 import COLUMNS as SCORES
from experiments.store.names import blind

CEILINGS = dict(zip(SCORES, (100.0, 80.0, 80.0, 60.0, 90.0), strict=True))
BASELINE_HASH = "b" * 16
COST_METRICS = {"params_total": 2e6, "params_trainable": 1e6, "step_time_s": 0.3}
RATIO = {"step_time_ratio": 0.5, "step_time_ratio_low": 0.45, "step_time_ratio_high": 0.55}
RATIO |= {"paired_baseline_step_time_s": 0.6}
GOOD, BAD = [80.0, 90.0, 70.0, 60.0], [10.0, 20.0, 15.0, 5.0]


@dataclass(frozen=True, kw_only=True)
class FakeSpec:
    """The attributes of a spec that are recorded, without what they come from."""

    name: str = "baseline"
    scale: str = "tiny"
    seed: int = 0
    hash: str = BASELINE_HASH
    train_hash: str = "t" * 16
    baseline_hash: str = BASELINE_HASH
    overrides: tuple[str, ...] = ()
    tree: dict[str, Any] = field(default_factory=dict)
    config_dir: str | None = None
    benchmarks: str | None = None

    @property
    def group(self) -> str:
        """As a spec has it."""
        return table3.group_of(tuple(self.name.split("+")))


def a_tree(placement: str = "every", **more: Any) -> dict[str, Any]:
    """A resolved spec in miniature."""
    model = {"vision": {"name": "nfnet_f6"}, "xattn": {"name": "gated", "placement": placement}}
    return {"seed": 0, "components": [], "model": model, "eval": {"shots": 4, "ceilings": CEILINGS}, **more}


def answers(scores: list[float], *, media: list[str] | None = None, benchmark: str = "vqav2") -> pd.DataFrame:
    """Predictions with these scores, in points; by default each is about a picture of its own."""
    caption = benchmark in ("coco", "vatex")
    return pd.DataFrame(
        [
            {
                "id": f"{benchmark}/{place}",
                "medium": media[place] if media else f"medium/{place}",
                "prompt": f"<image> red <EOC> <image> {'' if caption else f'what is in picture {place} ?'}",
                "prompt_hash": f"{place:064d}",
                "demonstrations": ["red", "two", "a ball", "yes"],
                "answer": f"answer {place} {'right' if score >= 50 else 'wrong'}",
                "references": ["blue", "blue", "navy"],
                "score": float(score),
                "blind_answer": "green",
                "blind_score": 10.0,
            }
            for place, score in enumerate(scores)
        ]
    )


def scored(predictions: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """The metrics that go with published benchmarks' predictions: each score their mean, Overall as above."""
    names = {benchmark.name: benchmark.metric for benchmark in published()}
    predictions = {name: frame for name, frame in predictions.items() if name in names}
    metrics = {names[name]: float(frame["score"].mean()) for name, frame in predictions.items()}
    metrics |= {blind(names[name]): float(frame["blind_score"].mean()) for name, frame in predictions.items()}
    if len(predictions) == len(published()):
        for form in (str, blind):
            metrics[form("overall")] = sum(100 * metrics[form(name)] / CEILINGS[name] / 5 for name in SCORES)
    return metrics


def old_batches() -> list[str]:
    """The batches of a certificate as older code wrote them: the first ones, by data set and step."""
    return [f"{name}/{step}:sha of {step}" for step in range(5) for name in ("m3w", "align", "ltip", "vtp")]


def a_certificate() -> dict[str, Any]:
    """A certificate in miniature: five modules, of which two are cross-attention blocks."""
    modules = ("vision.stages.0", "resampler.layers.0", "lm.model.layers.0", "xattn.0", "xattn.1")
    return {
        "spec_hash": "any",
        "seed": 0,
        "weights": {module: f"sha of {module}" for module in modules},
        "shapes": {module: "4x4 4" for module in modules},
        "batches": {name: f"sha of {name}" for name in ("m3w", "align", "ltip", "vtp")},
        "prompts": "sha of prompts",
        "frozen": {"lm": "sha of lm", "vision": "sha of vision"},
        "data": "sha of data",
        "environment": {"python": "3.11", "torch": "2.13", "device": "cpu", "cpu": "Xeon, AVX512", "threads": 1},
        "against": None,
    }
