"""A stored table as a file: one module a format, each a function from a `Table` to text."""

from typing import TYPE_CHECKING

from experiments.common.plain_json import dumps

if TYPE_CHECKING:
    from experiments.analysis import Table


def as_text(stored: "Table", format_: str) -> str:
    """The table in a format of `report.FORMATS`; `json` is the object that every command prints."""
    match format_:
        case "md":
            from experiments.analysis.formats.markdown import as_markdown

            return as_markdown(stored)
        case "brief":
            from experiments.analysis.formats.brief import as_brief

            return as_brief(stored)
        case "csv":
            from experiments.analysis.formats.csv_file import as_csv

            return as_csv(stored)
        case "json":
            return dumps(stored.table, indent=1) + "\n"
        case "latex":
            from experiments.analysis.formats.latex import as_latex

            return as_latex(stored)
        case "html":
            from experiments.analysis.formats.html_page import as_html

            return as_html(stored)
        case "svg":
            from experiments.analysis.formats.picture import as_svg

            return as_svg(stored)
        case "runs":
            from experiments.analysis.table.runs_file import as_runs

            return as_runs(stored)
    raise ValueError(f"no format {format_}")
