"""A table's method in words: its intervals, the runs left out, and caveats for the reader."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.analysis.model import bootstrap
from experiments.analysis.table import families, seed_warnings
from experiments.analysis.table.columns import uncounted_in_words
from experiments.analysis.table.plain_table import LeftOut, Row, is_over_examples
from experiments.analysis.table.select import in_words
from experiments.published.table3 import BASELINE
from experiments.store.columns import Column

if TYPE_CHECKING:
    from experiments.analysis.table.seeds import Effects


def method_in_words(
    rows: Sequence[Row],
    overall: "Effects | None",
    left_out: LeftOut,
    unverified: int,
    delta: float,
    columns: Sequence[Column],
) -> str:
    """The sentences of a table's `method`, joined by `; `."""
    parts = [*filter(None, ("difference: row - baseline, paired by seed", uncounted_in_words(columns)))]
    if overall is not None:
        sizes = [families.in_words(family.name, family.size) for family in overall.families]
        several = ", each family by itself" if len(sizes) > 1 else ""
        parts.append(
            f"95% intervals over seeds, simultaneous for {' and for '.join(sizes)} (one model: row + random seed, "
            f"REML, Dunnett-type{several}); harmless: within {delta:g} Overall points"
        )
        if overall.detectable is not None:
            among = f" among {families.in_words(overall.families[0].name, overall.families[0].size)}" * (len(sizes) > 1)
            parts.append(
                f"a difference of {overall.detectable:.1f} Overall would have been seen with 80% probability{among}"
            )
        if overall.own_variance:
            parts.append(f"judged by their own, larger noise: {', '.join(overall.own_variance)}")
        parts += seed_warnings.of_seeds(rows, overall)
    if any(is_over_examples(row["overall"]) for row in rows):
        of_which = "interval" if overall is None else "interval of rows whose family has one seed"
        parts.append(f"{of_which}: {bootstrap.METHOD}")
    if any(row["paired_baseline_step_time_s"] is not None for row in rows):
        parts.append("step times: the row's / the baseline's in the same rounds")
    said = _timings_in_words(rows), left_out_in_words(left_out), unverified_in_words(unverified)
    parts += filter(None, said)
    return "; ".join(parts)


def left_out_in_words(left_out: LeftOut) -> str:
    """`left out: ...`, as used in a caption; empty if nothing was left out."""
    number = left_out["not_comparable"]
    words = [f"{number} finished runs with overrides or of another baseline"] if number else []
    words += in_words(left_out["other_designs"])
    return f"left out: {', '.join(words)}" if words else ""


def unverified_in_words(number: int) -> str:
    """The sentence about runs stored without hashes; empty if there are none."""
    return f"{number} run{'s' if number > 1 else ''} stored before digests existed: not verified" if number else ""


def _timings_in_words(rows: Sequence[Row]) -> str:
    """The number of timings behind the ratios if some runs were not timed; empty if all or none were."""
    timed = [row for row in rows if row["row"] != BASELINE and row["num_timed"]]
    fewer = [row for row in timed if row["num_timed"] < row["n"]]
    if fewer == timed and len({row["num_timed"] for row in timed}) == 1:
        return f"step time ratios: {timed[0]['num_timed']} timings a row"
    listed = ", ".join(f"{row['row']} {row['num_timed']} of {row['n']}" for row in fewer)
    return f"step time ratios of fewer timings than runs: {listed}" if fewer else ""
