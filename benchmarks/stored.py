"""Stores of many runs, to measure what reads them: real specs and files of the sizes that desk has, nothing trained."""

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd

from experiments.evaluation.benchmark import published
from experiments.published import table3
from experiments.spec.spec import Spec, make_specs
from experiments.store.digests import Digests, metrics_digest, params_hash, tags_hash
from experiments.store.lifecycle import Git, start_run
from experiments.store.names import CERTIFICATE_FILE, COSTS, DIGESTS, OVERALL, PREDICTIONS_FOLDER, blind

QUERIES = 400  # a benchmark, as desk has them
MODULES = 40  # hashed by a certificate


def make_store(file: Path, runs: int) -> None:
    """A new sqlite store at `file` of this many finished desk runs: the 18 rows, on as many seeds as it takes.

    Seed 0 is written by `tracking`; the other seeds are copies of it by SQL with other scores, which takes seconds
    where writing through MLflow takes an hour. Losses over steps are left out: no table reads them.
    """
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{file}"
    rows = list(table3.rows())
    specs = make_specs([f"ablation={','.join(rows)}", "scale=desk", "seed=0"], sweeps=True)
    rng = np.random.default_rng(0)
    firsts = [_written(spec, rng, file.parent) for spec in specs]
    with closing(sqlite3.connect(file)) as connection, connection:
        for place in range(len(firsts), runs):
            _copied(connection, firsts[place % len(firsts)], seed=place // len(firsts), rng=rng)


def _written(spec: Spec, rng: np.random.Generator, folder: Path) -> str:
    """One run as a job would leave it."""
    run = start_run(spec, git=Git("0" * 40, "false"))
    files = folder / "files" / run.run_id
    (files / PREDICTIONS_FOLDER).mkdir(parents=True)
    metrics: dict[str, float] = {**dict.fromkeys(COSTS, 1.0), "params_total": 3e6, "params_trainable": 1.4e6}
    for benchmark in published():
        frame = _predictions(benchmark.name, rng)
        frame.to_parquet(files / PREDICTIONS_FOLDER / f"{benchmark.name}.parquet")
        metrics[benchmark.metric] = float(frame["score"].mean())
        metrics[blind(benchmark.metric)] = float(frame["blind_score"].mean())
    metrics |= {OVERALL: 60.0, blind(OVERALL): 6.0}
    (files / CERTIFICATE_FILE).write_text(json.dumps(_certificate(spec)), encoding="utf-8")
    run.log_artifacts(files)
    run.log_metrics(metrics)
    run.finish("FINISHED")
    return run.run_id


def _predictions(benchmark: str, rng: np.random.Generator) -> pd.DataFrame:
    names = [f"test/{benchmark}/{place}" for place in range(QUERIES)]
    return pd.DataFrame(
        {
            "id": names,
            "medium": names,
            "prompt": [f"<image> a picture <EOC> <image> what is in {name} ?" for name in names],
            "prompt_hash": [f"{place:064x}" for place in range(QUERIES)],
            "demonstrations": [["a picture", "two", "red", "yes"]] * QUERIES,
            "answer": [f"answer {place}" for place in range(QUERIES)],
            "references": [["red", "red", "dark red"]] * QUERIES,
            "score": rng.choice([0.0, 30.0, 60.0, 90.0, 100.0], QUERIES),
            "blind_answer": "green",
            "blind_score": rng.choice([0.0, 30.0], QUERIES),
        }
    )


def _certificate(spec: Spec) -> dict[str, Any]:
    modules = [f"lm.model.layers.{place}" for place in range(MODULES)]
    return {
        "spec_hash": spec.hash,
        "seed": spec.seed,
        "weights": {module: f"{place:064x}" for place, module in enumerate(modules)},
        "shapes": dict.fromkeys(modules, "96x96 96"),
        "batches": [f"{name}/{step}:{step:064x}" for step in range(5) for name in ("m3w", "align", "ltip", "vtp")],
        "prompts": "0" * 64,
        "frozen": {"lm": "0" * 64, "vision": "0" * 64},
        "data": "0" * 64,
        "environment": {"python": "3.11", "torch": "2", "device": "cpu", "threads": 1},
        "against": None,
    }


def _copied(connection: sqlite3.Connection, first: str, *, seed: int, rng: np.random.Generator) -> None:
    """The run `first` again on another seed, with scores of its own and files that are the same ones by other names."""
    run_id = uuid4().hex
    ((found,),) = connection.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (first,))
    old = Path(str(found).removeprefix("file://"))
    new = old.parents[1] / run_id / old.name
    for file in (path for path in old.rglob("*") if path.is_file()):
        target = new / file.relative_to(old)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, target)
    _copy_rows(connection, "runs", first, {"run_uuid": run_id, "artifact_uri": new.as_uri()})
    for table in ("tags", "params", "latest_metrics"):
        _copy_rows(connection, table, first, {"run_uuid": run_id})
    for table in ("tags", "params"):
        connection.execute(f"UPDATE {table} SET value = ? WHERE run_uuid = ? AND key = 'seed'", (str(seed), run_id))
    scores: Sequence[str] = (OVERALL, *(benchmark.metric for benchmark in published()))
    for metric in scores:
        change = "UPDATE latest_metrics SET value = value + ? WHERE run_uuid = ? AND key = ?"
        connection.execute(change, (float(rng.normal(0, 2)), run_id, metric))
    _seal(connection, run_id)


def _seal(connection: sqlite3.Connection, run_id: str) -> None:
    """Its hashes are those of what it is now."""

    def all_of(table: str) -> dict[str, Any]:
        return dict(connection.execute(f"SELECT key, value FROM {table} WHERE run_uuid = ?", (run_id,)))

    digests = Digests.read(all_of("tags")[DIGESTS])
    digests.metrics = [metrics_digest(all_of("latest_metrics"))]
    digests.tags, digests.params = [tags_hash(all_of("tags"))], [params_hash(all_of("params"))]
    change = "UPDATE tags SET value = ? WHERE run_uuid = ? AND key = ?"
    connection.execute(change, (digests.text(), run_id, DIGESTS))


def _copy_rows(connection: sqlite3.Connection, table: str, run_id: str, changed: dict[str, str]) -> None:
    """Rows of a run again, with these columns changed."""
    columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    taken = ", ".join("?" if name in changed else f'"{name}"' for name in columns)
    values = [changed[name] for name in columns if name in changed]
    connection.execute(f"INSERT INTO {table} SELECT {taken} FROM {table} WHERE run_uuid = ?", (*values, run_id))
