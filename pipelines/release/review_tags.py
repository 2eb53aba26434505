"""A reviewer's decision as tags of a model version, set on MLflow's page.

`review` = approved or rejected, `review_by`, `review_why`, and where wanted `review_role` and `review_report` (the
digest of the report that was read). They are a request: once it is decided they are taken away, and `review_outcome`
says what came of it; so that the next reviewer's tags are never mixed with the last one's. A request that is not
complete stays, and the outcome says what is missing.
Invariant: a request becomes one Approval, however often it is read: deciding again changes nothing (decide.py).
Not covered: reading and writing tags (registry.py), who set them (MLflow does not say: the name is claimed).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.errors import DecisionError
from pipelines.release.decide import Decided

REVIEW = "review"
OUTCOME = "review_outcome"
MANDATORY = ("review_by", "review_why")
OPTIONAL = ("review_role", "review_report")
REQUEST = (REVIEW, *MANDATORY, *OPTIONAL)
VERDICTS: Mapping[str, Literal["approve", "reject"]] = {
    "approve": "approve",
    "approved": "approve",
    "reject": "reject",
    "rejected": "reject",
}


@dataclass(frozen=True)
class Said:
    """What a reviewer said, by whichever way. `release` None: the only pending one; `role` None: the one left open."""

    verdict: Literal["approve", "reject"]
    by: str
    why: str
    release: str | None = None
    role: str | None = None
    report_digest: str | None = None


@dataclass(frozen=True)
class Tagged:
    """A model version that carries a `review` tag. `release`: the one that it was registered for."""

    version: str
    release: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """What came of a request. `settled` False: it waits for the rest of its tags. `changed`: something was decided."""

    version: str
    release: str
    settled: bool
    changed: bool
    said: str


def taken(request: Tagged, decide: Callable[[Said], Decided]) -> Outcome:
    """Decide what a version's tags ask for."""
    absent = [name for name in MANDATORY if not request.tags.get(name, "").strip()]
    verdict = VERDICTS.get(request.tags[REVIEW].strip().lower())
    if verdict is None:
        return _outcome(request, f"refused: {REVIEW} is approved or rejected, not {request.tags[REVIEW]!r}")
    if absent:
        return _outcome(request, f"waits for the tag {' and '.join(absent)}", settled=False)
    said = Said(
        verdict=verdict,
        by=request.tags["review_by"],
        why=request.tags["review_why"],
        release=request.release,
        role=_given(request, "review_role"),
        report_digest=_given(request, "review_report"),
    )
    try:
        done = decide(said)
    except DecisionError as exc:  # the reviewer is not at this terminal: the tag tells them
        return _outcome(request, f"refused: {exc}")
    return _outcome(request, done.said, changed=done.changed)


def _given(request: Tagged, name: str) -> str | None:
    return request.tags.get(name, "").strip() or None


def _outcome(request: Tagged, said: str, *, settled: bool = True, changed: bool = False) -> Outcome:
    return Outcome(request.version, request.release, settled, changed, said)
