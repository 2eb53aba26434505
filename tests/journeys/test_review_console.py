"""The review console in a real browser, by keys; and what it refuses, over HTTP."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from playwright.sync_api import Page, sync_playwright

from pipelines.evaluation.review_server import LARGEST_BYTES, application
from pipelines.evaluation.review_votes import Reviewed, fill, newest_round, reviewed
from pipelines.store import Store, open_store
from tests.evaluation.test_review import HOSTILE, pair
from tests.journeys.test_pages import CHROMIUM, FLAGS
from tests.journeys.test_servers import free_port


class Console:
    """A console that runs, and its store."""

    def __init__(self, store: Store, port: int) -> None:
        self.store, self.port, self.url = store, port, f"http://127.0.0.1:{port}"

    def votes(self) -> dict[str, Reviewed]:
        return {each.item: each for each in reviewed(self.store, newest_round(self.store))}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    store, port = open_store(tmp_path_factory.mktemp("console"), None), free_port()
    fill(store, [pair(1, answer=HOSTILE), pair(2), pair(3)], seed=7, reviewers=2)
    app = application(store, host="127.0.0.1", port=port)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield Console(store, port)
    server.should_exit = True
    thread.join(10)
    store.close()


@pytest.fixture
def page(console: Console) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1280, "height": 800})
        opened.goto(console.url)
        yield opened
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_reviewer_goes_through_by_keys(console: Console, page: Page, tmp_path: Path) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.keyboard.type("ann")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Question 1?").wait_for()
    assert HOSTILE in page.locator(".answer").all_inner_texts()  # shown as text
    assert page.locator(".answer *").count() == 0
    assert page.title() == "Review"
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        page.screenshot(path=tmp_path / f"console-{width}.png", full_page=True)
    page.keyboard.press("Enter")  # nothing chosen: nothing is sent
    assert "Choose first" in page.locator("#status").inner_text()
    shown_left = page.locator("#left .answer").inner_text()
    for key in ("1", "g", "C", "C", "Enter"):
        page.keyboard.press(key)
    page.get_by_role("heading", name="Question 2?").wait_for()
    vote = console.votes()["q1"]
    side = "candidate" if shown_left == HOSTILE else "reference"
    assert vote.votes == {"ann": side}
    other = {"candidate": "reference", "reference": "candidate"}[side]
    assert vote.rubrics["ann"][side] == {"grounded": True, "correct": None}
    assert vote.rubrics["ann"][other] == {"grounded": None, "correct": False}
    page.keyboard.press("u")
    page.get_by_role("heading", name="Question 1?").wait_for()
    assert console.votes()["q1"].votes == {}
    for number in ("2", "3"):
        page.keyboard.press("0")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=f"Question {number}?").wait_for()
    page.keyboard.press("k")
    page.get_by_role("heading", name="Question 2?").wait_for()
    page.keyboard.press("j")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("Escape")
    page.locator("[data-choice=right]").click()
    page.keyboard.press("Enter")  # after a click the keys go on
    page.get_by_text("Nothing is left for you").wait_for()
    assert page.locator("#count").inner_text() == "3 of 3"
    page.reload()  # the name is kept, the votes are there
    page.get_by_text("Nothing is left for you").wait_for()
    assert errors == []


def test_other_hosts_origins_and_forms_are_refused(console: Console) -> None:
    said = {"item": pair(3).id, "reviewer": "eve", "choice": "left"}
    place = f"{console.url}/api/votes"
    assert httpx.get(console.url, headers={"host": "evil.example"}).status_code == 421
    for origin in ("https://evil.example", "null"):
        assert httpx.post(place, json=said, headers={"origin": origin}).status_code == 403
    assert httpx.post(place, data=said).status_code == 415
    assert "eve" not in console.votes()["q3"].votes
    own = httpx.post(place, json=said, headers={"origin": console.url})
    assert own.json() == {"changed": True}
    assert httpx.post(place, json=said).json() == {"changed": False}


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"{", 422, "JSON"),
        (b'{"item": "x", "reviewer": "a", "choice": "left"}', 422, "item"),
        (b'{"item": "%s", "reviewer": "a", "choice": "both"}' % (b"0" * 64), 422, "choice"),
        (b'{"item": "%s", "reviewer": " ", "choice": "tie"}' % (b"0" * 64), 422, "reviewer"),
        (b'{"item": "%s", "reviewer": "a", "choice": "tie"}' % (b"0" * 64), 409, "no such item"),
        (b" " * (LARGEST_BYTES + 1), 413, "longer"),
    ],
)
def test_bad_bodies_are_told_apart(console: Console, body: bytes, status: int, why: str) -> None:
    headers = {"content-type": "application/json"}
    refused = httpx.post(f"{console.url}/api/votes", content=body, headers=headers)
    assert refused.status_code == status
    assert why in refused.json()["error"]


def test_the_page_runs_its_own_script_alone(console: Console) -> None:
    answered = httpx.get(console.url)
    assert "default-src 'none'; script-src 'self';" in answered.headers["content-security-policy"]
    assert httpx.get(f"{console.url}/api/queue").status_code == 422
    assert httpx.get(f"{console.url}/nothing").json() == {"error": "Not Found"}
