"""Caption warnings about the seeds behind the verdicts: too few, just enough, or added after looking at results.

The error rates come from simulated tables; see docs/statistics.md.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.published.table3 import BASELINE, FEWEST_SEEDS

if TYPE_CHECKING:
    from experiments.analysis.table.plain_table import Row
    from experiments.analysis.table.seeds import Effects

NOISY_BASELINE_ERROR = 11  # % of tables with an error, at three seeds and a baseline three times noisier than the rows
LOOKING_ERROR = 20  # % of tables with an error, if inspected after each seed until all is decided, up to 20 seeds


def of_seeds(rows: "Sequence[Row]", overall: "Effects") -> list[str]:
    """Sentences for a table's method; empty if every row is decided with more than three seeds."""
    found = []
    of_baseline, ratio = overall.families[0].baseline_seeds, overall.families[0].baseline_ratio
    too_few = [name for family in overall.families for name in family.too_few if name != BASELINE]
    if of_baseline < FEWEST_SEEDS:
        found.append(f"no verdict: the baseline has {of_baseline} of the {FEWEST_SEEDS} seeds that a verdict takes")
    elif too_few:
        found.append(f"no verdict under {FEWEST_SEEDS} seeds: {', '.join(too_few)}")
    if of_baseline == FEWEST_SEEDS:
        looks = f"; here it looks {ratio:.1f} times as noisy" if ratio > 1 else ""
        found.append(
            f"with {FEWEST_SEEDS} seeds of a baseline that is 3 times noisier than the rows {NOISY_BASELINE_ERROR}% of "
            f"tables hold an error, not 5%{looks}"
        )
    if any(row["overall"]["verdict"] == "undecided" for row in rows):
        found.append(
            "seeds for 80%: with so many of that row, and of the baseline where it has fewer, it is decided with 80% "
            "probability, if the true difference and noise are those seen here; seeds added after looking: the error "
            f"over the family is higher than 5% (about {LOOKING_ERROR}% when one looks after each seed, up to 20)"
        )
    return found
