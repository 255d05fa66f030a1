"""The Table view in a real headless Chromium, against a store made by real runs at the tiny scale."""

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from experiments.published import table3

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROW = "xattn_every_4th"
FIRST_MS = 60_000  # the first look imports MLflow and reads the store


def opened(page: Page, address: str, query: str = "") -> Locator:
    """The page once the store is read; returns the table's rows."""
    page.goto(f"{address}/{query}")
    expect(page.get_by_role("button", name="Table as CSV")).to_be_visible(timeout=FIRST_MS)
    return page.locator("table.rows").first.locator("tbody tr[id]")


def test_the_first_screen_answers(address, page):
    """18 rows; where stored: published figure, difference with interval and word, paired, ratio; else the command."""
    rows = opened(page, address)
    expect(rows).to_have_count(18)
    expect(page.get_by_role("table").first.get_by_role("caption")).to_contain_text("scale tiny, n = 1 (seed 0)")
    stored = page.locator(f"tr#{ROW}")
    expect(stored.get_by_role("rowheader", name=ROW)).to_be_visible()
    text = stored.inner_text()
    assert "68.8" in text and "-1.9" in text and re.search(r"\d\.\d\dK", text), text
    assert re.search(r"\d \u00b1\d+\.\d\s+(worse|better|unclear)", text), text
    assert re.search(r"\bpaired\b", text) and re.search(r"\d\.\d\d\s+\u00b10\.\d\d", text), text
    expect(stored).to_be_in_viewport()
    expect(page.locator("tr#xattn_vanilla")).to_contain_text("python -m experiments.run ablation=xattn_vanilla")
    for name in table3.rows():
        expect(rows.get_by_role("link", name=name, exact=True)).to_have_attribute("href", f"?row={name}")


def test_a_rows_link_opens_what_it_changes(address, page):
    """By a click; the address is the state, and its block is in sight."""
    opened(page, address)
    page.get_by_role("link", name=ROW).click()
    heading = page.get_by_role("heading", name=ROW)
    expect(heading).to_be_in_viewport()
    expect(heading).to_be_focused()
    assert page.url == f"{address}/?row={ROW}"
    changes = page.get_by_role("table", name="What it changes")
    expect(changes.get_by_role("row")).to_have_count(2)
    expect(changes.get_by_role("row", name="model.xattn.placement")).to_contain_text("every_4th")
    expect(page.get_by_role("table", name="Seed by seed")).to_contain_text(re.compile(r"paired: (\d+) of \1 "))
    page.get_by_role("link", name="Back to the table").click()
    expect(heading).to_have_count(0)


def test_the_keyboard_reaches_a_row(address, page):
    """Tab leads through the controls into the table, Enter opens the row."""
    opened(page, address)
    link = page.get_by_role("link", name="data_without_video_text")
    for _ in range(20):
        page.keyboard.press("Tab")
        if link.evaluate("element => element === document.activeElement"):
            break
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="data_without_video_text")).to_be_visible()
    block = page.get_by_role("region", name="data_without_video_text")
    expect(block).to_contain_text("python -m experiments.run ablation=data_without_video_text")


def test_what_is_chosen_stands_in_the_address_and_comes_back_from_it(address, page):
    """`show` by a click, in the links, and after loading the address again."""
    opened(page, address)
    cell = page.locator("tr#data_without_m3w")
    expect(cell).not_to_contain_text("-32.4")
    page.get_by_role("radiogroup").get_by_text("delta").click()
    expect(cell).to_contain_text("-32.4")
    page.wait_for_url("**/?show=delta")
    expect(page.get_by_role("link", name=ROW)).to_have_attribute("href", f"?row={ROW}&show=delta")
    opened(page, address, "?show=published")
    expect(page.get_by_role("radio", name="published")).to_be_checked()
    expect(page.get_by_role("columnheader", name="ours")).to_have_count(0)


def test_an_address_that_means_nothing_falls_back(address, page):
    """A line for each value, and the table all the same."""
    rows = opened(page, address, "?row=nonsense&scale=huge&show=x")
    expect(page.get_by_text("in the address is none of those there are")).to_have_count(3)
    expect(rows).to_have_count(18)


def test_a_narrow_screen_scrolls_the_table_and_nothing_else(address, page):
    """The page is as wide as the screen; scrolled to the end, a row's name is still in sight."""
    page.set_viewport_size({"width": 420, "height": 900})
    opened(page, address)
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert page.locator(".scroll").first.evaluate("e => { e.scrollLeft = 9999; return e.scrollLeft }") > 300
    box = page.get_by_role("rowheader", name=ROW).bounding_box()
    assert 0 <= box["x"] < 100


def test_the_csv_has_every_row(address, page):
    """The button gives a file with the same rows."""
    opened(page, address)
    with page.expect_download() as download:
        page.get_by_role("button", name="Table as CSV").click()
    assert download.value.suggested_filename == "table3-tiny.csv"
    with Path(download.value.path()).open(newline="") as file:
        assert [line["row"] for line in csv.DictReader(file)] == list(table3.rows())


def test_an_empty_store_shows_the_paper_and_the_command(serve, page, tmp_path):
    """A fresh clone: 18 published rows, what to type, and no file made by looking."""
    rows = opened(page, serve(tmp_path / "none" / "mlflow.db"))
    expect(rows).to_have_count(18)
    expect(page.get_by_text("make run", exact=True)).to_be_visible()
    expect(page.locator(f"tr#{ROW}")).to_contain_text(f"python -m experiments.run ablation={ROW}")
    assert list(tmp_path.iterdir()) == []
