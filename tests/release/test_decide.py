"""Decisions on releases: what the rules allow, and what is left behind."""

import tempfile
import threading
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import func, select

from pipelines.contracts import content_id
from pipelines.errors import DecisionError
from pipelines.release.audit import verify_log
from pipelines.release.champion import champion, project
from pipelines.release.listing import manifest
from pipelines.release.policy import ReleasePolicy
from pipelines.store import ApprovalRow, AuditRow, Store, open_store
from tests.release.candidates import object_of
from tests.release.conftest import Desk


def decisions(store: Store) -> int:
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(ApprovalRow)) or 0


def test_approval_puts_the_release_into_production_and_says_who_and_why(desk: Desk) -> None:
    first = desk.pending()
    done = desk.approve()
    assert (done.id, done.state, done.changed) == (first, "production", True)
    assert [(a.who, a.role, a.why, a.verdict, a.identity, a.when, a.report_digest) for a in done.decided] == [
        (
            "reviewer",
            "reviewer",
            "read it",
            "approved",
            "claimed",
            desk.now,
            manifest(desk.store, first).parts["report"],
        )
    ]


@pytest.mark.parametrize("who", ["trainer", " Trainer "])
def test_nobody_approves_what_they_trained(desk: Desk, who: str) -> None:
    first = desk.pending()
    with pytest.raises(DecisionError, match="separation of duties"):
        desk.approve(by=who)
    assert desk.states() == {first: "pending"}


def test_a_verified_identity_can_be_demanded(desk: Desk) -> None:
    desk.pending()
    desk.policy = ReleasePolicy(separation_of_duties=True, identity="verified")
    for act in (desk.approve, desk.reject):
        with pytest.raises(DecisionError, match="verified"):
            act()


@pytest.mark.parametrize(("by", "why"), [("", "x"), ("r", " ")])
def test_a_decision_has_a_name_and_a_reason(desk: Desk, by: str, why: str) -> None:
    desk.pending()
    with pytest.raises(DecisionError, match="Say"):
        desk.approve(by=by, why=why)


def test_what_the_gate_failed_cannot_be_approved(desk: Desk) -> None:
    failed = desk.pending(state="rejected")
    with pytest.raises(DecisionError, match="rejected, not pending"):
        desk.approve(failed)


def test_with_two_pending_releases_the_caller_says_which(desk: Desk) -> None:
    first, second = desk.pending("first"), desk.pending("second")
    with pytest.raises(DecisionError, match=f"{first[:12]}, {second[:12]}"):
        desk.approve()
    assert desk.reject(second[:8]).state == "rejected"


def test_rollback_needs_a_release_to_go_back_to(desk: Desk) -> None:
    with pytest.raises(DecisionError, match="no previous release"):
        desk.rollback()
    desk.pending()
    desk.approve()
    with pytest.raises(DecisionError, match="no previous release"):
        desk.rollback()


def test_rollback_restores_the_release_before(desk: Desk) -> None:
    first = desk.pending("first")
    desk.approve()
    second = desk.pending("second")
    desk.approve()
    assert desk.states() == {second: "production", first: "previous"}
    assert desk.rollback().id == first
    assert desk.states() == {second: "rolled_back", first: "production"}


def test_of_two_reviewers_at_once_one_decides(desk: Desk) -> None:
    release = desk.pending()
    assert _at_once(desk, release, 6) == ["production"] + ["refused"] * 5
    assert decisions(desk.store) == 1


def test_of_many_who_complete_a_requirement_at_once_one_does(desk: Desk) -> None:
    # Three are required: two approvals leave the release pending, the third moves it, and three more find it moved.
    desk.policy = ReleasePolicy(separation_of_duties=True, identity="claimed", required={"reviewer": 3})
    release = desk.pending()
    assert _at_once(desk, release, 6) == ["pending", "pending", "production"] + ["refused"] * 3
    assert decisions(desk.store) == 3


