"""The text of `python -m experiments.run --help`: ablations, scales, keys with their defaults, flags, exit codes.

Read from the YAML files and the schema; only components that `components=` names are imported, so that help is fast.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from experiments.common.plain_text import visible_lines
from experiments.common.problems import Problem, show
from experiments.data.config import DATASETS
from experiments.evaluation.benchmark import BENCHMARKS
from experiments.evaluation.config import SHOTS, EvalConfig
from experiments.published.table3 import BASELINE, rows
from experiments.spec.schema import DEVICES, Experiment, LMSlot, TrainConfig
from experiments.spec.yaml_files import ABLATION, EXECUTOR, HEADER, SCALE, default_scale, known, plain_values
from experiments.store.error import CACHE_VARIABLE, URI_VARIABLE
from experiments.store.places import LOCKS_VARIABLE
from flamingo_core.xattn.placement import PLACEMENTS

# The stable keys with their descriptions. COMPONENTS stands for the slot's components, BENCHMARKS for all benchmarks.
KEYS = {
    "seed": "of weights, data order and prompts; -m seed=0,1,2 runs each",
    "device": f"{', '.join(DEVICES)}",
    "compare": "run the baseline too where it is not stored, and time both",
    "rerun": "run again what is stored already",
    "debug": "show tracebacks",
    "components": "modules with components of your own, as [my.module]",
    "model.vision.name": "vision encoder: COMPONENTS",
    "model.resampler.name": "resampler: COMPONENTS",
    "model.resampler.perceiver.num_latents": "tokens that a medium becomes",
    "model.xattn.name": "cross-attention blocks: COMPONENTS",
    "model.xattn.placement": f"where: {PLACEMENTS}",
    "model.xattn.gated.tanh_gating": "gates that start at zero, or plain residuals",
    "model.lm.name": "family of the language model: COMPONENTS",
    "model.lm.freeze": "keep the language model as it is",
    "model.lm.weights": "pretrained, random",
    "model.lm.path": "directory of a language model, as save_pretrained writes it",
    "train.steps": "a step is one batch of every data set in the mixture",
    "train.lr": "learning rate of what is new",
    "train.lr_lm": "learning rate of the language model where it is not frozen",
    "train.objective": "accumulation (one update a step), round_robin (one a data set)",
    "train.checkpoint_every": "steps from one checkpoint to the next",
    "data.mixture": f"data sets of a step, a list of {', '.join(DATASETS)}",
    "eval.benchmarks": "a list of BENCHMARKS",
    "eval.shots": f"demonstrations in a prompt: {', '.join(SHOTS)}",
    "eval.batch_size": "prompts at once; scores do not depend on it",
    "eval.beams": "1 decodes greedily",
}

FLAGS = {
    "-m, --multirun": "run every combination of the values given with commas between; one wrong, none runs",
    "--cfg job": "print the resolved spec as YAML, and run nothing",
    "--json": "print one JSON object on stdout, and nothing else",
    "--workers N": "jobs at once, of one thread each; without it, one a core",
    "--executor NAME": "where jobs run; without it, here where one runs at a time, else as --executor local",
    "--config-dir DIR": "add the YAML files in DIR/ablation, DIR/scale and DIR/executor",
    "-h, --help": "print this",
}

EXAMPLES = (
    "python -m experiments.run ablation=xattn_every_4th",
    "python -m experiments.run -m ablation=xattn_every_4th seed=0,1,2",
    "python -m experiments.run ablation=[xattn_every_4th,resampler_mlp] eval.shots=8",
    "python -m experiments.run ablation=tanh_gating_off train.steps=40 --cfg job",
)

ENVIRONMENT = {
    URI_VARIABLE: "the store: sqlite:////absolute/path.db or http://host:port; without it, mlruns/mlflow.db",
    CACHE_VARIABLE: "the folder of what can be made again; without it, .cache of the checkout",
    LOCKS_VARIABLE: "the folder of the locks by which timing has a machine to itself; without it, /tmp",
}

EXIT_CODES = {
    "0": "done",
    "1": "a run failed; the others still finished",
    "2": "the request is wrong, or the store or disk cannot be used; nothing was written",
    "130": "stopped by Ctrl-C; by another signal n: 128 + n",
}


def run_help(config_dir: Path | None = None, overrides: Sequence[str] = ()) -> str:
    """The whole help text; modules that `components=` names are imported, so that their classes are listed."""
    outside = _import_components(overrides)
    parts = [
        "python -m experiments.run [ablation=NAME] [scale=NAME] [key=value ...] [flags]\n\n"
        "Runs one ablation beside the baseline and prints the row beside the published one; without an ablation the\n"
        "baseline alone. What is stored already is reported, not run again.",
        _section("ablations: ablation=NAME, or [NAME,NAME] at once", _ablations(config_dir)),
        _section("scales: scale=NAME", _scales(config_dir)),
        _section("keys: key=value, with what they are by default; --cfg job shows all", _keys(outside)),
        _section("flags, anywhere in the command", FLAGS),
        _section("sources: data.ROLE.source=NAME, eval.BENCHMARK.source=NAME", _sources()),
        _section("executors: --executor NAME", _executors(config_dir)),
        "examples\n" + "\n".join(f"  {example}" for example in EXAMPLES),
        _section("environment", ENVIRONMENT),
        _section("exit codes", EXIT_CODES),
    ]
    return visible_lines("\n\n".join(parts))


def executors_help(config_dir: str | None, overrides: Sequence[str]) -> str:
    """The executors only, including those of modules that `components=` names."""
    _import_components(overrides)
    lines = _executors(None if config_dir is None else Path(config_dir))
    return visible_lines(_section("executors: --executor NAME", lines))


def _import_components(overrides: Sequence[str]) -> bool:
    """Import the modules of `components=`, if given; a failed import is printed on stderr, and help continues."""
    typed = [override for override in overrides if override.partition("=")[0] == "components"]
    if not typed:
        return False
    from experiments.spec.overrides import parse
    from experiments.spec.sweep import import_components

    problems: list[Problem] = []
    for override in parse(typed[:1], sweeps=False, keys=(), problems=problems):
        modules = override.values[0] if isinstance(override.values[0], list) else override.values
        import_components([str(module) for module in modules], problems)
    for problem in problems:
        print(visible_lines(str(problem)), file=sys.stderr)
    return True


def _section(title: str, lines: Mapping[str, str]) -> str:
    width = max(len(name) for name in lines) + 2
    return "\n".join([title, *(f"  {name:<{width}}{text}".rstrip() for name, text in lines.items())])


def _ablations(config_dir: Path | None) -> dict[str, str]:
    lines, published = {}, rows()
    for name, path in known(ABLATION, config_dir).items():
        row = published.get(name)
        if row is None:
            lines[name] = _first_comment(path)
        elif name == BASELINE:
            lines[name] = f"{row.setting}: nothing changes"
        else:
            lines[name] = f"{row.group:<5}{row.setting}: {row.original_value} -> {row.changed_value}"
    return lines


def _scales(config_dir: Path | None) -> dict[str, str]:
    default = default_scale()
    return {
        name + " (default)" * (name == default): _first_comment(path) for name, path in known(SCALE, config_dir).items()
    }


def _executors(config_dir: Path | None) -> dict[str, str]:
    """Registered executors with the first line of their class's docstring, and those that have a YAML file."""
    from experiments.jobs.executor import EXECUTORS

    lines = {name: _first_comment(path) for name, path in known(EXECUTOR, config_dir).items()}
    for name in EXECUTORS.names():
        said = (EXECUTORS.get(name).cls.__doc__ or "").strip().splitlines()
        lines[name] = said[0] if said else lines.get(name, "")
    return dict(sorted(lines.items()))


