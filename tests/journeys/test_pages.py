"""The pages in a real browser: what they say is to be seen, what they filter is filtered, and nothing is fetched."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.journeys.conftest import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 1200, "height": 900})
        browser.close()


@pytest.mark.parametrize(
    "place", ["dataset/card", "evaluate/report", "redteam/redteam", "gate/decision", "train/curves"]
)
def test_a_page_stands_alone(page: Page, lived: World, place: str) -> None:
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    address = (lived.workspace / f"{place}.html").as_uri()
    page.goto(address)
    assert page.locator("h1").is_visible()
    assert {url for url in asked if not url.startswith("data:")} == {address}
    assert errors == []
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0  # nothing to scroll to the side


def test_examples_can_be_filtered(page: Page, lived: World) -> None:
    page.goto((lived.workspace / "redteam/redteam.html").as_uri())
    select = page.locator("select").last
    options = [value for value in select.locator("option").all_inner_texts() if value != "all"]
    before = page.locator("#shown").inner_text()
    select.select_option(label=options[0])
    after = page.locator("#shown").inner_text()
    assert before != after or len(options) == 1