def _at_once(desk: Desk, release: str, people: int) -> list[str]:
    came: list[str] = []

    def act(name: str) -> None:
        try:
            came.append(desk.approve(release, by=name).state)
        except DecisionError:
            came.append("refused")

    threads = [threading.Thread(target=act, args=(f"r{i}",)) for i in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(came)


def test_the_same_decision_again_changes_nothing_and_says_so(desk: Desk) -> None:
    release = desk.pending()
    desk.approve(release)
    again = desk.approve(release, by="Reviewer", why="again")
    assert (again.changed, again.state) == (False, "production")
    assert "approved release" in again.said
    other = desk.pending("other")
    desk.reject(other)
    assert desk.reject(other).changed is False
    with pytest.raises(DecisionError, match="production, not pending"):
        desk.reject(release)
    assert decisions(desk.store) == 2


def test_approval_of_another_report_than_the_one_read_is_refused(desk: Desk) -> None:
    release = desk.pending()
    seen = manifest(desk.store, release)
    with pytest.raises(DecisionError, match="not that of release"):
        desk.approve(report_digest="0" * 64)
    with pytest.raises(DecisionError, match="12 characters"):
        desk.approve(report_digest=seen.parts["report"][:6])
    assert desk.states() == {release: "pending"}
    desk.approve(report_digest=seen.parts["report"][:12])
    assert desk.approve(release, report_digest=seen.objects["report"]).changed is False  # as `release show` names it


@pytest.mark.parametrize("page", ["report.html", "report.json"])
def test_a_report_may_be_named_by_the_digest_of_its_page(desk: Desk, page: str) -> None:
    release = desk.pending()
    name = object_of(desk.workspace, manifest(desk.store, release).objects["report"], page).name
    assert desk.approve(report_digest=f"sha256:{name}").state == "production"


@pytest.mark.parametrize(
    ("part", "file"), [("report", "report.json"), ("report", "report.html"), ("redteam", "redteam.json")]
)
def test_what_was_changed_in_the_store_cannot_be_approved(desk: Desk, part: str, file: str) -> None:
    release = desk.pending()
    place = object_of(desk.workspace, manifest(desk.store, release).objects[part], file)
    place.chmod(0o644)
    place.write_text("better figures")
    with pytest.raises(DecisionError, match=f"(?s)changed since.*{part}/{file}: its content is"):
        desk.approve(release)
    assert desk.states() == {release: "pending"}


def test_a_champion_file_that_a_crash_left_behind_is_repaired(desk: Desk) -> None:
    first = desk.pending()
    desk.approve()  # and no projection: as if killed here
    assert champion(desk.workspace) is None
    project(desk.workspace, desk.store)
    system = manifest(desk.store, first).system
    assert champion(desk.workspace) == {"release": first, "system": system, "reference": None}


def test_each_audit_row_covers_the_one_before(desk: Desk) -> None:
    desk.pending("first")
    desk.approve()
    desk.pending("second")
    desk.reject()
    with desk.store.reading() as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.id)).all()
        assert verify_log(session) == []
    before = ""
    for row in rows:
        when = row.when.replace(tzinfo=UTC).isoformat()
        assert row.digest == content_id(before, when, row.who, row.action, row.subject, row.detail)
        before = row.digest
    assert [row.action for row in rows] == ["approved", "rejected"]


def test_a_changed_audit_row_and_a_decision_without_one_are_found(desk: Desk) -> None:
    release = desk.pending()
    desk.approve()
    with desk.store.deciding() as session:
        row = session.scalars(select(ApprovalRow)).one()
        row.who = "somebody else"
    with desk.store.reading() as session:
        assert verify_log(session) == [f"the decision `somebody else: approved` on {release[:12]} has no row"]
    with desk.store.deciding() as session:
        log = session.scalars(select(AuditRow)).one()
        log.who = "somebody else"
    with desk.store.reading() as session:
        assert "row 1 (approved by somebody else) was changed" in verify_log(session)[0]


class Releases(RuleBasedStateMachine):
    """Any order of registrations and decisions."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        self.desk = Desk(root, open_store(root / "state", None))
        self.made = 0

    @rule()
    def register(self) -> None:
        self.desk.pending(str(self.made))
        self.made += 1

    @rule()
    def approve(self) -> None:
        self._try(self.desk.approve)

    @rule()
    def reject(self) -> None:
        self._try(self.desk.reject)

    @rule()
    def rollback(self) -> None:
        self._try(self.desk.rollback)

    def _try(self, act: object) -> None:
        before = self.desk.states()
        try:
            act()  # type: ignore[operator]
        except DecisionError:
            assert self.desk.states() == before

    @invariant()
    def one_release_is_served_and_one_is_the_way_back(self) -> None:
        found = list(self.desk.states().values())
        assert found.count("production") <= 1
        assert found.count("previous") <= 1
        if "previous" in found:
            assert "production" in found

    def teardown(self) -> None:
        self.desk.store.close()
        self.folder.cleanup()


Releases.TestCase.settings = settings(max_examples=6, stateful_step_count=10, deadline=None)
TestReleases = Releases.TestCase
