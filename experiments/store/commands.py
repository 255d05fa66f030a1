"""The command that makes a run again, from what its tags say."""

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
    """The command that makes these runs, as it is typed in a shell; the last three as the tags of a run have them."""
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
    """What else the command of a row says: modules and a folder of one's own, as its runs were made with.

    A row that has no run needs what its scale needs, which the baseline's runs say where it is a scale of one's own.
    """
    known = list(runs)
    tags = next((run.tags for run in known if run.row == name), None)
    if tags is None:
        tags = next((run.tags for run in known if run.row == BASELINE and CONFIG_DIR in run.tags), {})
    return {tag: tags.get(tag, "") for tag in (COMPONENTS, CONFIG_DIR)}
