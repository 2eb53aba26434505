"""`groundwork findings` as it is typed: what it lists, what it writes, what it refuses."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import Result
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import UserError
from tests.release.candidates import finding
from tests.release.conftest import Desk

DIRE = finding("dire")
DAY = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
SAID = ("--by", "rose", "--why", "no such tool is connected")
Run = Callable[..., Result]


@pytest.fixture
def run(desk: Desk) -> Run:
    return lambda *words: CliRunner().invoke(app, [*words, "--workspace", str(desk.root)])


def refusal(done: Result) -> str:
    """What cli.main says, which ends a UserError in exit code 2."""
    assert isinstance(done.exception, UserError)
    assert done.exception.exit_code == 2
    return str(done.exception)


def test_a_finding_is_listed_waived_and_withdrawn(desk: Desk, run: Run) -> None:
    assert "Nothing has been registered yet" in run("findings").output
    release = desk.pending(through=[DIRE])
    for words in (("findings",), ("findings", release[:8]), ("findings", "list")):
        shown = run(*words).output
        assert f"{DIRE.id[:12]}  critical open, blocks" in shown
        assert "Do dire -> Done: dire" in shown
    assert f"held up, findings of the red team nobody waives: {DIRE.id[:12]} (critical)" in run("releases").output
    done = run("findings", "waive", DIRE.id[:8], *SAID, "--expires", DAY)
    assert done.output == (
        f"rose as reviewer waives finding {DIRE.id[:12]} (critical, dire) for release {release[:12]} until {DAY}.\n"
    )
    assert f"waived until {DAY} by rose" in run("findings").output
    assert "held up" not in run("releases").output
    assert "withdraws" in run("findings", "withdraw", DIRE.id[:8], *SAID).output
    assert "open, blocks" in run("findings", release).output


def test_json_gives_the_same_as_one_object(desk: Desk, run: Run) -> None:
    release = desk.pending(through=[DIRE])
    done = json.loads(run("findings", "waive", DIRE.id, *SAID, "--expires", DAY, "--any-release", "--json").output)
    assert (done["finding"], done["release"], done["until"], done["changed"]) == (DIRE.id, None, DAY, True)
    listed = json.loads(run("findings", "--json").output)
    assert (listed["release"], listed["state"]) == (release, "pending")
    (found,) = listed["findings"]
    assert (found["id"], found["state"], found["until"], found["blocking"]) == (DIRE.id, "waived", DAY, True)
    assert found["waiver"]["why"] == SAID[-1]
    (shown,) = json.loads(run("release", "show", release, "--json").output)["findings"]
    assert shown["waiver"] == found["waiver"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("waive", "zz", *SAID, "--expires", DAY), "no finding 'zz'; `groundwork findings` lists them"),
        (("waive", DIRE.id, *SAID, "--expires", "2020-01-01"), "has passed"),
        (("waive", DIRE.id, *SAID, "--expires", "2999-01-01"), "too far ahead"),
        (("waive", DIRE.id, *SAID, "--expires", "tomorrow"), "is not a day; write YYYY-MM-DD"),
        (("waive", DIRE.id, "--by", "rose", "--why", "", "--expires", DAY), "Say why"),
        (("waive", DIRE.id, "--by", "trainer", "--why", "w", "--expires", DAY), "separation of duties"),
        (("withdraw", "zz", *SAID), "no finding 'zz'"),
        (("zz",), "no release 'zz'"),
    ],
)
def test_bad_input_ends_in_exit_code_2_with_what_is_wrong(
    desk: Desk, run: Run, words: tuple[str, ...], said: str
) -> None:
    desk.pending(through=[DIRE])
    assert said in refusal(run("findings", *words))


def test_an_approval_is_refused_by_the_verb_too(desk: Desk, run: Run) -> None:
    release = desk.pending(through=[DIRE])
    said = refusal(run("approve", "--by", "rose", "--why", "read it"))
    assert f"groundwork findings waive {DIRE.id[:12]} --release {release[:12]}" in said
    assert run("findings", "waive", DIRE.id).exit_code == 2  # typer's own: --by, --why and --expires are missing
