"""Spec: one experiment, resolved and checked, and how a command becomes one or several of them.

Everything that is wrong with a command is found before anything runs, and reported at once.
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
    """One experiment: plain data in which every value is said, and what it is known by."""

    tree: dict[str, Any]  # seed, device, compare, rerun, components, model (four slots), train, data, eval
    scale: str
    ablations: tuple[str, ...]  # in the order of the published table; () is the baseline
    changes: dict[str, list[str]]  # what each ablation declares
    overrides: tuple[str, ...]  # `key=value` that made a difference, sorted
    hash: str
    train_hash: str  # that of what training depends on: equal hashes, equal weights
    config_dir: str | None = None  # the absolute folder of `--config-dir`, where ablation or scale is from there
    own_group: str | None = None  # what the file of a row says that the published table does not have
    against: "Spec | None" = field(default=None, repr=False)

    @property
    def baseline(self) -> "Spec":
        """The same command under `ablation=baseline`; the baseline's own is itself."""
        return self.against or self

    @property
    def baseline_hash(self) -> str:
        """The hash of the baseline."""
        return self.baseline.hash

    @property
    def changed_keys(self) -> list[str]:
        """The keys in which it differs from its baseline; resolved at once, so that a path counts too."""
        ours, theirs = leaves(self.tree), leaves(self.baseline.tree)
        return sorted(key for key in ours.keys() | theirs.keys() if ours.get(key, UNSAID) != theirs.get(key, UNSAID))

    @property
    def name(self) -> str:
        """`baseline`, or the names of the ablations."""
        return "+".join(self.ablations) or BASELINE

    @property
    def group(self) -> str:
        """`i` to `viii` of the published table, `baseline` or `combination`; of another row, what its file says."""
        return group_of(self.ablations, self.own_group)

    @property
    def seed(self) -> int:
        """The seed of everything that is drawn."""
        return int(self.tree["seed"])

    @property
    def title(self) -> str:
        """The job as it is called in what is printed."""
        return f"{self.name} seed {self.seed}"

    @property
    def model(self) -> dict[str, Any]:
        """The four slots, as FlamingoConfig takes them."""
        return dict(self.tree["model"])

    @property
    def train(self) -> TrainConfig:
        """How it trains."""
        return TrainConfig(**self.tree["train"])

    @property
    def data(self) -> DataConfig:
        """Data sets, their batches and the world."""
        return data_config(self.tree)

    @property
    def eval(self) -> EvalConfig:
        """How it is evaluated."""
        own = {entry.name for entry in fields(EvalConfig)}
        return EvalConfig(**{key: value for key, value in self.tree["eval"].items() if key in own})

    def sources(self) -> Sources:
        """Where documents and queries come from, by role."""
        return sources_of(self.tree)

    def data_hash(self) -> str:
        """The hash of everything that training and evaluation read."""
        return data_hash(self.tree)

    @property
    def benchmarks(self) -> str | None:
        """Columns of benchmarks that the published table lacks, as a run records them; None where there are none."""
        further = [BENCHMARKS.get(name) for name in self.eval.benchmarks if name not in default_benchmarks()]
        return as_tag(one.column(in_overall=one.metric in self.eval.ceilings) for one in further)

    def yaml(self) -> str:
        """The resolved spec as YAML; comments say what it came from."""
        import yaml

        origin = f"# {self.name} at scale {self.scale}, spec {self.hash}, baseline {self.baseline_hash}\n"
        if self.overrides:
            origin += f"# overrides: {' '.join(self.overrides)}\n"
        return origin + yaml.safe_dump(self.tree, sort_keys=False, allow_unicode=True)


def make_spec(*arguments: str, config_dir: Path | None = None) -> Spec:
    """The spec of a command without sweeps: `make_spec("ablation=xattn_every_4th", "seed=1")`.

    Raises:
        UserError: something is wrong with it.
    """
    return make_specs(arguments, config_dir=config_dir)[0]


def make_specs(
    arguments: Sequence[str],
    *,
    sweeps: bool = False,
    config_dir: Path | None = None,
    problems: Sequence[Problem] = (),
) -> list[Spec]:
    """The specs of a command, one a job; `problems` are those that were found before.

    Raises:
        UserError: something is wrong with it; all of it is named, and no job is let through.
    """
    return specs_of(parse_sweep(arguments, sweeps=sweeps, config_dir=config_dir, problems=problems))


def specs_of(sweep: Sweep) -> list[Spec]:
    """The specs of a command that has been parsed; components are imported.

    Raises:
        UserError: something is wrong with it; all of it is named, and no job is let through.
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
            if baseline is not None:  # that of many rows, and finished once
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
    """A job with what its files say, resolved: a spec but for its hash."""

    job: SweepPoint
    files: Mapping[str, Any]
    tree: dict[str, Any]


def _draft(job: SweepPoint, said: Callable[[str, tuple[str, ...]], Mapping[str, Any]]) -> tuple[Draft, Draft | None]:
    """A row and its baseline, guarded; a baseline alone.

    Raises:
        UserError: one of them cannot be resolved, or the row differs from the baseline elsewhere than it declares.
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
    """The spec of a draft, once the world and the model that it describes hold together; seeds share one check.

    Raises:
        UserError: they do not.
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
