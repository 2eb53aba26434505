"""Tags on MLflow's page become one decision each, and the page is told what came of them."""

import pytest
from sqlalchemy import func, select

from pipelines.release import decide
from pipelines.release.policy import ReleasePolicy
from pipelines.release.review_tags import Outcome, Said, Tagged, taken
from pipelines.store import ApprovalRow
from tests.release.conftest import Desk

ASKED = {"review": "approved", "review_by": "anna", "review_why": "read it"}


def take(desk: Desk, release: str, **tags: str) -> Outcome:
    def act(said: Said) -> decide.Decided:
        how = {"by": said.by, "why": said.why, "role": said.role, "report_digest": said.report_digest}
        return (desk.approve if said.verdict == "approve" else desk.reject)(said.release, **how)

    return taken(Tagged("1", release, tags), act)


def decisions(desk: Desk) -> list[tuple[str, str]]:
    with desk.store.reading() as session:
        return [(row.who, row.verdict) for row in session.scalars(select(ApprovalRow).order_by(ApprovalRow.id))]


@pytest.mark.parametrize(
    ("word", "state"), [("approved", "production"), (" Approve", "production"), ("reject", "rejected")]
)
def test_a_request_is_one_decision_however_often_it_is_read(desk: Desk, word: str, state: str) -> None:
    release = desk.pending()
    first = take(desk, release, **{**ASKED, "review": word})
    assert (first.settled, first.changed, desk.states()) == (True, True, {release: state})
    again = take(desk, release, **{**ASKED, "review": word})  # killed before the tags were taken away
    assert (again.settled, again.changed) == (True, False)
    assert len(decisions(desk)) == 1


def test_a_request_without_a_name_or_a_reason_waits_for_it(desk: Desk) -> None:
    release = desk.pending()
    found = take(desk, release, review="approved", review_by=" ")
    assert (found.settled, found.said) == (False, "waits for the tag review_by and review_why")
    assert desk.states() == {release: "pending"}


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"review": "perhaps"}, "refused: review is approved or rejected, not 'perhaps'"),
        ({"review_by": "trainer"}, "separation of duties"),
        ({"review_role": "owner"}, "asks for no 'owner'"),
        ({"review_report": "0" * 64}, "is not that of release"),
    ],
)
def test_what_the_rules_forbid_is_said_on_the_page(desk: Desk, tags: dict[str, str], said: str) -> None:
    release = desk.pending()
    found = take(desk, release, **{**ASKED, **tags})
    assert (found.settled, found.changed) == (True, False)
    assert said in found.said
    assert decisions(desk) == []


def test_a_partial_approval_says_on_the_page_who_is_still_needed(desk: Desk) -> None:
    desk.policy = ReleasePolicy(separation_of_duties=True, identity="claimed", required={"reviewer": 1, "legal": 1})
    release = desk.pending()
    assert "still needed: 1 legal" in take(desk, release, **ASKED, review_role="reviewer").said
    assert "in production" in take(desk, release, **{**ASKED, "review_by": "bob"}, review_role="legal").said
    with desk.store.reading() as session:
        assert session.scalar(select(func.count()).select_from(ApprovalRow)) == 2
