"""Is the audit log whole? Each row's digest covers the row before it; each decision has its row.

Invariant of the log: rows are only added, in the transaction of what they tell of.
Not covered: a log whose end was cut off together with the decisions that it told of; keep the newest digest elsewhere
(`release verify --json` prints it) to notice that.
"""

from collections import Counter

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.contracts import content_id
from pipelines.release.policy import aware
from pipelines.store import ApprovalRow, AuditRow, WaiverRow


def newest(session: Session) -> str | None:
    """The digest of the newest row: it covers the whole log."""
    return session.scalar(select(AuditRow.digest).order_by(AuditRow.id.desc()).limit(1))


def verify_log(session: Session) -> list[str]:
    """What is wrong with the log, each in a line; an empty list: nothing."""
    before = ""
    told: Counter[tuple[str, ...]] = Counter()
    for row in session.scalars(select(AuditRow).order_by(AuditRow.id)):
        made = content_id(before, aware(row.when).isoformat(), row.who, row.action, row.subject, row.detail)
        if made != row.digest:
            return [
                f"row {row.id} ({row.action} by {row.who}) was changed, or the row before it was: its digest differs"
            ]
        before = row.digest
        told[_told(row)] += 1
    held: Counter[tuple[str, ...]] = Counter(
        (each.who, each.verdict, each.release, each.report_digest, each.why)
        for each in session.scalars(select(ApprovalRow))
    )
    held += Counter(
        (each.who, each.verdict, each.finding, str(each.release), str(each.expires), each.why)
        for each in session.scalars(select(WaiverRow))
    )
    return [
        f"the decision `{who}: {verdict}` on {subject[:12]} has no row" for who, verdict, subject, *_ in held - told
    ]


def _told(row: AuditRow) -> tuple[str, ...]:
    """What a row tells of a decision: on a report, or on a finding."""
    named = ("release", "expires", "why") if row.action in ("waived", "withdrawn") else ("report", "why")
    return (row.who, row.action, row.subject, *(str(row.detail.get(name)) for name in named))
