"""Text about a whole table: its caption, its seeds, the meaning of worse and better."""

from collections.abc import Sequence

from experiments.analysis.table.plain_table import PlainTable
from experiments.analysis.table.row_view import views

WORSE_OR_BETTER = (
    "Worse or better: the whole interval lies below or above zero; unclear: it holds zero. "
    "It speaks of these weights, not of the design"
)
PUBLISHED = "Table 3 of the Flamingo paper (Flamingo-3B, 4 shots), one run a row"


def seeds_in_words(seeds: Sequence[int]) -> str:
    """`seed 0`, `seeds 0, 2`, `seeds 0 to 4`."""
    in_a_row = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    listed = f"{seeds[0]} to {seeds[-1]}" if in_a_row else ", ".join(map(str, seeds))
    return f"seed{'s' if len(seeds) > 1 else ''} {listed}"


def own_caption(table: PlainTable) -> str:
    """The caption of our side: scale, seeds, method and what Overall divides by."""
    scale, seeds, rows = table["scale"], table["seeds"], views(table)
    if not any(row.n for row in rows):
        return f"Ours: no finished baseline is stored at scale {scale}; {table['method']}."
    words = f" {WORSE_OR_BETTER}." if any(row.is_over_examples for row in rows) else ""
    of_baseline = next((row.n for row in rows if row.is_baseline), 0)
    more = f", of the baseline {of_baseline}" if of_baseline > len(seeds) else ""
    return (
        f"Ours: scale {scale}, n = {len(seeds)} ({seeds_in_words(seeds)}){more}; {table['method']}.{words} Our Overall "
        f"divides by the {scale} scale's ceilings: compare differences with the published ones, not levels."
    )
