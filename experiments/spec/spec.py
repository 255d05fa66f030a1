"""Spec: one resolved and checked experiment, and the functions that turn a command into one or more specs.

All errors in a command are found before anything runs and are reported together.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from experiments.common.problems import Problem, UserError, refuse, show
from experiments.data.config import DATASETS, DataConfig, DatasetConfig
from experiments.data.source import Sources
from experiments.data.world.config import WorldConfig
from experiments.evaluation.benchmark import BENCHMARKS
from experiments.evaluation.config import EvalConfig, default_benchmarks
from experiments.published.table3 import BASELINE, group_of
from experiments.spec.guard import guard
from experiments.spec.identity import component_files, frozen_files, outside_files, spec_hash
from experiments.spec.preflight import check_benchmarks, check_build, check_fit, check_positions, check_shipped
from experiments.spec.resolve import resolve
from experiments.spec.schema import OUTSIDE_HASH, TrainConfig
from experiments.spec.sources import data_hash, sources_of
from experiments.spec.sweep import Sweep, SweepPoint, parse_sweep, points
from experiments.spec.unsaid import UNSAID
from experiments.spec.yaml_files import ABLATION, SCALE, compose_files, known, leaves
from experiments.store.columns import as_tag


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One experiment: its complete settings as plain data, with its names and hashes."""

    tree: dict[str, Any]  # seed, device, compare, rerun, components, model (four slots), train, data, eval
    scale: str
    ablations: tuple[str, ...]  # in the order of the published table; () is the baseline
    changes: dict[str, list[str]]  # the keys each ablation declares
    overrides: tuple[str, ...]  # each `key=value` that changed a value, sorted
    hash: str
    train_hash: str  # over everything that training depends on: equal hashes mean equal weights
    config_dir: str | None = None  # absolute path of `--config-dir`, if an ablation or the scale comes from it
    own_group: str | None = None  # `group` in the file of a row that is not in the published table
    against: "Spec | None" = field(default=None, repr=False)

    @property
    def baseline(self) -> "Spec":
        """The spec of the same command under `ablation=baseline`; for a baseline, the spec itself."""
        return self.against or self

    @property
    def baseline_hash(self) -> str:
        """The hash of the baseline."""
        return self.baseline.hash

    @property
    def changed_keys(self) -> list[str]:
        """Keys whose resolved values differ from the baseline's, paths included."""
        ours, theirs = leaves(self.tree), leaves(self.baseline.tree)
        return sorted(key for key in ours.keys() | theirs.keys() if ours.get(key, UNSAID) != theirs.get(key, UNSAID))

    @property
    def name(self) -> str:
        """`baseline`, or the names of the ablations."""
        return "+".join(self.ablations) or BASELINE

    @property
    def group(self) -> str:
        """`i` to `viii` for a published row, `baseline` or `combination`; for any other row, the group in its file."""
        return group_of(self.ablations, self.own_group)

    @property
    def seed(self) -> int:
        """The seed of all random draws."""
        return int(self.tree["seed"])

    @property
    def title(self) -> str:
        """The job's name in printed output."""
        return f"{self.name} seed {self.seed}"

    @property
    def model(self) -> dict[str, Any]:
        """The four slots, as FlamingoConfig takes them."""
        return dict(self.tree["model"])

    @property
    def train(self) -> TrainConfig:
        """The training config."""
        return TrainConfig(**self.tree["train"])

    @property
    def data(self) -> DataConfig:
        """The config of data sets, batches and the world."""
        return data_config(self.tree)

    @property
    def eval(self) -> EvalConfig:
        """The evaluation config."""
        own = {entry.name for entry in fields(EvalConfig)}
        return EvalConfig(**{key: value for key, value in self.tree["eval"].items() if key in own})

    def sources(self) -> Sources:
        """The sources of documents and queries, by role."""
        return sources_of(self.tree)

    def data_hash(self) -> str:
        """The hash of all data that training and evaluation read."""
        return data_hash(self.tree)

    @property
    def benchmarks(self) -> str | None:
        """Columns of benchmarks that are not in the published table, as a run records them; None if there are none."""
        further = [BENCHMARKS.get(name) for name in self.eval.benchmarks if name not in default_benchmarks()]
        return as_tag(one.column(in_overall=one.metric in self.eval.ceilings) for one in further)

    def yaml(self) -> str:
        """The resolved spec as YAML; comments state its origin."""
        import yaml

        origin = f"# {self.name} at scale {self.scale}, spec {self.hash}, baseline {self.baseline_hash}\n"
        if self.overrides:
            origin += f"# overrides: {' '.join(self.overrides)}\n"
        return origin + yaml.safe_dump(self.tree, sort_keys=False, allow_unicode=True)


def make_spec(*arguments: str, config_dir: Path | None = None) -> Spec:
    """The spec of a command without sweeps: `make_spec("ablation=xattn_every_4th", "seed=1")`.

    Raises:
        UserError: the command is invalid.
    """
    return make_specs(arguments, config_dir=config_dir)[0]


