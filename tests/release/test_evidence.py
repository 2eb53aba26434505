"""What must lie on the table before a release is approved, and how somebody lays it there."""

from datetime import UTC, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pipelines.errors import DecisionError
from pipelines.release import evidence, listing
from pipelines.release.policy import ReleasePolicy
from pipelines.store import AuditRow, EvidenceRow, open_store
from tests.release.candidates import TRAINED
from tests.release.conftest import Desk

PASSED = '<testsuites><testsuite tests="3" failures="0" errors="0" skipped="1"/><testsuite tests="2"/></testsuites>'
FAILED = '<testsuite tests="3" failures="1" errors="1"/>'


def asking_for(*kinds: str, **days: int) -> ReleasePolicy:
    plain = {"separation_of_duties": True, "identity": "claimed", "evidence": kinds, "expires_after_days": days}
    return ReleasePolicy.model_validate(plain)


def written(folder: Path, said: str, name: str = "evidence.xml") -> Path:
    (folder / name).write_text(said)
    return folder / name


def table(desk: Desk, release: str) -> dict[str, dict[str, Any]]:
    shown = listing.show(desk.store, desk.policy, desk.workspace.objects, release, now=desk.now)
    return {line["kind"]: line for line in shown["evidence"]}


def test_a_release_brings_its_evaluation_and_its_red_team_report(desk: Desk) -> None:
    desk.policy = asking_for("evaluation", "red_team")
    release = desk.pending()
    lines = table(desk, release)
    objects = listing.manifest(desk.store, release).objects
    assert {kind: (line["digest"], line["wrong"]) for kind, line in lines.items()} == {
        "evaluation": (objects["report"], None),
        "red_team": (objects["redteam"], None),
    }
    assert lines["evaluation"]["when"] == TRAINED.isoformat().replace("+00:00", "Z")
    assert desk.approve().state == "production"


def test_what_is_missing_is_named_with_how_to_bring_it(desk: Desk, tmp_path: Path) -> None:
    desk.policy = asking_for("unit_tests", "compliance")
    release = desk.pending()
    with pytest.raises(DecisionError, match=rf"(?s)attach {release[:12]} --kind unit_tests.*--kind compliance"):
        desk.approve()
    desk.attach(release, "unit_tests", written(tmp_path, PASSED))
    with pytest.raises(DecisionError) as refused:
        desk.approve()
    assert "unit_tests" not in str(refused.value)
    desk.attach(release, "compliance", written(tmp_path, "signed", "letter.txt"), by="anna")
    assert desk.approve().state == "production"
    line = table(desk, release)["unit_tests"]
    assert line["summary"] == {"tests": 5, "failures": 0, "errors": 0, "skipped": 1}  # 3 + 2 over two suites
    with desk.store.reading() as session:
        log = session.query(AuditRow).order_by(AuditRow.id).all()
        assert [(row.action, row.who) for row in log][:2] == [("attach", "tester"), ("attach", "anna")]
        assert log[1].detail["digest"] == table(desk, release)["compliance"]["digest"]


def test_tests_that_failed_do_not_count_until_better_ones_are_attached(desk: Desk, tmp_path: Path) -> None:
    desk.policy = asking_for("unit_tests")
    release = desk.pending()
    desk.attach(release, "unit_tests", written(tmp_path, FAILED))
    with pytest.raises(DecisionError, match="2 of 3 tests failed"):
        desk.approve()
    desk.attach(release, "unit_tests", written(tmp_path, '<testsuite tests="2" skipped="2"/>'))
    with pytest.raises(DecisionError, match="not one test ran"):
        desk.approve()
    desk.attach(release, "unit_tests", written(tmp_path, PASSED))
    assert desk.approve().state == "production"


def test_the_same_file_again_changes_nothing_and_says_so(desk: Desk, tmp_path: Path) -> None:
    release = desk.pending()
    letter = written(tmp_path, "signed")
    assert desk.attach(release, "compliance", letter).changed
    again = desk.attach(release, "compliance", letter, by=" TESTER")
    assert (again.changed, again.said.endswith("nothing changed")) == (False, True)
    with desk.store.reading() as session:
        assert session.query(EvidenceRow).filter_by(kind="compliance").count() == 1