def _sources() -> dict[str, str]:
    from experiments.data.source import SOURCES

    return {name: (SOURCES.get(name).cls.__doc__ or "").split("\n")[0] for name in SOURCES.names()}


def _keys(outside: bool) -> dict[str, str]:
    """All keys; if `outside`, slots list components from outside too."""
    said = plain_values()
    defaults = {**_class_defaults(), **said}
    lines = {}
    for key, text in KEYS.items():
        slot = key.rpartition(".")[0]
        components = dict.fromkeys(
            one.split(".")[2] for one in said if one.startswith(f"{slot}.") and one.count(".") > 2
        )
        if outside and "COMPONENTS" in text:
            components |= dict.fromkeys(_from_outside(slot.removeprefix("model.")))
        words = text.replace("COMPONENTS", ", ".join(components)).replace("BENCHMARKS", ", ".join(BENCHMARKS.names()))
        lines[f"{key}={show(defaults[key])}"] = words
    return lines


def _from_outside(slot: str) -> list[str]:
    """Components of a slot that come from outside; finding them imports the built-in ones."""
    from flamingo_core import registry

    return [name for name in registry.names(slot) if not registry.component(slot, name).built_in]


def _class_defaults() -> dict[str, Any]:
    sections = {"": Experiment, "train.": TrainConfig, "eval.": EvalConfig, "model.lm.": LMSlot}
    found: dict[str, Any] = {}
    for prefix, config in sections.items():
        for entry in fields(config):
            if entry.default_factory is not MISSING:
                found[prefix + entry.name] = entry.default_factory()
            elif entry.default is not MISSING:
                found[prefix + entry.name] = entry.default
    return found


def _first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip("# ") for line in lines if line.startswith("#") and line != HEADER), "")
