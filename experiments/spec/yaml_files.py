"""The YAML files: available ablations and scales, and their composition with `config.yaml`.

Hydra composes them against the schema, after `yaml_file` has checked that each file is plain YAML. If that fails, each
file is read on its own to name the file and key at fault.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.common.problems import SEE_HELP, Problem, UserError, did_you_mean, refuse, show, wrong_value
from experiments.common.yaml_file import checked_text, read
from experiments.published.table3 import BASELINE, in_order
from experiments.spec.overrides import check_value

CONF = Path(__file__).parents[1] / "conf"
HEADER = "# @package _global_"
ABLATION, SCALE, EXECUTOR = "ablation", "scale", "executor"
SUFFIX = ".yaml"  # the only one that Hydra accepts

_NAME = re.compile(r"[A-Za-z0-9_-]+")
NO_ABLATION = "leave `ablation` out for the baseline alone"
_AN = {ABLATION: "an ablation", SCALE: "a scale", EXECUTOR: "an executor"}  # the folders of `--config-dir`


def known(group: str, config_dir: Path | None = None) -> dict[str, Path]:
    """The files of a group by name, in the order of the published table; the user's own come last."""
    folders = [CONF / group] if config_dir is None else [config_dir / group, CONF / group]
    files = {path.stem: path for folder in folders for path in folder.glob("*.yaml") if path.is_file()}
    return {name: files[name] for name in in_order(tuple(files))}


def misnamed(group: str, config_dir: Path | None = None) -> dict[str, Path]:
    """Files of a group, by name, that are ignored because their names end in `.yml` or `.YAML`."""
    folders = [CONF / group] if config_dir is None else [config_dir / group, CONF / group]
    files = (path for folder in folders for path in sorted(folder.glob("*")))
    return {path.stem: path for path in files if path.suffix != SUFFIX and path.suffix.lower() in (SUFFIX, ".yml")}


def rename(path: Path) -> str:
    """The hint for a file with the wrong extension."""
    return f"rename {show(str(path))} to {show(path.stem)}{SUFFIX}"


def default_scale() -> str:
    """The scale of a command that names none, from `config.yaml`."""
    for entry in read(CONF / "config.yaml")["defaults"]:
        if isinstance(entry, dict) and SCALE in entry:
            return str(entry[SCALE])
    raise LookupError(f"{CONF / 'config.yaml'} has no default scale")


def plain_values() -> dict[str, Any]:
    """The baseline's values at the default scale, read from YAML without importing components; used by help."""
    merged: dict[str, Any] = {}
    for path in (CONF / "config.yaml", known(SCALE)[default_scale()]):
        for key, value in leaves(read(path)).items():
            merged[key] = value
    return merged


def check_config_dir(config_dir: Path, problems: list[Problem]) -> None:
    """Check that the user's directory holds config files, and none with the name of a built-in one."""
    if not config_dir.is_dir():
        problems.append(wrong_value("--config-dir", config_dir, "a directory that exists"))
        return
    names = [(group, name) for group in _AN for name in _stems(config_dir / group)]
    if not names:
        allowed = "a directory with ablation/*.yaml, scale/*.yaml or executor/*.yaml in it"
        others = [path for group in _AN for path in misnamed(group, config_dir).values()]
        problems.append(wrong_value("--config-dir", config_dir, allowed, rename(others[0]) if others else None))
    for group, name in names:
        file = config_dir / group / f"{name}.yaml"
        if name in _stems(CONF / group):
            text = f"`{file}` has the name of {_AN[group]} that there is; allowed: a name of its own"
            problems.append(Problem(text=text, hint="rename the file", key="--config-dir", value=name))
        elif not _NAME.fullmatch(name):
            text = f"`{show(file)}`: the name of {_AN[group]} is letters, digits, `_` and `-`"
            problems.append(Problem(text=text, hint="rename the file", key="--config-dir", value=name))


