"""From stored runs to the table: reading, differences, rendering. Imports no torch.

`Table.load(scale="desk").effects()` is the table as a frame.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.analysis.table.load import Table

__all__ = ["Table"]


def __getattr__(name: str) -> Any:
    """`Table`, imported when it is first asked for: most commands import this package for something else."""
    if name == "Table":
        from experiments.analysis.table.load import Table

        return Table
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
