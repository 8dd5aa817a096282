"""The page in a browser: no errors, links, a phone, the filter, the dark, and what stays text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.reported_run import SCRIPT
from tools.browser import MissingBrowserError, chromium


class Browser:
    """Opens the report's page, and remembers what a browser complains of."""

    def __init__(self, chromium: Any, path: Path) -> None:
        self._chromium = chromium
        self._url = path.as_uri()
        self.complaints: list[str] = []

    def open(self, width: int = 1200, **options: Any) -> Any:
        """The page in a window of its own."""
        page = self._chromium.new_page(viewport={"width": width, "height": 800}, **options)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(request.url))
        page.goto(self._url)
        return page


@pytest.fixture(scope="module")
def browser(page_with_texts: Path) -> Iterator[Browser]:
    try:
        with chromium() as opened:
            yield Browser(opened, page_with_texts)
    except MissingBrowserError as error:
        pytest.skip(str(error))


def test_nothing_is_complained_of_and_every_link_leads_somewhere(browser: Browser) -> None:
    page = browser.open()
    links = page.eval_on_selector_all("a", "all => all.map(a => a.getAttribute('href'))")
    assert "#note-1" in links
    for link in links:
        assert page.locator(link).count() == 1, link
    page.click("nav >> text=Run it again")
    assert page.locator("#again").is_visible()
    assert browser.complaints == []


@pytest.mark.parametrize("width", [360, 1200])
def test_only_tables_scroll_sideways(width: int, browser: Browser) -> None:
    page = browser.open(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inside = page.eval_on_selector_all(
        "svg", "all => all.every(svg => svg.getBoundingClientRect().right <= innerWidth)"
    )
    assert inside


def test_the_filter_hides_what_lacks_a_word_or_is_of_another_task(browser: Browser) -> None:
    page = browser.open()
    items = page.locator("#examples-list > li")
    every = items.count()
    assert every > 30
    assert page.locator("#filter output").inner_text() == f"{every} of {every} shown"
    page.select_option("#filter select", "mine")
    mine = page.locator("#examples-list > li:visible").count()
    assert 0 < mine < every
    number = page.locator("#examples-list > li:visible .text").first.inner_text().split()[-1]
    page.fill("#filter input", f"TEXT {number}")
    assert page.locator("#examples-list > li:visible").count() == 1
    assert page.locator("#filter output").inner_text() == f"1 of {every} shown"


def test_a_script_in_a_text_stays_text(browser: Browser) -> None:
    page = browser.open()
    assert SCRIPT in page.locator("#examples-list .text").filter(has_text="text").last.inner_text()
    assert page.title() == "One model or many: report"
    assert page.locator("script").count() == 1
    # Were one to slip through, the policy would not run it.
    page.evaluate(
        "const one = document.createElement('script');"
        "one.textContent = \"document.title = 'broken'\";"
        "document.body.append(one)"
    )
    assert page.title() == "One model or many: report"
    assert "Content Security Policy" in browser.complaints.pop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_are_seen_in_the_light_and_in_the_dark(
    scheme: str, browser: Browser
) -> None:
    page = browser.open(color_scheme=scheme)
    colors = page.evaluate(
        "['body', 'figure svg text'].map(s => getComputedStyle(document.querySelector(s)))"
        ".map(style => [style.backgroundColor, style.color, style.fill])"
    )
    background, text, drawn = colors[0][0], colors[0][1], colors[1][2]
    assert contrast(background, text) > 7
    assert contrast(background, drawn) > 4.5
    assert (luminance(background) > 0.5) == (scheme == "light")


def contrast(one: str, other: str) -> float:
    """Of two colours, by WCAG 2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    """Of ``rgb(1, 2, 3)``, relative, by WCAG 2."""
    values = [int(part) / 255 for part in color.partition("(")[2].rstrip(")").split(",")]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_it_can_be_printed_without_what_only_a_screen_needs(browser: Browser) -> None:
    page = browser.open(color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator("#filter").is_visible()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert luminance(background) > 0.5
