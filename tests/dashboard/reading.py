"""Reading the page as a reader does: the app run for an address, its table's cells by row and heading."""

from html.parser import HTMLParser

from streamlit.testing.v1 import AppTest

from experiments.common.checkout import ROOT

APP = str(ROOT / "dashboard" / "app.py")


def page(**query: str) -> AppTest:
    """The app as it draws itself for an address."""
    app = AppTest.from_file(APP, default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, app.exception
    return app


def markup(app: AppTest) -> str:
    """All HTML of ours on the page."""
    return "\n".join(element.proto.body for element in app.get("html"))


def read_table(text: str) -> dict[str, dict[str, str]]:
    """The first table's cells by row name, and by side and heading: `ours: Overall`. Wide cells hold `ours`."""
    reader = _Reader()
    reader.feed(text)
    sides, headings = reader.lines[0], reader.lines[1]
    columns = [f"{side}: {name}" if side else name for side, name in zip(sides, headings, strict=True)]
    table = {}
    for name, line in zip(reader.ids, reader.lines[2:], strict=True):
        assert len(line) == len(columns), f"{name} has {len(line)} columns, the heading has {len(columns)}"
        table[name] = dict(zip(columns, line, strict=True))
    return table


class _Reader(HTMLParser):
    """Rows of the first table; a cell that spans columns or rows is repeated."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[list[str]] = []
        self.ids: list[str] = []
        self._above: dict[int, tuple[int, str]] = {}  # column -> rows that a cell above still spans, its text
        self._cell: tuple[int, int, list[str]] | None = None
        self._done = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._done:
            return
        values = dict(attrs)
        if tag == "tr":
            self.lines.append([])
            if values.get("id"):
                self.ids.append(str(values["id"]))
        if tag in ("td", "th"):
            self._fill()
            self._cell = (int(values.get("colspan") or 1), int(values.get("rowspan") or 1), [])

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell[2].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._done = True
        if tag in ("td", "th") and self._cell is not None:
            columns, rows, parts = self._cell
            text = " ".join("".join(parts).split())
            if rows > 1:
                self._above[len(self.lines[-1])] = (rows - 1, text)
            self.lines[-1] += [text] * columns
            self._cell = None

    def _fill(self) -> None:
        """Repeat what a cell of a row above still spans."""
        place = len(self.lines[-1])
        rows, text = self._above.pop(place, (0, ""))
        if rows:
            self.lines[-1].append(text)
            if rows > 1:
                self._above[place] = (rows - 1, text)
