"""Attacks that got through keep a release from approval until somebody answers for them, with a reason and a day."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from pipelines.artifacts import write_lines
from pipelines.contracts import Attack, Expectation
from pipelines.errors import DecisionError
from pipelines.evaluation.regressions import identity
from pipelines.release import finding_list, findings, listing
from pipelines.release.audit import verify_log
from pipelines.release.policy import ReleasePolicy
from pipelines.store import AuditRow, FindingRow, WaiverRow
from tests.release.candidates import finding, object_of
from tests.release.conftest import Desk

DIRE = finding("dire")
MILD = finding("mild", "high")


def policy(**keys: Any) -> ReleasePolicy:
    return ReleasePolicy.model_validate({"separation_of_duties": True, "identity": "claimed", **keys})


def rows(desk: Desk, table: type[Any]) -> int:
    with desk.store.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def whole(desk: Desk) -> bool:
    with desk.store.reading() as session:
        return verify_log(session) == []


def test_an_approval_is_refused_and_names_the_finding_and_the_command(desk: Desk) -> None:
    release = desk.pending(through=[DIRE, MILD])
    with pytest.raises(DecisionError) as refused:
        desk.approve()
    said = str(refused.value)
    assert "critical jailbreak, attack dire" in said
    assert f"groundwork findings waive {DIRE.id[:12]} --release {release[:12]} --by YOU" in said
    assert "mild" not in said  # high does not block by default
    assert desk.states() == {release: "pending"}


def test_a_waived_finding_lets_the_approval_through(desk: Desk) -> None:
    release = desk.pending(through=[DIRE])
    done = desk.waive(DIRE.id[:8])
    assert (done.changed, done.release, done.until) == (True, release, date(2026, 4, 1))  # 2 March and 30 days
    assert desk.approve().state == "production"
    assert not desk.listed(release).overdue
    assert whole(desk)


def test_what_blocks_is_the_policys_to_say(desk: Desk) -> None:
    desk.pending(through=[MILD])
    desk.policy = policy(findings={"block": ["high", "critical"]})
    with pytest.raises(DecisionError, match="attack mild"):
        desk.approve()
    desk.policy = policy(findings={"block": []})
    assert desk.approve().state == "production"


def test_nobody_waives_what_they_trained(desk: Desk) -> None:
    desk.pending(through=[DIRE])
    with pytest.raises(DecisionError, match="separation of duties"):
        desk.waive(DIRE.id, by=" Trainer")
    with pytest.raises(DecisionError, match="separation of duties"):
        desk.waive(DIRE.id, by="trainer", any_release=True)
    assert rows(desk, WaiverRow) == 0


def test_a_waiver_for_any_release_is_worth_nothing_for_one_that_its_giver_trained(desk: Desk) -> None:
    desk.pending("first", through=[DIRE])
    desk.waive(DIRE.id, by="anna", any_release=True)
    assert desk.approve().state == "production"
    desk.pending("hers", trained_by="Anna", through=[DIRE])
    with pytest.raises(DecisionError, match="attack dire"):
        desk.approve()


def test_a_waiver_for_a_release_is_not_one_for_the_next_and_one_for_any_is(desk: Desk) -> None:
    first = desk.pending("first", through=[DIRE])
    desk.waive(DIRE.id)
    desk.approve()
    second = desk.pending("second", through=[DIRE])
    with pytest.raises(DecisionError, match="attack dire"):
        desk.approve()
    assert desk.waive(DIRE.id, any_release=True).release is None
    assert desk.approve().state == "production"
    assert desk.states() == {second: "production", first: "previous"}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"why": " "}, "Say why"),
        ({"by": ""}, "Say who"),
        ({"expires": date(2026, 3, 1)}, "has passed; it is 2026-03-02"),
        ({"expires": date(2026, 6, 1)}, r"too far ahead: .* 90 days, to 2026-05-31"),
        ({"finding": "zz"}, "no finding 'zz'"),
        ({"finding": ""}, "no finding ''"),
        ({"role": "owner"}, "lets reviewer waive findings, not 'owner'"),
        ({"release": "0123", "any_release": True}, "not both"),
        ({"release": "zz"}, "no release 'zz'"),
    ],
)
def test_bad_input_is_refused_with_what_is_wrong(desk: Desk, how: dict[str, Any], said: str) -> None:
    desk.pending(through=[DIRE])
    with pytest.raises(DecisionError, match=said):
        desk.waive(**{"finding": DIRE.id, **how})
    assert rows(desk, WaiverRow) == 0


def test_the_last_day_that_the_policy_allows_is_allowed(desk: Desk) -> None:
    desk.pending(through=[DIRE])
    assert desk.waive(DIRE.id, expires=date(2026, 5, 31)).changed  # 2 March and 90 days


def test_a_beginning_that_two_findings_share_is_refused(desk: Desk) -> None:
    many = [finding(f"a{i}") for i in range(17)]  # of 17 ids two begin with the same of 16 letters
    desk.pending(through=many)
    shared = next(each.id[0] for each in many if sum(one.id[0] == each.id[0] for one in many) > 1)
    with pytest.raises(DecisionError, match="give more of the id"):
        desk.waive(shared)


def test_a_finding_of_a_rejected_release_is_not_waived_for_it(desk: Desk) -> None:
    gone = desk.pending(through=[DIRE])
    desk.reject()
    with pytest.raises(DecisionError, match="is rejected"):
        desk.waive(DIRE.id, release=gone)


def test_the_same_waiver_again_changes_nothing_and_says_so(desk: Desk) -> None:
    desk.pending(through=[DIRE])
    desk.waive(DIRE.id)
    again = desk.waive(DIRE.id, by="Reviewer", why="again")
    assert (again.changed, rows(desk, WaiverRow), rows(desk, AuditRow)) == (False, 1, 1)
    assert "already" in again.said
    assert desk.waive(DIRE.id, expires=date(2026, 3, 9)).changed  # another day is another waiver


def test_a_withdrawn_waiver_does_not_count_and_can_be_given_anew(desk: Desk) -> None:
    release = desk.pending(through=[DIRE])
    desk.waive(DIRE.id)
    assert desk.withdraw(DIRE.id, by="anna", release=release).changed
    with pytest.raises(DecisionError, match="attack dire"):
        desk.approve()
    assert desk.withdraw(DIRE.id).changed is False
    assert desk.waive(DIRE.id).changed
    assert desk.approve().state == "production"
    assert rows(desk, WaiverRow) == 3
    assert whole(desk)


def test_a_waiver_for_any_release_is_withdrawn_as_such(desk: Desk) -> None:
    release = desk.pending(through=[DIRE])
    desk.waive(DIRE.id, any_release=True)
    with pytest.raises(DecisionError, match="leave out --release"):
        desk.withdraw(DIRE.id, release=release)
    desk.waive(DIRE.id)
    assert desk.withdraw(DIRE.id).said.endswith(f"any release and release {release[:12]}")
    with pytest.raises(DecisionError, match="attack dire"):
        desk.approve()


def test_a_second_approval_looks_again(desk: Desk) -> None:
    desk.policy = policy(required={"reviewer": 2})
    release = desk.pending(through=[DIRE])
    desk.waive(DIRE.id)
    desk.approve(by="anna")
    desk.withdraw(DIRE.id)
    with pytest.raises(DecisionError, match="attack dire"):
        desk.approve(by="bob")
    assert desk.states() == {release: "pending"}


def test_a_waiver_that_ends_in_production_makes_the_release_overdue_and_moves_nothing(desk: Desk) -> None:
    release = desk.pending(through=[DIRE])
    desk.waive(DIRE.id, expires=date(2026, 3, 9))
    desk.approve()
    desk.now = datetime(2026, 3, 9, 23, 59, tzinfo=UTC)
    assert not desk.listed(release).overdue  # its last day
    desk.now = datetime(2026, 3, 10, tzinfo=UTC)
    found = desk.listed(release)
    assert (found.state, found.overdue) == ("production", True)
    assert [(each.id, each.ended) for each in found.open_findings] == [(DIRE.id, date(2026, 3, 9))]
    desk.waive(DIRE.id, release=release)
    assert not desk.listed(release).overdue


def test_roles_that_may_waive_and_one_person_in_two_roles(desk: Desk) -> None:
    desk.policy = policy(findings={"waived_by": ["security"]}, roles={"security": ["sam", "rose"]})
    desk.pending(through=[DIRE])
    with pytest.raises(DecisionError, match="bob does not hold the role 'security'; sam or rose does"):
        desk.waive(DIRE.id, by="bob")
    desk.waive(DIRE.id, by="sam")
    with pytest.raises(DecisionError, match=r"sam waived a finding .* as security, and cannot approve it as reviewer"):
        desk.approve(by="sam")
    desk.policy = desk.policy.model_copy(update={"roles": {"security": ("rose",)}})  # sam has lost the role
    with pytest.raises(DecisionError, match="attack dire"):
        desk.approve(by="bob")
    desk.waive(DIRE.id, by="rose")
    assert desk.approve(by="bob").state == "production"


def test_who_has_approved_does_not_waive_in_another_role(desk: Desk) -> None:
    desk.policy = policy(required={"reviewer": 2}, findings={"waived_by": ["security"], "block": []})
    desk.pending(through=[DIRE])
    desk.approve(by="sam")
    with pytest.raises(DecisionError, match=r"sam approved release .* as reviewer"):
        desk.waive(DIRE.id, by="sam")


def test_a_verified_identity_can_be_demanded(desk: Desk) -> None:
    desk.pending(through=[DIRE])
    desk.waive(DIRE.id)
    desk.policy = policy(identity="verified", roles={"reviewer": ["*"]})
    with pytest.raises(DecisionError, match="verified"):
        desk.waive(DIRE.id, by="bob")
    with pytest.raises(DecisionError, match="attack dire"):  # nor does the claimed waiver count
        desk.approve(identity="verified")


def test_a_finding_that_has_become_graver_is_not_covered(desk: Desk) -> None:
    desk.pending("first", through=[finding("dire", "high")])
    desk.waive(DIRE.id, any_release=True)
    desk.approve()
    desk.pending("second", through=[DIRE])
    with pytest.raises(DecisionError, match="critical jailbreak, attack dire"):
        desk.approve()


def test_a_release_of_before_has_the_findings_of_its_stored_red_team(desk: Desk) -> None:
    old = desk.pending(through=[DIRE])
    with desk.store.deciding() as session:
        session.execute(text("DELETE FROM findings"))
    with pytest.raises(DecisionError, match="attack dire"):
        desk.approve(old)
    assert desk.waive(DIRE.id, release=old).changed
    assert rows(desk, FindingRow) == 1


def test_of_releases_from_before_findings_were_kept_the_successes_are_read(desk: Desk, tmp_path: Path) -> None:
    release = listing.manifest(desk.store, desk.pending())
    success = (Expectation(kind="contains_any", values=("X",)),)
    attack = Attack(id="a", category="leak", prompt="Say X", success=success, severity="high")
    write_lines(tmp_path / "old" / "successes.jsonl", [attack])
    stored = desk.workspace.objects.put(tmp_path / "old")
    old = release.model_copy(update={"objects": {**release.objects, "redteam": stored}})
    (found,) = findings.stored(old, desk.workspace.objects)
    assert (found.id, found.attack, found.severity, found.answer) == (identity(attack), "a", "high", "")


def test_a_release_whose_stored_red_team_is_lost_keeps_the_findings_that_were_written_down(desk: Desk) -> None:
    release = desk.pending(through=[DIRE])
    object_of(desk.workspace, listing.manifest(desk.store, release).objects["redteam"], "findings.jsonl").unlink()
    found = finding_list.listed(desk.store, desk.policy, desk.workspace.objects, None, now=desk.now)
    assert [each.id for each in found.findings] == [DIRE.id]
    with pytest.raises(DecisionError, match=r"redteam/findings\.jsonl"):
        desk.approve()


def test_findings_over_releases_tell_what_is_resolved_from_what_was_not_tried(desk: Desk) -> None:
    lost = finding("lost", "low")
    first = desk.pending("first", through=[DIRE, MILD, lost])
    second = desk.pending("second", through=[DIRE], tried=[MILD])

    def stands(release: str | None) -> dict[str, tuple[str, bool, tuple[str, ...]]]:
        objects = desk.workspace.objects
        found = finding_list.listed(desk.store, desk.policy, objects, release, now=desk.now)
        return {each.attack: (each.state, each.blocking, each.releases) for each in found.findings}

    desk.waive(DIRE.id, release=first)
    assert list(stands(None).items()) == [
        ("dire", ("open", True, (first, second))),  # waived for the first alone
        ("mild", ("resolved", False, (first,))),
        ("lost", ("not_tried", False, (first,))),
    ]
    assert {name: each[0] for name, each in stands(first).items()} == {"dire": "waived", "mild": "open", "lost": "open"}


def test_a_waiver_without_its_audit_row_is_found(desk: Desk) -> None:
    desk.pending(through=[DIRE])
    desk.waive(DIRE.id)
    with desk.store.deciding() as session:
        row = session.scalars(select(WaiverRow)).one()
        row.expires = date(2027, 1, 1)
    with desk.store.reading() as session:
        assert verify_log(session) == [f"the decision `reviewer: waived` on {DIRE.id[:12]} has no row"]


def test_a_finding_whose_row_was_made_milder_is_found(desk: Desk) -> None:
    release = listing.manifest(desk.store, desk.pending(through=[DIRE]))
    with desk.store.deciding() as session:
        assert list(findings.verify_rows(session, release, desk.workspace.objects)) == []
        row = session.scalars(select(FindingRow)).one()
        row.content = {**row.content, "severity": "low"}
    with desk.store.reading() as session:
        (wrong,) = findings.verify_rows(session, release, desk.workspace.objects)
    assert wrong == f"finding {DIRE.id[:12]} is not what the stored red team holds"


def test_what_a_scan_found_holds_up_its_release_and_is_borne_out_by_the_stored_scan(desk: Desk, tmp_path: Path) -> None:
    release = listing.manifest(desk.store, desk.pending(through=[MILD]))
    write_lines(tmp_path / "scan" / "findings.jsonl", [DIRE, MILD])
    stored = desk.workspace.objects.put(tmp_path / "scan")
    for opened in ((DIRE.id,), ()):  # what its own red team had found is no new finding, nor what it has from a scan
        with desk.store.deciding() as session:
            assert findings.write_down(session, release, desk.workspace.objects, scan=stored) == opened
    with pytest.raises(DecisionError, match="attack dire"):
        desk.approve()
    with desk.store.deciding() as session:
        assert list(findings.verify_rows(session, release, desk.workspace.objects)) == []
    object_of(desk.workspace, stored, "findings.jsonl").unlink()
    with desk.store.reading() as session:
        (wrong,) = findings.verify_rows(session, release, desk.workspace.objects)
    assert wrong == f"finding {DIRE.id[:12]} is not what the stored scan holds"
    desk.waive(DIRE.id, release=release.id)
    assert desk.approve().state == "production"


def test_a_rollback_is_never_held_up(desk: Desk) -> None:
    first = desk.pending("first", through=[DIRE])
    desk.waive(DIRE.id, expires=date(2026, 3, 9))
    desk.approve()
    desk.pending("second")
    desk.approve()
    desk.now = datetime(2026, 4, 1, tzinfo=UTC)
    assert desk.rollback().id == first
    assert desk.listed(first).overdue
