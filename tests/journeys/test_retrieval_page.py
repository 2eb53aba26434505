"""The workbench from the command to the browser: compared, written, filtered, read, by mouse and by keys."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.journeys.conftest import World, small_documents
from tests.journeys.test_pages import CHROMIUM, FLAGS

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
HOSTILE = "What is <img src=x onerror=alert(1)></script> for?"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    """Words against vectors on twenty documents, through the command."""
    made = World(tmp_path_factory.mktemp("retrieval"))
    questions = made.root / "questions.jsonl"
    small_documents(made.sources, questions, documents=20)
    lines = questions.read_text(encoding="utf-8").splitlines()
    first = next(each for each in map(json.loads, lines) if each["answers"])
    questions.write_text("\n".join([*lines, json.dumps({**first, "id": "hostile", "question": HOSTILE})]) + "\n")
    for name, vector, words in (("words", 0, 1), ("vector", 1, 0)):
        (made.root / f"{name}.yaml").write_text(f"retrieval: {{weights: {{vector: {vector}, words: {words}}}}}\n")
    made.groundwork("index", "build", "--sources", str(made.sources))
    place = made.root / "page.html"
    pair = ("--compare", str(made.root / "vector.yaml"), str(made.root / "words.yaml"))
    done = made.groundwork("retrieval", "eval", "--qa", str(questions), *pair, "--html", str(place))
    assert "What this cannot tell" in done.stdout
    return made, place


@pytest.fixture(scope="module")
def page(compared: tuple[World, Path]) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme="dark")
        opened.goto(compared[1].as_uri())
        yield opened
        browser.close()


def test_it_stands_alone_and_fits(compared: tuple[World, Path], page: Page) -> None:
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.reload()
    assert page.locator(".verdict strong").is_visible()
    assert asked == [compared[1].as_uri()]
    assert errors == []
    for width in (1200, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.set_viewport_size({"width": 1200, "height": 900})


def test_failures_are_filtered_by_outcome_slice_and_words(page: Page) -> None:
    total = int(page.locator("#shown").inner_text().split(" of ")[1].split()[0])
    page.select_option("#by-outcome", "worse")
    assert set(page.locator("#list .meta .chip:first-child").all_inner_texts()) == {"lower with words"}
    page.select_option("#by-outcome", "")
    part = page.locator("#by-slice option").nth(1).inner_text()
    page.select_option("#by-slice", part)
    assert set(page.locator("#list .meta .chip:nth-child(2)").all_inner_texts()) <= {part}
    page.select_option("#by-slice", "")
    page.fill("#by-text", "no such words anywhere")
    assert page.locator("#list .row").count() == 0
    assert page.locator("#shown").inner_text() == f"0 of {total}"
    page.fill("#by-text", "")


def test_a_failure_shows_what_came_first_and_why(page: Page) -> None:
    page.select_option("#by-outcome", "better")
    row = page.locator("#list .row").first
    lost = row.locator(".side").first  # with vector
    assert "behind the first hit: most in vector" in lost.locator(".why").inner_text()
    assert lost.locator(".hit .bar span").count() >= 3
    right = lost.locator(".hit.right").first
    assert right.locator(".gold").first.is_visible()
    assert "vector" in right.locator(".parts b").inner_text()
    page.select_option("#by-outcome", "")


def test_questions_are_text_whatever_they_hold(page: Page) -> None:
    page.fill("#by-text", "onerror")
    assert page.locator("#list .row h3").first.inner_text() == HOSTILE
    assert page.locator("#list img").count() == 0
    page.fill("#by-text", "")


def test_keys_lead_through_it(page: Page) -> None:
    page.locator("body").click(position={"x": 5, "y": 5})
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("[...document.querySelectorAll('.row')].indexOf(document.activeElement)") == 1
    page.keyboard.press("k")
    assert page.evaluate("[...document.querySelectorAll('.row')].indexOf(document.activeElement)") == 0
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "by-text"
    page.keyboard.press("Escape")
    if page.locator(".on").first.is_enabled():
        page.keyboard.press("n")
        assert page.locator("#shown").inner_text().startswith("21")
        page.keyboard.press("p")
    assert page.locator("#shown").inner_text().startswith("1")


def test_an_unknown_document_and_key_end_with_two(compared: tuple[World, Path]) -> None:
    made, _ = compared
    wrong = made.root / "wrong.jsonl"
    wrong.write_text('{"id": "1", "question": "q", "answers": ["a"], "document": "handbok/none.md"}\n')
    assert "the nearest is" in made.groundwork("retrieval", "eval", "--qa", str(wrong), expect=2).stderr
    (made.root / "bad.yaml").write_text("chunkng: {}\n")
    pair = ("--compare", str(made.root / "bad.yaml"))
    told = made.groundwork("retrieval", "eval", "--qa", str(made.root / "questions.jsonl"), *pair, expect=2).stderr
    assert "did you mean `chunking`" in told
