"""A site as the source, from the flow to the search: unchanged, changed, down."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import doors
from pipelines.settings import ROOT
from pipelines.workspaces import Choices
from tests.documents.servers import Page, Site, serving
from tests.journeys.conftest import World

FLOW = """
import sys
from pathlib import Path
from flows.lifecycle import ingest
from flows.parameters import Where

print(ingest(Where(workspace=Path(sys.argv[1]), config=Path(sys.argv[2]), sources=(sys.argv[3],))))
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        made.html("/docs/", "pumps", "leave", "gone")
        made.html("/docs/pumps", text="Pumps of the Merle series are covered for two years from delivery.")
        made.html("/docs/leave", text="Annual leave is requested in the portal four weeks ahead.")
        yield made


def test_a_site_is_indexed_kept_up_to_date_and_outlived(site: Site, tmp_path: Path) -> None:
    made = World(tmp_path)
    url, host = f"{site.url}/docs/", site.url.removeprefix("http://")
    made.config.write_text("sources: {attempts: 1, timeout_s: 5, web: {delay_s: 0}}\n")
    at, named = Choices(made.workspace), Choices(made.workspace, sources=(url,))

    def found(query: str) -> dict[str, Any]:
        first: dict[str, Any] = doors.search(at, query, None, 3)[0]["hits"][0]
        return first

    # the ingest flow fetches it first
    flow = [sys.executable, "-c", FLOW, str(made.workspace), str(made.config), url]
    done = subprocess.run(flow, capture_output=True, text=True, check=False, env=made.environment(), cwd=ROOT)
    assert "('ingest', 'chunk', 'embed')" in done.stdout, done.stderr[-3000:]
    assert found("How long are pumps covered?")["uri"] == f"{host}/docs/pumps.html"
    listed = doors.sources(at)[0]
    assert (listed["kind"], listed["files"], listed["refused"], listed["outcome"]) == ("web", 3, 1, "changed")

    # unchanged: asked, and nothing runs
    before, keys = len(site.asked), made.keys()
    doors.build_index(named)
    assert len(site.asked) > before and made.keys() == keys

    # changed: a stage by hand asks nobody, a refresh does
    site.html("/docs/pumps", text="Pumps of the Merle series are covered for seven years from delivery.")
    before = len(site.asked)
    assert "nothing to do" in made.groundwork("stage", "ingest").stderr
    assert len(site.asked) == before
    assert doors.refresh(at)[0]["changed"] is True
    doors.build_index(named)
    assert "seven years" in found("How long are pumps covered?")["text"]

    # down: an error that says so, and what was built stays in use
    keys = made.keys()
    site.stop()
    refused = made.groundwork("index", "build", "--sources", url, expect=2).stderr
    assert url in refused and "stays in use" in refused and "Traceback" not in refused
    doors.build_index(named, refresh=False)
    assert made.keys() == keys
    shown = made.groundwork("sources").stdout
    assert "3 files" in shown and "1 refused" in shown and "could not be reached" in shown


def test_a_secret_in_an_address_is_refused_and_written_nowhere(tmp_path: Path) -> None:
    made = World(tmp_path)
    named = "https://someone:hunter2@docs.example.com/"
    made.config.write_text(f"files: {{sources: ['{named}']}}\n")
    for arguments in (["index", "build", "--sources", named], ["stage", "ingest", "--config", str(made.config)]):
        done = made.groundwork(*arguments, expect=2)
        assert "Secrets come from the environment" in done.stderr
        assert "hunter2" not in done.stderr + done.stdout
    written = [p for p in made.workspace.rglob("*") if p.is_file() and b"hunter2" in p.read_bytes()]
    assert written == []


def test_a_hidden_page_of_the_site_is_not_a_page_of_ours(site: Site, tmp_path: Path) -> None:
    made = World(tmp_path)
    site.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /docs/", type="text/plain")
    refused = made.groundwork("index", "build", "--sources", f"{site.url}/docs/", expect=2).stderr
    assert "robots.txt does not allow /docs/" in refused
