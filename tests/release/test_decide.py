"""Decisions on releases: what the rules allow, and what is left behind."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import func, select

from pipelines.artifacts import Workspace
from pipelines.contracts import content_id
from pipelines.errors import DecisionError
from pipelines.release import decide
from pipelines.release.champion import champion, project
from pipelines.store import ApprovalRow, AuditRow, ReleaseRow, Store, open_store

POLICY = decide.ReleasePolicy(separation_of_duties=True, identity="claimed")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path, None)
    yield opened
    opened.close()


def pending(store: Store, name: str, *, state: str = "pending", trained_by: str = "trainer") -> str:
    now = datetime.now(UTC)
    with store.deciding() as session:
        number = (session.scalar(select(func.max(ReleaseRow.number))) or 0) + 1
        row = ReleaseRow(
            id=content_id(name),
            number=number,
            state=state,
            verdict="PASS",
            warning=None,
            manifest={"system": f"system of {name}"},
            report_digest="r",
            against=None,
            trained_by=trained_by,
            created=now,
            changed=now,
        )
        session.add(row)
    return content_id(name)


def states(store: Store) -> dict[str, str]:
    return {each.id: each.state for each in decide.releases(store)}


def test_approval_puts_the_release_into_production_and_says_who_and_why(store: Store) -> None:
    first = pending(store, "first")
    done = decide.approve(store, POLICY, by="reviewer", why="read it")
    assert (done.id, done.state) == (first, "production")
    assert [(a.who, a.why, a.verdict, a.identity) for a in done.decided] == [
        ("reviewer", "read it", "approved", "claimed")
    ]


@pytest.mark.parametrize("who", ["trainer", " Trainer "])
def test_nobody_approves_what_they_trained(store: Store, who: str) -> None:
    first = pending(store, "first")
    with pytest.raises(DecisionError, match="separation of duties"):
        decide.approve(store, POLICY, by=who, why="mine")
    assert states(store) == {first: "pending"}


def test_a_verified_identity_can_be_demanded(store: Store) -> None:
    pending(store, "first")
    policy = decide.ReleasePolicy(separation_of_duties=True, identity="verified")
    with pytest.raises(DecisionError, match="verified"):
        decide.approve(store, policy, by="reviewer", why="x")


@pytest.mark.parametrize(("by", "why"), [("", "x"), ("r", " ")])
def test_a_decision_has_a_name_and_a_reason(store: Store, by: str, why: str) -> None:
    pending(store, "first")
    with pytest.raises(DecisionError, match="Say"):
        decide.approve(store, POLICY, by=by, why=why)


def test_what_the_gate_failed_cannot_be_approved(store: Store) -> None:
    failed = pending(store, "failed", state="rejected")
    with pytest.raises(DecisionError, match="rejected, not pending"):
        decide.approve(store, POLICY, release=failed, by="reviewer", why="x")


def test_with_two_pending_releases_the_caller_says_which(store: Store) -> None:
    first, second = pending(store, "first"), pending(store, "second")
    with pytest.raises(DecisionError, match=f"{first[:12]}, {second[:12]}"):
        decide.approve(store, POLICY, by="reviewer", why="x")
    assert decide.reject(store, release=second[:8], by="reviewer", why="x").state == "rejected"


def test_rollback_needs_a_release_to_go_back_to(store: Store) -> None:
    with pytest.raises(DecisionError, match="no previous release"):
        decide.rollback(store, by="op", why="x")
    pending(store, "first")
    decide.approve(store, POLICY, by="reviewer", why="x")
    with pytest.raises(DecisionError, match="no previous release"):
        decide.rollback(store, by="op", why="x")


def test_rollback_restores_the_release_before(store: Store) -> None:
    first = pending(store, "first")
    decide.approve(store, POLICY, by="reviewer", why="x")
    second = pending(store, "second")
    decide.approve(store, POLICY, by="reviewer", why="x")
    assert states(store) == {first: "previous", second: "production"}
    assert decide.rollback(store, by="op", why="worse").id == first
    assert states(store) == {first: "production", second: "rolled_back"}


def test_of_two_reviewers_at_once_one_decides(store: Store) -> None:
    release = pending(store, "first")
    came: list[str] = []

    def act(name: str) -> None:
        try:
            decide.approve(store, POLICY, release=release, by=name, why="x")
            came.append("done")
        except DecisionError:
            came.append("refused")

    threads = [threading.Thread(target=act, args=(f"r{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(came) == ["done"] + ["refused"] * 5
    with store.reading() as session:
        assert session.scalar(select(func.count()).select_from(ApprovalRow)) == 1


def test_a_champion_file_that_a_crash_left_behind_is_repaired(store: Store, tmp_path: Path) -> None:
    first = pending(store, "first")
    decide.approve(store, POLICY, by="reviewer", why="x")  # and no projection: as if killed here
    workspace = Workspace(tmp_path)
    assert champion(workspace) is None
    project(workspace, store)
    assert champion(workspace) == {"release": first, "system": "system of first", "reference": None}


def test_each_audit_row_covers_the_one_before(store: Store) -> None:
    pending(store, "first")
    decide.approve(store, POLICY, by="reviewer", why="x")
    pending(store, "second")
    decide.reject(store, by="reviewer", why="y")
    with store.reading() as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.id)).all()
    before = ""
    for row in rows:
        when = row.when.replace(tzinfo=UTC).isoformat()
        assert row.digest == content_id(before, when, row.who, row.action, row.subject, row.detail)
        before = row.digest
    assert [row.action for row in rows] == ["approved", "rejected"]


class Releases(RuleBasedStateMachine):
    """Any order of registrations and decisions."""

    @initialize()
    def start(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(Path(self.folder.name), None)
        self.made = 0

    @rule()
    def register(self) -> None:
        pending(self.store, str(self.made))
        self.made += 1

    @rule()
    def approve(self) -> None:
        self._try(lambda: decide.approve(self.store, POLICY, by="reviewer", why="x"))

    @rule()
    def reject(self) -> None:
        self._try(lambda: decide.reject(self.store, by="reviewer", why="x"))

    @rule()
    def rollback(self) -> None:
        self._try(lambda: decide.rollback(self.store, by="op", why="x"))

    def _try(self, act: object) -> None:
        before = states(self.store)
        try:
            act()  # type: ignore[operator]
        except DecisionError:
            assert states(self.store) == before

    @invariant()
    def one_release_is_served_and_one_is_the_way_back(self) -> None:
        found = list(states(self.store).values())
        assert found.count("production") <= 1
        assert found.count("previous") <= 1
        if "previous" in found:
            assert "production" in found

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


Releases.TestCase.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
TestReleases = Releases.TestCase