def test_who_trained_does_not_vouch_for_their_own_release(desk: Desk, tmp_path: Path) -> None:
    desk.policy = asking_for("compliance", "unit_tests")
    release = desk.pending()
    letter = written(tmp_path, "signed", "letter.txt")
    desk.attach(release, "unit_tests", written(tmp_path, PASSED), by="trainer")  # a file of counts needs no voucher
    desk.attach(release, "compliance", letter, by="Trainer")
    with pytest.raises(DecisionError, match="Trainer attached it, who trained the release"):
        desk.approve()
    desk.attach(release, "compliance", letter, by="anna")
    assert desk.approve().state == "production"


def test_old_evidence_does_not_count(desk: Desk, tmp_path: Path) -> None:
    desk.policy = asking_for("human_review", "red_team", evidence=10)
    release = desk.pending()
    desk.attach(release, "human_review", written(tmp_path, "read 40 answers"))
    desk.now += timedelta(days=11)
    with pytest.raises(DecisionError, match=r"(?s)red_team: it is 12 days old.*human_review: it is 11 days old"):
        desk.approve()


def test_evidence_that_was_changed_in_the_store_is_found(desk: Desk, tmp_path: Path) -> None:
    desk.policy = asking_for("compliance")
    release = desk.pending()
    digest = desk.attach(release, "compliance", written(tmp_path, "refused")).line.digest
    place = desk.workspace.objects.path(digest)
    place.chmod(0o644)
    place.write_text("approved")
    with pytest.raises(DecisionError, match="is not what was attached"):
        desk.approve()
    with desk.store.reading() as session:
        assert [kind for kind, _ in evidence.verify_attached(session, release, desk.workspace.objects)] == [
            "compliance"
        ]


@pytest.mark.parametrize(
    ("kind", "said", "why"),
    [
        ("evaluation", "x", "comes from the release's own stages"),
        ("horoscope", "x", "is not known"),
        ("unit_tests", "no xml", "not a JUnit file"),
        ("unit_tests", "<html/>", "no <testsuite>"),
        ("unit_tests", '<testsuite tests="many"/>', "not a JUnit file"),
        ("compliance", "", "0 bytes"),
        ("compliance", None, "not readable: No such file"),
    ],
)
def test_what_is_no_evidence_is_refused(desk: Desk, tmp_path: Path, kind: str, said: str | None, why: str) -> None:
    release = desk.pending()
    file = tmp_path / "absent" if said is None else written(tmp_path, said)
    with pytest.raises(DecisionError, match=why):
        desk.attach(release, kind, file)
    assert set(table(desk, release)) == {"evaluation", "red_team"}


def test_an_entity_that_expands_without_end_is_refused(desk: Desk, tmp_path: Path) -> None:
    release = desk.pending()
    names = "abcdefghij"
    grown = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise(names))
    bomb = f'<!DOCTYPE t [<!ENTITY a "{"x" * 100}">{grown}]><testsuite tests="1">&j;</testsuite>'
    with pytest.raises(DecisionError, match="not a JUnit file"):
        desk.attach(release, "unit_tests", written(tmp_path, bomb))


def test_releases_of_before_get_their_evidence_when_the_database_is_brought_up_to_date(desk: Desk) -> None:
    release = desk.pending()
    state = desk.root / "state"
    with desk.store.engine.begin() as connection:  # as the first migration left it
        for statement in (
            "DROP TABLE waivers",
            "DROP TABLE findings",
            "DROP TABLE review_votes",
            "DROP TABLE review_items",
            "DROP TABLE evidence",
            "DROP TABLE deliveries",
            "UPDATE alembic_version SET version_num='0001'",
        ):
            connection.execute(text(statement))
    desk.store.close()
    desk.store = open_store(state, None)
    with desk.store.reading() as session:
        rows = session.query(EvidenceRow).order_by(EvidenceRow.id).all()
        objects = listing.manifest(desk.store, release).objects
        assert [(row.kind, row.digest, row.when.replace(tzinfo=UTC)) for row in rows] == [
            ("evaluation", objects["report"], TRAINED),
            ("red_team", objects["redteam"], TRAINED),
        ]
