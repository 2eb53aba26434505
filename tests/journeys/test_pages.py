"""The pages in a real browser: what they say is to be seen, what they filter is filtered, and nothing is fetched."""

import json
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


def test_a_trace_stands_alone_and_leads_from_a_citation_to_its_passage(page: Page, lived: World) -> None:
    rows = [json.loads(line) for line in (lived.workspace / "evaluate/answers.jsonl").read_text().splitlines()]
    shown = [each for each in rows if each["system"] == "candidate" and each["chunk_ids"]]
    cited = next((each for each in shown if each["citations"]), shown[0])
    place = lived.root / "trace.html"
    newest = lived.json("releases")["releases"][0]["id"]
    found = lived.json("trace", cited["id"], "--release", newest, "--html", str(place))
    assert [each["id"] for each in found["shown"]] == cited["chunk_ids"]
    assert {each["document"]["source"]["state"] for each in found["shown"]} == {"whole"}
    assert all(each["in_document"] for each in (*found["shown"], *found["citations"]))
    assert found["missing"] == []
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(place.as_uri())
    assert page.locator(".passage").count() == len(cited["chunk_ids"])
    if cited["citations"]:
        page.get_by_role("link", name="passage").first.click()
        assert "#passage-" in page.url
    assert {url.partition("#")[0] for url in asked} == {place.as_uri()}


def test_examples_can_be_filtered(page: Page, lived: World) -> None:
    page.goto((lived.workspace / "redteam/redteam.html").as_uri())
    select = page.locator("select").last
    options = [value for value in select.locator("option").all_inner_texts() if value != "all"]
    before = page.locator("#shown").inner_text()
    select.select_option(label=options[0])
    after = page.locator("#shown").inner_text()
    assert before != after or len(options) == 1
