"""Items and votes in SQL: fill the queue, hand out what is open, take a vote, take it back.

Invariants: a vote is one transaction, and is only ever added; of a reviewer's votes on an item the newest counts; the
same vote twice is one. What leaves here towards a reviewer says left and right, never whose an answer is.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipelines.contracts import Contract
from pipelines.errors import DecisionError
from pipelines.evaluation.review_queue import Pair, left_of
from pipelines.store import ReviewItemRow, ReviewVoteRow, Store

SIDES = ("left", "right")
WITHDRAWN = "withdrawn"


class Rubric(Contract):
    """What a reviewer said of one answer; None: nothing."""

    grounded: bool | None = None
    correct: bool | None = None


class Withdrawal(Contract):
    """A vote taken back, as the page sends it."""

    item: str = Field(min_length=64, max_length=64)
    reviewer: str = Field(min_length=1, max_length=80, pattern=r"^\S(.*\S)?$")


class Vote(Withdrawal):
    """A vote, as the page sends it."""

    choice: Literal["left", "right", "tie"]
    left: Rubric = Rubric()
    right: Rubric = Rubric()


class Reviewed(Contract):
    """An item with the votes that count, by reviewer."""

    item: str
    group: str
    slice: str
    question: str
    reference: str
    wanted: int
    answers: dict[str, Any]
    votes: dict[str, str]
    """Reviewer to candidate, reference or tie."""
    rubrics: dict[str, dict[str, Any]]


def fill(store: Store, pairs: Sequence[Pair], *, seed: int, reviewers: int) -> int:
    """Put the pairs into the queue; how many were not there yet. One that is there keeps its sides and votes."""
    if not 1 <= reviewers <= 20:
        raise DecisionError(f"--reviewers is {reviewers}; an item has 1 to 20.")
    with store.deciding() as session:
        rounds = {pair.round for pair in pairs}
        known = set(session.scalars(select(ReviewItemRow.id).where(ReviewItemRow.round.in_(rounds))))
        fresh = [pair for pair in pairs if pair.id not in known]
        session.add_all(_row(pair, len(known) + i, seed, reviewers) for i, pair in enumerate(fresh, 1))
        return len(fresh)


def _row(pair: Pair, number: int, seed: int, reviewers: int) -> ReviewItemRow:
    return ReviewItemRow(
        id=pair.id,
        round=pair.round,
        number=number,
        item=pair.item,
        group=pair.group,
        slice=pair.slice,
        question=pair.question,
        reference=pair.reference,
        left=left_of(seed, pair.item),
        answers=pair.answers,
        reviewers=reviewers,
        created=datetime.now(UTC),
    )


def newest_round(store: Store) -> str | None:
    """The round that was filled last."""
    with store.reading() as session:
        return session.scalar(select(ReviewItemRow.round).order_by(ReviewItemRow.created.desc()).limit(1))


def queue(store: Store, reviewer: str) -> dict[str, Any]:
    """What a reviewer may see of the newest round: own items, then open ones, those with fewer reviewers first."""
    chosen = newest_round(store)
    with store.reading() as session:
        rows, counted = _round(session, chosen)
    mine = [row for row in rows if reviewer in counted[row.id]]
    open_ = [row for row in rows if reviewer not in counted[row.id] and len(counted[row.id]) < row.reviewers]
    open_.sort(key=lambda row: (len(counted[row.id]), row.number))
    return {
        "items": [_blind(row, counted[row.id].get(reviewer)) for row in (*mine, *open_)],
        "done": len(mine),
        "total": len(mine) + len(open_),
    }


def reviewed(store: Store, round_: str | None) -> list[Reviewed]:
    """Every item of a round with the votes that count."""
    with store.reading() as session:
        rows, counted = _round(session, round_)
    return [
        Reviewed(
            item=row.item,
            group=row.group,
            slice=row.slice,
            question=row.question,
            reference=row.reference,
            wanted=row.reviewers,
            answers=row.answers,
            votes={who: vote.choice for who, vote in counted[row.id].items()},
            rubrics={who: vote.rubric for who, vote in counted[row.id].items()},
        )
        for row in rows
    ]


def take(store: Store, vote: Vote) -> bool:
    """Add a vote; False when the same one counts already.

    Raises DecisionError for an unknown item and one that has its reviewers.
    """
    with store.deciding() as session:
        row, counted = _item(session, vote.item)
        others = [who for who in counted if who != vote.reviewer]
        if len(others) >= row.reviewers:
            raise DecisionError("This item has its reviewers; go on with the next.")
        owner = {row.left: "left", _other(row.left): "right"}
        side = {of: name for name, of in owner.items()}
        choice = "tie" if vote.choice == "tie" else side[vote.choice]
        said = {"left": vote.left.model_dump(), "right": vote.right.model_dump()}
        rubric = {name: said[owner[name]] for name in ("candidate", "reference")}
        before = counted.get(vote.reviewer)
        if before is not None and (before.choice, before.rubric) == (choice, rubric):
            return False
        session.add(_vote(row, vote.reviewer, choice, rubric))
        return True


def withdraw(store: Store, taken_back: Withdrawal) -> bool:
    """Take a reviewer's vote back; False when there is none. Raises DecisionError for an unknown item."""
    with store.deciding() as session:
        row, counted = _item(session, taken_back.item)
        if taken_back.reviewer not in counted:
            return False
        session.add(_vote(row, taken_back.reviewer, WITHDRAWN, {}))
        return True


def _vote(row: ReviewItemRow, who: str, choice: str, rubric: dict[str, Any]) -> ReviewVoteRow:
    return ReviewVoteRow(item=row.id, who=who, choice=choice, rubric=rubric, when=datetime.now(UTC))


def _item(session: Session, name: str) -> tuple[ReviewItemRow, dict[str, ReviewVoteRow]]:
    row = session.get(ReviewItemRow, name)
    if row is None:
        raise DecisionError("There is no such item; load the page again.")
    return row, _counted(session, [row])[row.id]


def _round(session: Session, name: str | None) -> tuple[list[ReviewItemRow], dict[str, dict[str, ReviewVoteRow]]]:
    chosen = select(ReviewItemRow).where(ReviewItemRow.round == name).order_by(ReviewItemRow.number)
    rows = list(session.scalars(chosen))
    return rows, _counted(session, rows)


def _counted(session: Session, rows: Sequence[ReviewItemRow]) -> dict[str, dict[str, ReviewVoteRow]]:
    """Item to reviewer to the vote that counts."""
    newest = (select(func.max(ReviewVoteRow.id)).where(ReviewVoteRow.item.in_([row.id for row in rows]))).group_by(
        ReviewVoteRow.item, ReviewVoteRow.who
    )
    found: dict[str, dict[str, ReviewVoteRow]] = {row.id: {} for row in rows}
    for vote in session.scalars(select(ReviewVoteRow).where(ReviewVoteRow.id.in_(newest)).order_by(ReviewVoteRow.id)):
        if vote.choice != WITHDRAWN:
            found[vote.item][vote.who] = vote
    return found


def _other(owner: str) -> str:
    return "reference" if owner == "candidate" else "candidate"


def _blind(row: ReviewItemRow, vote: ReviewVoteRow | None) -> dict[str, Any]:
    owner = {"left": row.left, "right": _other(row.left)}
    side = {of: name for name, of in owner.items()}
    said = vote and {"choice": side.get(vote.choice, "tie"), **{s: vote.rubric[owner[s]] for s in SIDES}}
    return {
        "id": row.id,
        "question": row.question,
        "left": row.answers[owner["left"]],
        "right": row.answers[owner["right"]],
        "vote": said,
    }
