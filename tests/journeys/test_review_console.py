"""The review console in a real browser, by keys; and what it refuses, over HTTP."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn
from playwright.sync_api import Page, sync_playwright

from pipelines.artifacts import Workspace
from pipelines.evaluation.review_server import LARGEST_BYTES, application
from pipelines.evaluation.review_votes import Reviewed, fill, newest_round, reviewed
from pipelines.release.findings import Standing, of_release
from pipelines.release.policy import ReleasePolicy
from pipelines.release.review_desk import FindingsDesk
from pipelines.store import ReleaseRow, Store, open_store
from tests.evaluation.test_review import HOSTILE, pair
from tests.journeys.test_pages import CHROMIUM, FLAGS
from tests.journeys.test_servers import free_port
from tests.release.candidates import candidate, finding

POLICY = ReleasePolicy(separation_of_duties=True, identity="claimed")
TODAY = datetime.now(UTC).date()
DIRE = finding("dire").model_copy(update={"prompt": HOSTILE})


class Console:
    """A console that runs, its store, and a release whose red team let one attack through."""

    def __init__(self, store: Store, port: int, release: str) -> None:
        self.store, self.port, self.url = store, port, f"http://127.0.0.1:{port}"
        self.release = release

    def standing(self) -> Standing:
        with self.store.reading() as session:
            row = session.get_one(ReleaseRow, self.release)
            return of_release(session, row, POLICY, datetime.now(UTC))[0]

    def votes(self) -> dict[str, Reviewed]:
        return {each.item: each for each in reviewed(self.store, newest_round(self.store))}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    root, port = tmp_path_factory.mktemp("console"), free_port()
    store = open_store(root, None)
    release = candidate(store, root, "first", through=[DIRE])
    desk = FindingsDesk(store, Workspace(root).objects, lambda: POLICY)
    fill(store, [pair(1, answer=HOSTILE), pair(2), pair(3)], seed=7, reviewers=2)
    app = application(store, desk, host="127.0.0.1", port=port)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield Console(store, port, release)
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


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_finding_is_waived_and_withdrawn_on_its_page(console: Console, page: Page, tmp_path: Path) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.keyboard.type("ann")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Red team").click()
    page.get_by_text("holds up the approval").wait_for()  # the name is kept from the other page
    assert HOSTILE in page.locator("dd").all_inner_texts()  # shown as text
    assert page.title() == "Red team"
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        page.screenshot(path=tmp_path / f"findings-{width}.png", full_page=True)
    day = (TODAY + timedelta(days=30)).isoformat()
    page.get_by_label("Reason").fill("no tool is connected")
    page.get_by_label("Last day").fill(day)
    page.get_by_role("button", name="Waive").click()
    page.get_by_text(f"waived until {day} by ann (reviewer): no tool is connected").wait_for()
    assert console.standing().state == "waived"
    page.get_by_label("Reason").fill("a tool is connected")
    page.keyboard.press("Enter")
    page.get_by_text("holds up the approval").wait_for()
    assert console.standing().state == "open"
    assert errors == []


def test_a_waiver_by_the_trainer_or_for_too_long_is_refused_over_http(console: Console) -> None:
    said = {"finding": DIRE.id, "release": console.release, "why": "w", "expires": TODAY.isoformat()}
    place = f"{console.url}/api/waivers"
    for changes, status, why in (
        ({"reviewer": "trainer"}, 409, "separation of duties"),
        ({"reviewer": "eve", "expires": "2999-01-01"}, 409, "too far ahead"),
        ({"reviewer": "eve", "finding": "0" * 64}, 409, "no finding"),
        ({"reviewer": "eve", "expires": "soon"}, 422, "expires"),
        ({"reviewer": "eve", "why": ""}, 422, "why"),
    ):
        refused = httpx.post(place, json={**said, **changes})
        assert (refused.status_code, why in refused.json()["error"]) == (status, True)
    mine = {**said, "reviewer": "eve"}
    assert httpx.post(place, json=mine, headers={"origin": "https://evil.example"}).status_code == 403
    assert console.standing().state == "open"
    assert httpx.post(place, json=mine).json()["changed"] is True
    assert httpx.post(place, json=mine).json()["changed"] is False
    shown = httpx.get(f"{console.url}/api/findings").json()["releases"][0]
    assert (shown["id"], shown["findings"][0]["waiver"]["who"]) == (console.release, "eve")
    taken = {name: mine[name] for name in ("finding", "release", "reviewer", "why")}
    assert httpx.post(f"{console.url}/api/withdrawals", json=taken).json()["changed"] is True


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