def chosen_ablations(
    value: Any, available: Sequence[str], problems: list[Problem], config_dir: Path | None = None
) -> tuple[str, ...]:
    """The names in `ablation=`, () for the baseline; unknown names are added to `problems`."""
    names = list(value) if isinstance(value, list) else [value]
    wrong = [name for name in names if name not in available]
    if wrong or not names:
        hint = _meant(ABLATION, wrong[0], available, config_dir) if wrong else NO_ABLATION
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


def chosen_scale(value: Any, available: Sequence[str], problems: list[Problem], config_dir: Path | None = None) -> str:
    """The name in `scale=`; an unknown one is added to `problems`."""
    if not isinstance(value, str) or value not in available:
        problems.append(_not_a_name(SCALE, value, available, _meant(SCALE, value, available, config_dir)))
        return default_scale()
    return value


def compose_files(
    schema: type, scale: str, ablations: Sequence[str], config_dir: Path | None = None
) -> Mapping[str, Any]:
    """Compose the files of a scale and of these ablations into plain data, checked against the schema.

    Raises:
        UserError: a file is invalid.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    names = ",".join(f"'{name}'" for name in ablations or [BASELINE])  # quoted, so that every name is read as text
    chosen = [f"{SCALE}='{scale}'", f"{ABLATION}=[{names}]"]
    if config_dir is not None:
        quoted = str(config_dir.absolute()).replace("\\", "\\\\").replace("'", "\\'")
        chosen.append(f"hydra.searchpath=['file://{quoted}']")
    ConfigStore.instance().store(name="schema", node=schema)
    files = [known(SCALE, config_dir)[scale], *(known(ABLATION, config_dir)[name] for name in ablations)]
    problems: list[Problem] = []
    try:
        with _checked_files(), initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("config", chosen)
        plain = OmegaConf.to_container(config, resolve=False)
    except (HydraException, OmegaConfBaseException) as error:
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
    """Flatten nested dicts to dotted keys; an empty dict is a value."""
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


@contextmanager
def _checked_files() -> Iterator[None]:
    """Make Hydra check every file with `yaml_file` before reading it, whether a command or another file names it."""
    from hydra._internal.core_plugins.file_config_source import FileConfigSource
    from hydra._internal.sources_registry import SourcesRegistry
    from hydra.core.plugins import Plugins
    from hydra.plugins.config_source import ConfigResult, ConfigSource
    from omegaconf import OmegaConf

    class CheckedSource(FileConfigSource):
        def load_config(self, config_path: str) -> ConfigResult:
            path = Path(self.path) / self._normalize_file_name(config_path)
            config = OmegaConf.create(checked_text(path))
            header = ConfigSource._get_header_dict(path.read_text(encoding="utf-8-sig"))
            return ConfigResult(config=config, path=self.full_path(), provider=self.provider, header=header)

    Plugins.instance()  # registers Hydra's own sources
    sources = SourcesRegistry.instance().types
    before = sources[CheckedSource.scheme()]
    sources[CheckedSource.scheme()] = CheckedSource
    try:
        yield
    finally:
        sources[CheckedSource.scheme()] = before


def _meant(group: str, name: Any, available: Sequence[str], config_dir: Path | None) -> str | None:
    """A hint for an unknown name: a file with the wrong extension, or a similar name."""
    other = misnamed(group, config_dir).get(str(name).removesuffix(".yml"))
    return did_you_mean(name, available) if other is None else rename(other)


def _check_file(path: Path, schema: type, problems: list[Problem]) -> None:
    entries = leaves(read(path))
    if HEADER not in path.read_text(encoding="utf-8-sig").splitlines():
        hint = f"write `{HEADER}` as its first line"
        problems.append(Problem(text=f"{path} does not say where its keys belong", hint=hint, key=str(path)))
    found: list[Problem] = []
    for key, value in entries.items():
        if key.split(".")[0] not in ("changes", "defaults", "group"):
            check_value(schema, key, value, found)
    problems += [
        Problem(text=f"{path}: {one.text}", hint=one.hint, key=one.key, value=one.value, allowed=one.allowed)
        for one in found
    ]


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))
