"""Waivers under pressure: at once with an approval, killed between writes, and on any day that there is."""

import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from pipelines.contracts import Severity
from pipelines.errors import DecisionError
from pipelines.release import finding_list
from pipelines.release.findings import Waiver, standing
from pipelines.release.review_desk import FindingsDesk
from pipelines.store import AuditRow, WaiverRow, open_store
from tests.release.candidates import finding
from tests.release.conftest import Desk
from tests.release.test_findings import DIRE, policy, rows, whole


def test_an_approval_and_a_withdrawal_at_once_are_one_after_the_other(desk: Desk) -> None:
    for number in range(6):
        one = finding(f"race {number}")
        release = desk.pending(f"race {number}", through=[one])
        desk.waive(one.id, release=release)
        came: dict[str, str] = {}
        start = threading.Barrier(2)

        def attempt(
            name: str, act: Callable[[], object], start: threading.Barrier = start, came: dict[str, str] = came
        ) -> None:
            start.wait()
            try:
                act()
                came[name] = "done"
            except DecisionError:
                came[name] = "refused"

        acts: dict[str, Callable[[], object]] = {
            "approve": lambda release=release: desk.approve(release),  # type: ignore[misc]
            "withdraw": lambda one=one: desk.withdraw(one.id),  # type: ignore[misc]
        }
        threads = [threading.Thread(target=attempt, args=each) for each in acts.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        approved = came["approve"] == "done"
        assert came["withdraw"] == "done"
        # Whichever came first: approved and overdue, or refused and pending; no third.
        assert desk.listed(release).state == ("production" if approved else "pending")
        assert desk.listed(release).overdue is approved
        if not approved:
            desk.reject(release)
    assert whole(desk)


def test_findings_are_read_while_somebody_else_decides(desk: Desk) -> None:
    release = desk.pending(through=[DIRE])
    objects = desk.workspace.objects
    console = FindingsDesk(desk.store, objects, lambda: desk.policy)
    with desk.store.deciding():  # who would write now waits until the database gives up
        assert [each.id for each in finding_list.listed(desk.store, desk.policy, objects, None, now=desk.now).findings]
        assert [each["id"] for each in console.shown()["releases"]] == [release]


def test_a_kill_between_any_two_writes_of_a_waiver_leaves_none_or_all_of_it(desk: Desk) -> None:
    release = desk.pending(through=[DIRE])
    desk.store.close()  # a child must not inherit an open database
    write, seen = 0, []
    while not seen or seen[-1] == 0:
        write += 1
        _waive_and_die(desk, release, write)
        desk.store = open_store(desk.root / "state", None)
        seen.append(rows(desk, WaiverRow))
        assert whole(desk)
        assert seen[-1] == rows(desk, AuditRow)
        desk.store.close()
    # Killed before BEGIN, the waiver, its audit row, the commit; then it got through.
    assert seen == [0, 0, 0, 0, 1]


def _waive_and_die(desk: Desk, release: str, write: int) -> None:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    left = write

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def sent(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("SELECT"):
            count()

    try:
        store = open_store(desk.root / "state", None)
        event.listen(store.engine, "before_cursor_execute", sent)
        event.listen(store.engine, "commit", count)
        Desk(desk.root, store).waive(DIRE.id, release=release)
    finally:
        os._exit(0)  # never back into pytest


DAYS = st.integers(min_value=-200, max_value=200)


@given(given_on=DAYS, lasts=st.integers(0, 200), at_most=st.integers(1, 200), looked=DAYS, hour=st.integers(0, 23))
def test_a_waiver_counts_up_to_the_earlier_of_its_day_and_the_policys(
    given_on: int, lasts: int, at_most: int, looked: int, hour: int
) -> None:
    day = date(2026, 6, 1) + timedelta(days=given_on)
    when = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    waiver = _waiver(expires=day + timedelta(days=lasts), when=when)
    today = date(2026, 6, 1) + timedelta(days=looked)
    now = datetime(today.year, today.month, today.day, 23 - hour, tzinfo=UTC)
    rules = policy(findings={"waiver_days_at_most": at_most})
    found = standing(DIRE, [waiver], release="r", trained_by="trainer", policy=rules, now=now)
    last = given_on + min(lasts, at_most)
    assert (found.state == "waived") is (looked <= last)
    assert found.holds_up is (looked > last)
    assert (found.until or found.ended) == date(2026, 6, 1) + timedelta(days=last)


@given(
    st.lists(st.tuples(st.sampled_from(["waived", "withdrawn"]), st.sampled_from(["r", "other", None])), max_size=8),
    st.sampled_from(["high", "critical"]),
)
def test_only_what_came_after_the_last_withdrawal_of_its_scope_counts(
    said: list[tuple[str, str | None]], severity: Severity
) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    waivers = [
        _waiver(verdict=verdict, release=scope, expires=date(2026, 6, 2) if verdict == "waived" else None, when=now)
        for verdict, scope in said
    ]
    last = {scope: verdict for verdict, scope in said}  # the newest of each scope
    one = finding("dire", severity)
    found = standing(one, waivers, release="r", trained_by="trainer", policy=policy(), now=now)
    assert (found.state == "waived") is ("waived" in (last.get("r"), last.get(None)))


def _waiver(**changes: Any) -> Waiver:
    plain = {"finding": DIRE.id, "release": "r", "verdict": "waived", "who": "anna", "role": "reviewer"}
    return Waiver.model_validate({**plain, "identity": "claimed", "why": "w", "severity": "critical", **changes})