def make_specs(
    arguments: Sequence[str],
    *,
    sweeps: bool = False,
    config_dir: Path | None = None,
    problems: Sequence[Problem] = (),
) -> list[Spec]:
    """The specs of a command, one per job; `problems` are those found so far.

    Raises:
        UserError: the command is invalid; the error lists all problems, and no job runs.
    """
    return specs_of(parse_sweep(arguments, sweeps=sweeps, config_dir=config_dir, problems=problems))


def specs_of(sweep: Sweep) -> list[Spec]:
    """The specs of a parsed command; imports components.

    Raises:
        UserError: the command is invalid; the error lists all problems, and no job runs.
    """
    found, config_dir = list(sweep.problems), sweep.config_dir
    jobs, schema = points(sweep, found)
    files: dict[tuple[str, tuple[str, ...]], Mapping[str, Any]] = {}

    def said(scale: str, ablations: tuple[str, ...]) -> Mapping[str, Any]:
        if (scale, ablations) not in files:
            files[scale, ablations] = compose_files(schema, scale, ablations, config_dir)
        return files[scale, ablations]

    drafts = []
    for job in jobs:
        try:
            drafts.append(_draft(job, said))
        except UserError as error:
            found += error.problems
    refuse(found)
    checked: set[str] = set()
    baselines: dict[str, Spec] = {}
    specs = []
    for row, baseline in drafts:
        try:
            against = None
            if baseline is not None:  # shared by many rows, finished once
                key = json.dumps([baseline.job.scale, baseline.tree], sort_keys=True)
                if key not in baselines:
                    baselines[key] = _finish(baseline, None, checked, config_dir)
                against = baselines[key]
            specs.append(_finish(row, against, checked, config_dir))
        except UserError as error:
            found += error.problems
    refuse(found)
    return specs


def data_config(tree: Mapping[str, Any]) -> DataConfig:
    """The data section of a resolved spec as its dataclasses."""
    data = tree["data"]
    own = {entry.name for entry in fields(DatasetConfig)}
    sets = {name: DatasetConfig(**{key: data[name][key] for key in own if key in data[name]}) for name in DATASETS}
    world = WorldConfig(**data["world"])
    return DataConfig(mixture=list(data["mixture"]), world=world, **sets)


@dataclass(frozen=True)
class Draft:
    """A job with its file contents and its resolved values: a spec without its hash."""

    job: SweepPoint
    files: Mapping[str, Any]
    tree: dict[str, Any]


def _draft(job: SweepPoint, said: Callable[[str, tuple[str, ...]], Mapping[str, Any]]) -> tuple[Draft, Draft | None]:
    """A row with its baseline, checked by the guard; or a baseline alone.

    Raises:
        UserError: one of them cannot be resolved, or the keys that differ are not exactly the declared ones.
    """
    problems: list[Problem] = []
    files = said(job.scale, job.ablations)
    row = Draft(job, files, resolve(files, job.overrides, scale=job.scale, problems=problems))
    refuse(problems)
    if not job.ablations:
        return row, None
    files = said(job.scale, ())
    tree = resolve(files, job.overrides, scale=job.scale, problems=problems, refuse_idle=False)
    refuse(problems)
    baseline = Draft(SweepPoint(job.scale, (), job.overrides), files, tree)
    refuse(guard(job.ablations, row.files["changes"], baseline=tree, row=row.tree, overrides=job.overrides))
    return row, baseline


def _finish(draft: Draft, against: Spec | None, checked: set[str], config_dir: Path | None) -> Spec:
    """The spec of a draft, after checking that model, data and evaluation fit together; seeds share one check.

    Raises:
        UserError: they do not fit.
    """
    job, tree = draft.job, draft.tree
    frozen = frozen_files(tree["model"])
    check_shipped(tree["model"], frozen, job.scale)
    design = json.dumps([tree["model"], tree["data"], tree["eval"]], sort_keys=True)
    if design not in checked:
        check_benchmarks(tree)
        check_fit(tree)
        check_build(tree, job.ablations, job.overrides)
        check_positions(tree)
        checked.add(design)
    files = {**frozen, **component_files(tree["model"], tree["components"]), **outside_files(tree)}
    before, now = leaves(draft.files), leaves(tree)
    made_a_difference = [
        f"{key}={show(now[key])}"
        for key in now
        if any(key == one or key.startswith(f"{one}.") for one in job.overrides)
        and key not in OUTSIDE_HASH
        and now[key] != before.get(key)
    ]
    return Spec(
        tree=tree,
        scale=job.scale,
        ablations=job.ablations,
        changes={name: list(keys) for name, keys in draft.files["changes"].items()},
        overrides=tuple(sorted(made_a_difference)),
        hash=spec_hash(tree, files=files, data=data_hash(tree)),
        train_hash=spec_hash(tree, files=files, data=data_hash(tree, training=True), training=True),
        own_group=draft.files.get("group"),
        config_dir=str(config_dir.resolve()) if config_dir is not None and _needs_own_files(job) else None,
        against=against,
    )


def _needs_own_files(job: SweepPoint) -> bool:
    """Whether the scale or an ablation comes from `--config-dir`."""
    return job.scale not in known(SCALE) or not known(ABLATION).keys() >= set(job.ablations)
