"""Who must approve, in which role, for how long; partial approvals are kept and counted."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import DecisionError, PolicyError
from pipelines.release import listing
from pipelines.release.policy import ReleasePolicy, load_policy, told_needed
from tests.release.conftest import Desk


def policy(**keys: Any) -> ReleasePolicy:
    return ReleasePolicy.model_validate({"separation_of_duties": True, "identity": "claimed", **keys})


TWO_ROLES = policy(required={"reviewer": 1, "compliance": 1}, roles={"compliance": ["anna", "*@legal.example"]})


def needed(desk: Desk) -> str:
    return told_needed(listing.releases(desk.store, desk.policy, now=desk.now)[0].needed)


def test_a_partial_approval_is_kept_and_the_last_one_moves_the_release(desk: Desk) -> None:
    desk.policy = TWO_ROLES
    release = desk.pending()
    assert needed(desk) == "1 reviewer, 1 compliance (anna or *@legal.example)"
    done = desk.approve(by="bob", role="reviewer")
    assert (done.state, done.changed) == ("pending", True)
    assert done.said.endswith("still needed: 1 compliance (anna or *@legal.example)")
    assert desk.approve(by="Ben@Legal.example", role="compliance").state == "production"
    assert desk.states() == {release: "production"}
    assert needed(desk) == ""


def test_without_a_named_role_it_is_the_one_that_somebody_is_listed_for(desk: Desk) -> None:
    desk.policy = TWO_ROLES
    desk.pending()
    assert desk.approve(by="anna").decided[-1].role == "compliance"
    assert desk.approve(by="bob").decided[-1].role == "reviewer"  # compliance is not his, reviewer anybody's


@pytest.mark.parametrize(
    ("by", "role", "said"),
    [
        ("bob", "compliance", "does not hold the role"),
        ("bob", "owner", "asks for no 'owner'"),
        ("trainer", "reviewer", "separation of duties"),
    ],
)
def test_a_role_must_be_asked_for_and_be_held(desk: Desk, by: str, role: str, said: str) -> None:
    desk.policy = TWO_ROLES
    desk.pending()
    with pytest.raises(DecisionError, match=said):
        desk.approve(by=by, role=role)


def test_with_two_open_roles_the_caller_says_which(desk: Desk) -> None:
    desk.policy = policy(required={"reviewer": 1, "owner": 1})
    desk.pending()
    with pytest.raises(DecisionError, match="--role reviewer or --role owner"):
        desk.approve(by="bob")


def test_one_person_does_not_fill_two_roles_of_a_release(desk: Desk) -> None:
    desk.policy = policy(required={"reviewer": 1, "owner": 1})
    desk.pending()
    desk.approve(by="bob", role="reviewer")
    with pytest.raises(DecisionError, match="as reviewer, and cannot approve it as owner too"):
        desk.approve(by=" BOB", role="owner")
    desk.policy = policy(required={"reviewer": 1, "owner": 1}, separation_of_duties=False)
    assert desk.approve(by="bob", role="owner").state == "production"


def test_two_approvals_of_one_person_are_one(desk: Desk) -> None:
    desk.policy = policy(required={"reviewer": 2})
    desk.pending()
    desk.approve(by="bob")
    again = desk.approve(by="Bob ", why="really")
    assert (again.state, again.changed, len(again.decided)) == ("pending", False, 1)
    assert again.said.endswith("nothing changed")
    assert desk.approve(by="eve").state == "production"


def test_an_approval_that_waited_too_long_is_given_again(desk: Desk) -> None:
    desk.policy = policy(required={"reviewer": 2}, expires_after_days={"approval": 7})
    desk.pending()
    desk.approve(by="bob")
    desk.now += timedelta(days=8)
    assert needed(desk) == "2 reviewer"
    assert desk.approve(by="eve").state == "pending"
    done = desk.approve(by="bob")
    assert (done.state, len(done.decided)) == ("production", 3)  # the expired one stays written


def test_a_report_that_waited_too_long_is_not_approved(desk: Desk) -> None:
    desk.policy = policy(expires_after_days={"report": 30})
    release = desk.pending()
    desk.now += timedelta(days=40)  # 41 after the evaluation
    with pytest.raises(
        DecisionError, match=r"evaluation: it is 41 days old, and counts for 30; delete the stage folder"
    ):
        desk.approve()
    assert desk.states() == {release: "pending"}


def test_who_has_lost_a_role_no_longer_counts(desk: Desk) -> None:
    desk.policy = policy(required={"reviewer": 2}, roles={"reviewer": ["bob", "eve", "kim"]})
    desk.pending()
    desk.approve(by="bob")
    desk.policy = policy(required={"reviewer": 2}, roles={"reviewer": ["eve", "kim"]})
    assert desk.approve(by="eve").state == "pending"
    assert desk.approve(by="kim").state == "production"


def test_a_claimed_role_does_not_count_where_identities_are_verified(desk: Desk) -> None:
    desk.policy = policy(identity="verified")
    desk.pending()
    with pytest.raises(DecisionError, match="list who holds 'reviewer'"):
        desk.approve(by="bob", identity="verified")
    desk.policy = policy(identity="verified", roles={"reviewer": "bob"})
    assert desk.approve(by="bob", identity="verified").decided[0].identity == "verified"


def test_rejecting_and_rolling_back_are_for_those_who_hold_a_role(desk: Desk) -> None:
    desk.policy = policy(roles={"reviewer": "bob", "operator": "oscar"})
    desk.pending("first")
    with pytest.raises(DecisionError, match="does not hold"):
        desk.reject(by="eve")
    desk.approve(by="bob")
    desk.pending("second")
    desk.approve(by="bob")
    with pytest.raises(DecisionError, match="oscar does"):
        desk.rollback(by="bob")
    assert desk.rollback(by="Oscar").state == "production"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("required: {reviewer: 0}", "required.reviewer"),
        ("required: {}", "required"),
        (
            "required: {compliance: 2}\nroles: {compliance: [anna, ANNA]}",
            "asks for 2 people, and roles.compliance names 1",
        ),
        ("evidence: [horoscope]", "evidence.0"),
        ("expires_after_days: {approval: -1}", "expires_after_days.approval"),
        ("rolls: {}", "rolls"),
        ("roles: {reviewer: []}", "roles.reviewer"),
        ("required: [", "not a release policy"),
    ],
)
def test_a_policy_that_cannot_be_met_is_refused_by_its_field(tmp_path: Path, written: str, said: str) -> None:
    place = tmp_path / "release.yaml"
    place.write_text(f"separation_of_duties: true\nidentity: claimed\n{written}\n")
    with pytest.raises(PolicyError, match=said):
        load_policy(place)


def test_a_policy_of_before_asks_for_one_reviewer(tmp_path: Path) -> None:
    place = tmp_path / "release.yaml"
    place.write_text("separation_of_duties: true\nidentity: claimed\n")
    assert load_policy(place) == load_policy(Path("configs/policies/release.yaml"))
