"""The rows that a command names: those to run, with one spec per job, and those that are stored."""

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.common.problems import Problem, UserError, refuse, wrong_value

if TYPE_CHECKING:
    from experiments.analysis.table.runs_file import RunsFile
    from experiments.spec.sweep import Sweep
    from experiments.store.stored_run import StoredRun


def wanted(
    rows: str | None,
    seeds: int,
    baseline_seeds: int,
    overrides: list[str],
    problems: list[Problem],
    config_dir: Path | None = None,
) -> "list[Sweep]":
    """The named rows and the baseline (None: all published rows) on seeds 0 to `seeds` - 1, the baseline on more.

    Raises:
        UserError: the command is invalid, or `problems` is not empty.
    """
    from experiments.published import table3
    from experiments.published.table3 import BASELINE
    from experiments.spec.sweep import parse_sweep
    from experiments.spec.yaml_files import ABLATION, check_config_dir, known, misnamed, rename

    if config_dir is not None:
        check_config_dir(config_dir, problems)
    there = known(ABLATION, config_dir)
    names = list(table3.rows()) if rows is None else [BASELINE, *rows.split(",")]
    for name in dict.fromkeys(names):
        if name not in there:
            other = misnamed(ABLATION, config_dir).get(name)
            problems.append(wrong_value("--rows", name, list(there), None if other is None else rename(other)))
    for override in overrides:
        key = override.partition("=")[0]
        if key in (ABLATION, "seed"):
            hint = "did you mean `--rows`?" if key == ABLATION else "did you mean `--seeds`?"
            problems.append(wrong_value(key, override.partition("=")[2], "not here", hint))
    refuse(problems)
    asked = [(list(dict.fromkeys(names)), range(seeds))]
    if baseline_seeds > seeds:
        asked.append(([BASELINE], range(seeds, baseline_seeds)))
    return [
        parse_sweep(
            [f"ablation={','.join(some)}", f"seed={','.join(map(str, numbers))}", *overrides],
            sweeps=True,
            config_dir=config_dir,
        )
        for some, numbers in asked
    ]


def stored_rows(
    overrides: list[str],
    names: str | None,
    finished: "list[StoredRun]",
    problems: list[Problem],
    *,
    of_file: bool = False,
) -> tuple[str, list[str] | None]:
    """Scale and rows of a command that only reads: built-in, published or stored ones; others are problems.

    If the runs come from a file (`of_file`), the default scale is theirs.
    """
    from experiments.published import table3
    from experiments.spec.yaml_files import SCALE, default_scale, known

    said = {key: value for key, _, value in (override.partition("=") for override in overrides)}
    default = finished[0].tags.get(SCALE, "") if of_file and finished else default_scale()
    scale, rows = said.pop(SCALE, default), None if names is None else names.split(",")
    for key, value in said.items():
        meant = {"ablation": "--rows", "seed": "--seeds"}.get(key)
        hint = f"did you mean `{meant}`?" if meant else "of keys a table takes scale=NAME: its runs have no overrides"
        problems.append(wrong_value(key, value, "not here", hint))
    scales = list(dict.fromkeys([*known(SCALE), *sorted({run.tags.get(SCALE, "") for run in finished} - {""})]))
    stored = list(dict.fromkeys([*table3.rows(), *sorted({run.row for run in finished})]))
    for key, values, allowed in ((SCALE, [scale], scales), ("--rows", rows or [], stored)):
        problems += [wrong_value(key, value, allowed) for value in values if value not in allowed]
    return scale, rows


def files_of_runs(names: list[str], problems: list[Problem]) -> "RunsFile":
    """The runs in the files that `--from` names; files that cannot be read are problems."""
    from experiments.analysis.table.runs_file import joined, read

    files = []
    for name in names:
        try:
            files.append(read(Path(name)))
        except UserError as error:
            problems += error.problems
    return joined(files)
