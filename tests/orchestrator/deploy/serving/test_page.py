"""The page in a browser: all answers, problems, a phone, the dark, nothing from elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.orchestrator.deploy.serving.conftest import listening
from tools.browser import MissingBrowserError, chromium


@dataclass
class Site:
    """The page at ``url``, and what a browser complains of."""

    browser: Any
    url: str
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, width: int = 1200, **options: Any) -> Any:
        """The page in a window of its own, ready to be asked."""
        page = self.browser.new_page(viewport={"width": width, "height": 800}, **options)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(self.url)
        page.locator("#second").wait_for()
        return page


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of the interface in front of a fake model."""
    with listening() as address:
        yield f"{address}/"


@pytest.fixture(scope="module")
def site(server: str) -> Iterator[Site]:
    try:
        with chromium() as opened:
            yield Site(opened, server)
    except MissingBrowserError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def new(site: Site) -> None:
    site.complaints.clear()
    site.asked.clear()


def test_a_text_shows_the_answers_of_all_its_tasks(site: Site) -> None:
    page = site.open()
    page.fill("#text", "<b>a text</b>")
    page.click("button")
    page.locator("section").nth(2).wait_for()
    headings = page.locator("h2").all_inner_texts()
    assert [heading.partition(":")[0] for heading in headings] == ["tone", "topic", "length"]
    assert headings[2] == "length: 13.000"
    shares = page.locator("section").nth(1).locator("dd:not(.track)").all_inner_texts()
    assert sum(float(share.removesuffix(" %")) for share in shares) == pytest.approx(100, abs=0.2)
    assert site.complaints == []
    assert all(url.startswith((site.url, "data:")) for url in site.asked)


def test_a_second_text_adds_the_tasks_of_pairs(site: Site) -> None:
    page = site.open()
    page.fill("#text", "a")
    page.fill("#pair", "b")
    page.click("button")
    page.locator("section").nth(3).wait_for()
    assert [h.partition(":")[0] for h in page.locator("h2").all_inner_texts()][3] == "same"


def test_a_problem_is_shown_in_place_of_old_answers(site: Site) -> None:
    page = site.open()
    page.fill("#text", "a")
    page.click("button")
    page.locator("section").first.wait_for()
    page.fill("#text", "a" * 101)
    page.click("button")
    page.locator("#problem:not(:empty)").wait_for()
    assert page.inner_text("#problem") == "inputs.0: a text may have 100 characters"
    assert page.locator("section").count() == 0
    assert page.locator("button").is_enabled()


def test_nothing_leaves_a_phones_screen(site: Site) -> None:
    page = site.open(320)
    page.fill("#text", "a")
    page.click("button")
    page.locator("section").nth(2).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_dark_is_dark(site: Site) -> None:
    colors = []
    for scheme in ("light", "dark"):
        page = site.open(color_scheme=scheme)
        colors.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colors == ["rgb(255, 255, 255)", "rgb(20, 25, 31)"]
