"""The YAML files: which ablations and scales there are, and what `config.yaml` with some of them says.

Composed by Hydra against the schema. Where that fails, each file is read on its own to say which key of which file is
at fault.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.overrides import check_value
from experiments.published import BASELINE, in_order
from experiments.refusal import SEE_HELP, Problem, UserError, did_you_mean, refuse, show, wrong_value

CONF = Path(__file__).parent / "conf"
HEADER = "# @package _global_"
ABLATION, SCALE = "ablation", "scale"

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_AN = {ABLATION: "an ablation", SCALE: "a scale"}


def known(group: str, config_dir: Path | None = None) -> dict[str, Path]:
    """The files of a group by name, in the order of the published table; the user's own come last."""
    folders = [CONF / group] if config_dir is None else [config_dir / group, CONF / group]
    files = {path.stem: path for folder in folders for path in folder.glob("*.yaml")}
    return {name: files[name] for name in in_order(tuple(files))}


def default_scale() -> str:
    """The scale of a command that names none, as `config.yaml` has it."""
    for entry in _read(CONF / "config.yaml")["defaults"]:
        if isinstance(entry, dict) and SCALE in entry:
            return str(entry[SCALE])
    raise LookupError(f"{CONF / 'config.yaml'} has no default scale")


def plain_values() -> dict[str, Any]:
    """What the baseline says at the default scale, as plain YAML: for help, without importing a component."""
    merged: dict[str, Any] = {}
    for path in (CONF / "config.yaml", known(SCALE)[default_scale()]):
        for key, value in leaves(_read(path)).items():
            merged[key] = value
    return merged


def check_config_dir(config_dir: Path, problems: list[Problem]) -> None:
    """A directory of the user's own must hold something, and nothing of a name that is taken."""
    if not config_dir.is_dir():
        problems.append(wrong_value("--config-dir", config_dir, "a directory that exists"))
        return
    names = [(group, name) for group in (ABLATION, SCALE) for name in _stems(config_dir / group)]
    if not names:
        allowed = "a directory with ablation/*.yaml or scale/*.yaml in it"
        problems.append(wrong_value("--config-dir", config_dir, allowed))
    for group, name in names:
        file = config_dir / group / f"{name}.yaml"
        if name in _stems(CONF / group):
            text = f"`{file}` has the name of {_AN[group]} that there is; allowed: a name of its own"
            problems.append(Problem(text=text, hint="rename the file", key="--config-dir", value=name))
        elif not _NAME.fullmatch(name):
            text = f"`{show(file)}`: the name of {_AN[group]} is letters, digits, `_` and `-`"
            problems.append(Problem(text=text, hint="rename the file", key="--config-dir", value=name))


def chosen_ablations(value: Any, available: Sequence[str], problems: list[Problem]) -> tuple[str, ...]:
    """The names in `ablation=`, () for the baseline; what is no ablation is added to `problems`."""
    names = list(value) if isinstance(value, list) else [value]
    wrong = [name for name in names if name not in available]
    if wrong or not names:
        hint = did_you_mean(wrong[0], available) if wrong else "leave `ablation` out for the baseline alone"
        problems.append(_not_a_name(ABLATION, value, available, hint))
    elif len(set(names)) < len(names):
        problems.append(wrong_value(ABLATION, value, "every name once", "take out the second one"))
    elif BASELINE in names and len(names) > 1:
        problems.append(
            wrong_value(ABLATION, value, f"`{BASELINE}` alone", f"it changes nothing: take `{BASELINE}` out")
        )
    else:
        return tuple(name for name in names if name != BASELINE)
    return ()


def chosen_scale(value: Any, available: Sequence[str], problems: list[Problem]) -> str:
    """The name in `scale=`; what is no scale is added to `problems`."""
    if not isinstance(value, str) or value not in available:
        problems.append(_not_a_name(SCALE, value, available, did_you_mean(value, available)))
        return default_scale()
    return value


def compose_files(
    schema: type, scale: str, ablations: Sequence[str], config_dir: Path | None = None
) -> Mapping[str, Any]:
    """What the files of one scale and of these ablations say together, checked against the schema, as plain data.

    Raises:
        UserError: a file is at fault.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    chosen = [f"{SCALE}={scale}", f"{ABLATION}=[{','.join(ablations or [BASELINE])}]"]
    if config_dir is not None:
        quoted = str(config_dir.absolute()).replace("\\", "\\\\").replace("'", "\\'")
        chosen.append(f"hydra.searchpath=['file://{quoted}']")
    ConfigStore.instance().store(name="schema", node=schema)
    files = [known(SCALE, config_dir)[scale], *(known(ABLATION, config_dir)[name] for name in ablations)]
    problems: list[Problem] = []
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("config", chosen)
        plain = OmegaConf.to_container(config, resolve=False)
    except (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        for path in files:
            _check_file(path, schema, problems)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(problems or [Problem(text=f"{', '.join(map(str, files))}: {reason}", hint=SEE_HELP)]) from error
    assert isinstance(plain, dict)
    for key, value in leaves(plain).items():
        if "${" in str(value):
            problems.append(wrong_value(key, value, "a value, no interpolation", f"write the value in {files[-1]}"))
    refuse(problems)
    return {str(key): value for key, value in plain.items()}


def leaves(tree: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, by dotted key; an empty dict is a value."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat.update(leaves(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _not_a_name(key: str, value: Any, available: Sequence[str], hint: str | None) -> Problem:
    if isinstance(value, str) and ("/" in value or "\\" in value):
        hint = f"give a name, not a path; --config-dir DIR adds the files in DIR/{key}"
    return wrong_value(key, value, available, hint)


def _check_file(path: Path, schema: type, problems: list[Problem]) -> None:
    from yaml import YAMLError

    try:
        entries = leaves(_read(path))
    except (YAMLError, ValueError, TypeError) as error:
        problems.append(
            Problem(text=f"{path} is no YAML of keys and values: {' '.join(str(error).split())}", key=str(path))
        )
        return
    if HEADER not in path.read_text(encoding="utf-8").splitlines():
        hint = f"write `{HEADER}` as its first line"
        problems.append(Problem(text=f"{path} does not say where its keys belong", hint=hint, key=str(path)))
    found: list[Problem] = []
    for key, value in entries.items():
        if key.split(".")[0] not in ("changes", "defaults"):
            check_value(schema, key, value, found)
    problems += [
        Problem(text=f"{path}: {one.text}", hint=one.hint, key=one.key, value=one.value, allowed=one.allowed)
        for one in found
    ]


def _read(path: Path) -> dict[str, Any]:
    import yaml

    return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))
