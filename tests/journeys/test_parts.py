"""A release that differs in its index, its policies or its prompt alone: judged as every other, and nothing trained."""

import json
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import sync_playwright

from pipelines.settings import ROOT
from tests.journeys.conftest import GATE, World
from tests.journeys.test_pages import CHROMIUM, FLAGS

JUDGED = {"report", "redteam", "decision"}
"""Parts that any change of a system makes anew."""
ANSWER = ROOT / "configs" / "prompts" / "answer.yaml"


def run(lived: World, folder: Path, *flags: str, prompt: Path = ANSWER, gate: str = GATE) -> dict[str, object]:
    """A run with this prompt and this gate policy, whatever other stories left in the workspace."""
    (folder / "gate.yaml").write_text(gate)
    chosen = {"generation": {"prompt": str(prompt)}, "policies": {"gate": str(folder / "gate.yaml")}}
    (folder / "config.yaml").write_text(yaml.safe_dump(chosen))
    found: dict[str, object] = lived.json("run", *flags, "--config", str(folder / "config.yaml"))
    return found


def differing(lived: World, old: object, new: object) -> set[str]:
    return set(lived.json("release", "diff", str(old), str(new))["parts"])


def kind(lived: World, release: object) -> str:
    return next(str(r["kind"]) for r in lived.json("releases")["releases"] if r["id"] == release)


@pytest.fixture(scope="module")
def champion(lived: World) -> str:
    """The release in production; the newest one is approved where there is none."""
    listed = lived.json("releases")["releases"]
    held = [r["id"] for r in listed if r["state"] == "production"]
    if not held:
        held = [listed[0]["id"]]
        lived.groundwork("approve", held[0], "--by", "reviewer", "--why", "read it")
    return str(held[0])


@pytest.fixture(scope="module")
def newer(lived: World, champion: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], str]:
    """A document more, the adapter kept: what the run said, and the release, approved."""
    place = lived.sources / "handbook" / "canteen.md"
    place.write_text("# Canteen\n\nThe canteen in Porto serves lunch from 12:10 to 13:50, soup included.\n")
    done = run(lived, tmp_path_factory.mktemp("index"), "--keep-adapter")
    lived.groundwork("approve", str(done["release"]), "--by", "reviewer", "--why", "the index is newer")
    return done, str(done["release"])


def test_a_new_document_moves_the_index_and_trains_nothing(
    lived: World, champion: str, newer: tuple[dict[str, object], str]
) -> None:
    done, release = newer
    assert (done["kind"], kind(lived, release)) == ("index-only", "index-only")
    parts = differing(lived, champion, release)
    assert {"documents", "chunks", "index"} <= parts
    # the golden questions are placed among the newer documents; what was trained, and by whom, stays
    assert parts - JUDGED == {"documents", "chunks", "index", "dataset"}
    shown = lived.json("release", "show", release)
    assert shown["against"] == champion
    assert shown["trained_by"] == lived.json("release", "show", champion)["trained_by"]
    trained = json.loads((lived.workspace / "train" / "run.json").read_text())
    assert "training_seconds" not in trained
    assert trained["kept_from"]
    assert "12:10" in lived.groundwork("search", "canteen lunch Porto", "--json").stdout


def test_the_same_again_does_nothing(lived: World, newer: tuple[dict[str, object], str], tmp_path: Path) -> None:
    # although the release that kept the adapter is itself in production by now
    assert run(lived, tmp_path, "--keep-adapter")["ran"] == []


def test_a_changed_policy_runs_the_gate_alone(
    lived: World, newer: tuple[dict[str, object], str], tmp_path: Path
) -> None:
    done = run(lived, tmp_path, "--keep-adapter", gate=GATE.replace("0.05", "0.04"))
    assert (done["ran"], done["kind"]) == (["gate"], "policy-only")
    assert differing(lived, newer[1], done["release"]) == {"gate_policy", "decision"}


def test_a_changed_prompt_runs_suites_and_gate_against_the_champion(
    lived: World, newer: tuple[dict[str, object], str], tmp_path: Path
) -> None:
    text = ANSWER.read_text(encoding="utf-8")
    example = {"passages": [{"title": "Parking", "text": "Parking in Kendal costs 4 pounds a day."}],
               "question": "What does parking cost?", "answer": "4 pounds a day"}  # fmt: skip
    prompt = tmp_path / "answer.yaml"
    prompt.write_text(text.replace("examples: []", yaml.safe_dump({"examples": [example]})))
    done = run(lived, tmp_path, "--keep-adapter", prompt=prompt)
    assert (done["ran"], done["kind"]) == (["evaluate", "redteam", "gate"], "prompt-only")
    assert differing(lived, newer[1], done["release"]) == {"prompt", *JUDGED}
    decision = json.loads((lived.workspace / "gate" / "decision.json").read_text())
    assert decision["against"] == newer[1]
    # the version was not raised with the text
    assert "raise its version" in str(done["warning"])
    assert "raise its version" in lived.groundwork("releases").stdout
    # the evaluation asked the same system the same questions: the comparison finds every answer
    page = lived.root / "prompts.html"
    compared = lived.json("prompts", "compare", str(ANSWER), str(prompt), "--html", str(page))
    assert [each["asked_anew"] for each in compared["prompts"]] == [0, 0]
    assert compared["primary"] == "answer_correct"
    assert "the gate decides on" in compared["cautions"][0]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_the_page_of_a_comparison_fits_a_phone_and_fetches_nothing(lived: World) -> None:
    address = (lived.root / "prompts.html").as_uri()
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        added = page.locator("pre.diff .plus").first.inner_text()
        browser.close()
    assert (wider, asked) == (0, [address])
    assert added.startswith("+examples:")
