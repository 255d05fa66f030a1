"""The command that makes a run again, from the run's tags."""

from collections.abc import Iterable, Sequence
from shlex import quote, split

from experiments.published.table3 import BASELINE
from experiments.store.names import COMPONENTS, CONFIG_DIR
from experiments.store.stored_run import StoredRun


def command(
    name: str,
    *,
    scale: str,
    seeds: Sequence[int],
    overrides: str = "",
    components: str = "",
    config_dir: str = "",
) -> str:
    """The shell command that makes these runs; the last three arguments are values of a run's tags."""
    words = ["-m"] if len(seeds) > 1 else []
    if name != BASELINE:
        words.append(f"ablation=[{name.replace('+', ',')}]" if "+" in name else f"ablation={name}")
    words += [f"scale={scale}", f"seed={','.join(map(str, seeds))}", *split(overrides)]
    if components:
        words.append(f"{COMPONENTS}=[{components}]")
    if config_dir:
        words += ["--config-dir", config_dir]
    return " ".join(["python -m experiments.run", *(quote(word) for word in words)])


def origin(name: str, runs: Iterable[StoredRun]) -> dict[str, str]:
    """Modules and folder from outside that a row's command must name, as tags of its runs.

    For a row without runs they are those of the baseline, if its scale comes from such a folder.
    """
    known = list(runs)
    tags = next((run.tags for run in known if run.row == name), None)
    if tags is None:
        tags = next((run.tags for run in known if run.row == BASELINE and CONFIG_DIR in run.tags), {})
    return {tag: tags.get(tag, "") for tag in (COMPONENTS, CONFIG_DIR)}
