"""The report's HTML in a real headless Chromium: from a file, without a network, by mouse and by keyboard."""

import json

import pytest
from playwright.sync_api import Page, expect

from experiments.analysis import Table
from experiments.analysis.formats import as_text
from experiments.published import table3
from tests.experiments.stored_runs import BAD, GOOD

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROW = "xattn_every_4th"


@pytest.fixture
def opened(store_row, tmp_path, page: Page) -> Page:
    """The page of three stored rows, on a machine that is offline."""
    store_row()
    store_row(ROW, BAD)
    store_row("resampler_mlp", [score - 1 for score in GOOD])
    store_row("<b>mine</b>", [score + 5 for score in GOOD])
    file = tmp_path / "table.html"
    file.write_text(as_text(Table.load("tiny"), "html"), encoding="utf-8")
    page.context.set_offline(True)
    page.goto(file.as_uri())
    return page


def order(page: Page) -> list[str]:
    return [body.get_attribute("data-row") or "" for body in page.locator("tbody").all()]


def test_a_click_sorts_and_a_third_brings_the_papers_order_back(opened):
    """Best first, worst first, as published; what is unknown is last both times, and it is said."""
    first = order(opened)
    assert first == [*table3.rows(), "<b>mine</b>"]
    button = opened.get_by_role("button", name="Overall difference")
    head = opened.locator("th", has=button)
    button.click()
    assert order(opened)[:3] == ["<b>mine</b>", "resampler_mlp", ROW]
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(opened.get_by_role("status")).to_contain_text("sorted by Overall difference, 95%, descending")
    button.click()
    assert order(opened)[:3] == [ROW, "resampler_mlp", "<b>mine</b>"]
    button.click()
    assert order(opened) == first
    expect(opened.get_by_role("status")).to_have_text("in the order of the paper")


def test_the_keyboard_sorts(opened):
    """Tab leads to the headings, Enter and space sort."""
    button = opened.get_by_role("button", name="verdict")
    for _ in range(10):
        opened.keyboard.press("Tab")
        if button.evaluate("element => element === document.activeElement"):
            break
    expect(button).to_be_focused()
    opened.keyboard.press("Enter")
    assert order(opened)[0] == ROW, "worse is last of the alphabet"
    opened.keyboard.press("Space")
    assert order(opened)[0] == "<b>mine</b>"


def test_each_row_keeps_its_figures_and_the_published_ones(opened):
    """Sorted or not, what stands under a name is of that name."""
    opened.get_by_role("button", name="COCO CIDEr").click()
    body = opened.locator(f'tbody[data-row="{ROW}"]')
    expect(body.locator("tr")).to_have_count(2)
    expect(body).to_contain_text("68.8")
    values = json.loads(body.get_attribute("data-values") or "")
    expect(body.locator("tr").first).to_contain_text(f"{values[4]:.1f}")
    overall = next(row for row in Table.load("tiny").table["rows"] if row["row"] == ROW)["overall"]
    said = f"{values[2]:+.1f} points, 95% from {overall['low']:+.1f} to {overall['high']:+.1f}"
    expect(body.get_by_role("img").first).to_have_attribute("aria-label", said)


def test_the_page_does_not_scroll_sideways_and_prints_all_rows(opened):
    """The table alone scrolls, its names stay in sight; on paper nothing is cut off."""
    opened.set_viewport_size({"width": 800, "height": 600})
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert opened.evaluate(wider) == 0
    opened.get_by_role("region", name="Table 3").evaluate("element => element.scrollLeft = 400")
    expect(opened.locator("tbody th").first).to_be_in_viewport()
    opened.emulate_media(media="print")
    opened.set_viewport_size({"width": 1055, "height": 730})  # A4 across, less its margins
    assert opened.evaluate(wider) <= 0
