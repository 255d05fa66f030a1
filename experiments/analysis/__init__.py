"""From stored runs to the table: reading, differences, rendering. Imports no torch.

`Table.load(scale="desk").effects()` returns the table as a data frame.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.analysis.table.load import Table

__all__ = ["Table"]


def __getattr__(name: str) -> Any:
    """Import `Table` on first access: most commands import this package for something else."""
    if name == "Table":
        from experiments.analysis.table.load import Table

        return Table
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
