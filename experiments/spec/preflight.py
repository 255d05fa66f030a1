"""Checks of a resolved spec that need more than its schema: the machine, the world, and the model that it describes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.common.large_imports import uncollected
from experiments.common.problems import Problem, UserError, refuse, show, wrong_value
from experiments.data.config import WORLD
from experiments.data.source import Sources
from experiments.evaluation.benchmark import BENCHMARKS
from experiments.evaluation.score import try_benchmark
from experiments.published.table3 import BASELINE
from experiments.spec.component_check import try_parts
from experiments.spec.resolve import RECORD_FILE, read_record
from experiments.spec.sources import asked_role, read_by, sources_of
from experiments.spec.yaml_files import leaves


def check_device(devices: Sequence[str], problems: list[Problem]) -> None:
    """Check that the requested devices are available."""
    if all(device in ("auto", "cpu") for device in devices):
        return
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    for device in devices:
        if not there.get(device, True):
            allowed = ", ".join(["auto", "cpu", *(name for name, usable in there.items() if usable)])
            hint = "auto takes the best there is"
            problems.append(wrong_value("device", device, f"{allowed} on this machine", hint))


def check_fit(tree: Mapping[str, Any]) -> None:
    """Check sections against each other: vocabulary, frames of a clip, number of demonstrations.

    Raises:
        UserError: two sections do not fit together.
    """
    from experiments.data.tokenizer import tokenizer_of

    problems: list[Problem] = []
    model, shots, sources = tree["model"], tree["eval"]["shots"], sources_of(tree)
    _check_vocabulary(model, problems)
    tokenizer = tokenizer_of(None)
    for section, role in read_by(tree):
        frames = sources.of(role).limits(asked_role(section, role), tokenizer).frames
        why = "`data.world.frames`" if sources.name_of(role) == WORLD else f"those of `{section}.{role}.source`"
        _check_frames(model, frames, why, problems)
        if section == "eval":
            _check_shots(shots, role, sources, tree, problems)
    refuse(list(dict.fromkeys(problems)))


def _check_vocabulary(model: Mapping[str, Any], problems: list[Problem]) -> None:
    from experiments.data.world.vocabulary import words

    name, least = model["lm"]["name"], len(words())
    size = model["lm"][name].get("vocab_size")
    if size is not None and size < least and model["lm"].get("path") is None:
        key, allowed = f"model.lm.{name}.vocab_size", f"{least} or more, the words of the world"
        problems.append(wrong_value(key, size, allowed, f"did you mean `{least}`?"))


def _check_frames(model: Mapping[str, Any], frames: int, why: str, problems: list[Problem]) -> None:
    name = model["resampler"]["name"]
    size = model["resampler"][name].get("max_frames")
    if size is not None and size < frames:
        key, hint = f"model.resampler.{name}.max_frames", f"did you mean `{frames}`?"
        problems.append(wrong_value(key, size, f"{frames} or more, {why}", hint))


def _check_shots(shots: int, role: str, sources: Sources, tree: Mapping[str, Any], problems: list[Problem]) -> None:
    most = sources.of(role).demonstrations(asked_role("eval", role))
    if shots <= most:
        return
    allowed, hint = f"at most {most}: demonstrations are drawn from the support set", f"give `{role}` more support"
    if sources.name_of(role) == WORLD:
        hint = f"raise `data.world.support`, now {tree['data']['world']['support']}"
    problems.append(wrong_value("eval.shots", shots, allowed, hint))


def check_benchmarks(tree: Mapping[str, Any]) -> None:
    """Check that every benchmark gets queries of its role, and that one from outside can ask and score some.

    Raises:
        UserError: a benchmark gets no queries, or cannot ask or score them.
    """
    problems: list[Problem] = []
    sources = sources_of(tree)
    for name in tree["eval"]["benchmarks"]:
        benchmark = BENCHMARKS.get(name)
        if BENCHMARKS.built_in(name) and sources.name_of(name) == WORLD:
            continue  # covered by tests, and drawing queries takes time
        try:
            some = sources.of(name).queries(benchmark.role, "test")[:3]
        except ValueError as error:
            text = f"benchmark `{name}` asks for queries of `{benchmark.role}`: {' '.join(str(error).split())}"
            hint = f"`eval.{name}.source` says where they come from, the benchmark's `role` whose they are"
            problems.append(Problem(text=text, hint=hint, key="eval.benchmarks", value=name))
            continue
        if not BENCHMARKS.built_in(name):
            try:
                try_benchmark(benchmark, some)
            except Exception as error:
                reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
                text = f"benchmark `{name}` cannot ask or score queries of `{benchmark.role}`: {reason}"
                hint = "docs/components.md says what a benchmark must provide; debug=true shows where it fails"
                problems.append(Problem(text=text, hint=hint, key="eval.benchmarks", value=name))
    refuse(problems)


def check_shipped(model: Mapping[str, Any], found: Mapping[str, str], scale: str) -> None:
    """Check weights that have a record of parts next to them against it; `found` are their hashes, by key.

    Raises:
        UserError: a file differs from its record, or the record cannot be read.
    """
    named = leaves(model, "model.")
    problems = []
    for key, sha256 in found.items():
        file = Path(named[key])
        try:
            record = read_record(file.parent)
            made = next((one["sha256"] for one in record.values() if one["file"] == file.name), sha256)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            text = f"{file.parent / RECORD_FILE} says nothing of `{key}`: {type(error).__name__}: {error}"
            problems.append(Problem(text=" ".join(text.split()), hint=f"git checkout {file.parent}", key=key))
            continue
        if sha256 != made:
            allowed = f"the file with sha256 {made}, which {RECORD_FILE} beside it names; found {sha256}"
            hint = f"git checkout {file}, or python -m experiments.pretrain scale={scale}"
            problems.append(wrong_value(key, file, allowed, hint))
    refuse(problems)


def check_build(tree: Mapping[str, Any], ablations: Sequence[str], overrides: Mapping[str, Any]) -> None:
    """Check that the parts fit together: build and try them on the meta device, without memory or reading weights.

    Raises:
        UserError: they cannot be built, one breaks its contract, or the language model's vocabulary is smaller than the
            tokenizer's or its tokenizer lacks a special token.
    """
    with uncollected():
        import torch

        from experiments.data.tokenizer import tokenizer_of
        from flamingo_core.config import FlamingoConfig
        from flamingo_core.flamingo import Flamingo

    model, world = tree["model"], tree["data"]["world"]
    tokens: dict[str, Any] = dict.fromkeys(("image_token_id", "bos_token_id", "eos_token_id", "pad_token_id"), 0)
    try:
        with torch.device("meta"):
            built = Flamingo(FlamingoConfig(**model, **tokens), seed=None)
    except Exception as error:
        weights = weights_problem(error, model)
        if weights is not None:
            raise UserError([weights]) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        given = [f"`{key}={show(value)}`" for key, value in overrides.items() if key.startswith("model.")]
        own = f" with {', '.join(given)}" if given else ""
        chosen = ", ".join(f"{slot} {choice['name']}" for slot, choice in model.items())
        if reason.startswith("`placement`"):
            key, text = "model.xattn.placement", f"`model.xattn.placement`{reason.removeprefix('`placement`')}"
        else:
            key = "model"
            text = f"the model cannot be built{own}: {reason}"
        hint = f"chosen are {chosen}, by {'+'.join(ablations) or BASELINE}; debug=true shows where it fails"
        raise UserError([Problem(text=text, hint=hint, key=key)]) from error
    try_parts(built, image_size=world["image_size"], frames=max(_frames(tree)))
    size, path = built.config.vocab_size, model["lm"]["path"]
    try:
        least = len(tokenizer_of(path))
    except ValueError as error:
        hint = "docs/smol.md says how a tokenizer gets them; without a tokenizer.json the world's words are its tokens"
        raise UserError([Problem(text=str(error), hint=hint, key="model.lm.path", value=path)]) from error
    if size < least:
        allowed = f"{least} or more, as its tokenizer has"
        text = f"`model.lm.path` is `{path}`, which knows {size} tokens; allowed: {allowed}"
        hint = "leave `model.lm.path` out, or give a model with a larger vocabulary"
        raise UserError([Problem(text=text, hint=hint, key="model.lm.path", value=path, allowed=allowed)])


def check_positions(tree: Mapping[str, Any]) -> None:
    """Check that every text fits into the language model's positions on any seed, by the limits that sources state.

    Raises:
        UserError: the model has fewer positions than a training text or a prompt with its answer can have tokens.
    """
    from experiments.data.tokenizer import tokenizer_of
    from flamingo_core import registry

    choice, new, shots = tree["model"]["lm"], tree["eval"]["max_new_tokens"], tree["eval"]["shots"]
    name, path = choice["name"], choice["path"]
    sizes = registry.component("lm", name).cls.transformers_config(registry.make_config("lm", choice), path)
    tokenizer, sources = tokenizer_of(path), sources_of(tree)
    limits = [
        (section, sources.of(role).limits(asked_role(section, role), tokenizer)) for section, role in read_by(tree)
    ]
    trained = max(limit.document for section, limit in limits if section == "data")
    asked = max(limit.prompt(shots) for section, limit in limits if section == "eval")
    least = max(trained, asked + new)
    if sizes.max_position_embeddings >= least:
        return
    allowed = (
        f"{least} or more: a training text has up to {trained} tokens, a prompt with its answer up to {asked + new} "
        f"({asked} and `eval.max_new_tokens`, {new})"
    )
    if path is None:
        key = f"model.lm.{name}.max_positions"
        raise UserError([wrong_value(key, sizes.max_position_embeddings, allowed, f"did you mean `{least}`?")])
    text = f"`model.lm.path` is `{path}`, which has {sizes.max_position_embeddings} positions; allowed: {allowed}"
    hint = "give a model with more positions, or lower `eval.shots` or `data.world.max_media`"
    raise UserError([Problem(text=text, hint=hint, key="model.lm.path", value=path, allowed=allowed)])


def weights_problem(error: Exception, model: Mapping[str, Any]) -> Problem | None:
    """The problem behind an error in building a model, if a file or directory named by a key is at fault; else None."""
    vision = model["vision"]["name"]
    reason = " ".join(str(error).split())
    for named, key in (("`model.lm.path`", "model.lm.path"), ("`path`", f"model.vision.{vision}.path")):
        if isinstance(error, ValueError) and reason.startswith(named):
            hint = f"give weights that fit the rest of the spec, or leave `{key}` out"
            slot, *_, field_name = key.removeprefix("model.").split(".")
            value = model[slot][field_name] if slot == "lm" else model[slot][vision].get(field_name)
            return Problem(text=f"`{key}`{reason.removeprefix(named)}", hint=hint, key=key, value=value)
    return None


def _frames(tree: Mapping[str, Any]) -> list[int]:
    from experiments.data.tokenizer import tokenizer_of

    tokenizer, sources = tokenizer_of(None), sources_of(tree)
    return [sources.of(name).limits(asked_role(section, name), tokenizer).frames for section, name in read_by(tree)]
