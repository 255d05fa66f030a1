"""Rows x seeds of a table, as a command names them, become one spec a job; all that is wrong with it is found first."""

from typing import TYPE_CHECKING

from experiments.refusal import Problem, refuse, wrong_value

if TYPE_CHECKING:
    from experiments.spec import Spec


def wanted(
    rows: str | None, seeds: int, baseline_seeds: int, overrides: list[str], problems: list[Problem]
) -> "list[Spec]":
    """The named rows and the baseline (None: all published rows) on seeds 0 to `seeds` - 1, the baseline on more.

    Raises:
        UserError: something is wrong with it, or `problems` were found before.
    """
    from experiments import published
    from experiments.compose import ABLATION, known
    from experiments.published import BASELINE
    from experiments.spec import make_specs

    names = list(published.rows()) if rows is None else [BASELINE, *rows.split(",")]
    for name in dict.fromkeys(names):
        if name not in known(ABLATION):
            problems.append(wrong_value("--rows", name, list(known(ABLATION))))
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
        spec
        for some, numbers in asked
        for spec in make_specs(
            [f"ablation={','.join(some)}", f"seed={','.join(map(str, numbers))}", *overrides], sweeps=True
        )
    ]
