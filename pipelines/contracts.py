"""The records that pass between rooms: frozen, typed, versioned, validated at every boundary.

Invariant: ids of what is computed are content hashes (`content_id`): equal content, equal name.
Offsets are Unicode code points; `document.text[start:end]` is what a span means.
Not covered: how records lie on disk (artifacts.py) and in SQL (store.py).
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA_VERSION = 2

Split = Literal["train", "validation", "golden"]
Origin = Literal["curated", "synthetic", "feedback"]
Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]
ReleaseState = Literal["pending", "approved", "production", "previous", "rejected", "rolled_back"]


def content_id(*parts: Any) -> str:
    """sha256 hex of the parts' canonical JSON: the name of a computed thing."""
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def visible(labels: Collection[str], held: Collection[str]) -> bool:
    """Whether a caller who holds the labels `held` may see what carries `labels`; the tenant is compared beside it.

    Labels are alternatives, as groups of readers are: one in common is enough, and what carries none is seen by
    everybody of its tenant. (Two groups that must both be held are a third label of their own.)
    """
    return not labels or not frozenset(labels).isdisjoint(held)


class Contract(BaseModel):
    """Base of every record: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Block(Contract):
    """A structural unit of a document: `Document.text[start:end]`."""

    kind: Literal["heading", "paragraph", "list", "table", "code", "note"]
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    page: int | None = None
    """1-based page, slide or sheet; None where the format has none."""
    heading_path: tuple[str, ...] = ()


class Document(Contract):
    """One parsed source. `id` = content_id(uri, sha256 of the bytes)."""

    schema_version: int = SCHEMA_VERSION
    id: str
    uri: str
    """Relative to its source folder, with forward slashes."""
    media_type: str
    sha256: str
    title: str
    text: str
    blocks: tuple[Block, ...] = ()
    content_digest: str = ""
    """Of title, text and blocks: what chunks are made of; "" where nobody has computed it."""
    language: str | None = None
    """ISO 639-1; None: too short to tell, or code."""
    date: str | None = None
    """YYYY-MM-DD that the document gives itself: written, sent or in force."""
    tenant: str = "default"
    labels: tuple[str, ...] = ()
    """Who may see it: `visible`."""
    near_duplicate_of: str | None = None
    """uri of the document that this one repeats, exactly or nearly; whoever sees this one sees that one."""
    superseded_by: str | None = None
    """uri of the newer version; superseded documents stay reachable and rank lower."""


class Quarantined(Contract):
    """A source that could not become a document, and why."""

    uri: str
    sha256: str | None
    size_bytes: int
    reason: str


class Chunk(Contract):
    """A passage. `id` = content_id(document id, start, end, chunker parameters)."""

    schema_version: int = SCHEMA_VERSION
    id: str
    document_id: str
    uri: str
    title: str
    start: int
    end: int
    text: str
    heading_path: tuple[str, ...] = ()
    page: int | None = None
    tokens: int
    language: str | None = None
    """ISO 639-1 of its document."""
    date: str | None = None
    """YYYY-MM-DD of its document."""
    tenant: str = "default"
    labels: tuple[str, ...] = ()
    """Who may see it: `visible`."""
    superseded: bool = False


class Hit(Contract):
    """A chunk found by search: higher score is better; parts add up to it by the fusion's rule."""

    chunk: Chunk
    score: float
    parts: dict[str, float]


class Message(Contract):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Question(Contract):
    """A line of a question file (DESIGN.md section 8). No answers: the documents do not answer."""

    id: str
    question: str = Field(min_length=1)
    answers: tuple[str, ...] = ()
    document: str | None = None
    start: int | None = None
    end: int | None = None
    evidence: str = ""
    slice: str = "all"
    turns: tuple[Message, ...] = Field((), exclude_if=lambda turns: not turns)
    """What was said before, oldest first: the question is a follow-up."""


class Expectation(Contract):
    """What makes an attack a success, as attack files say it; evaluation/assertions.py checks it."""

    kind: Literal["contains_any", "contains_all", "regex", "complies", "cites", "max_words", "refuses", "answers"]
    values: tuple[str, ...] = ()
    """Texts or patterns, of which one is enough (`contains_all`: all); a document's uri; a number of words."""

    @model_validator(mode="before")
    @classmethod
    def _in_values(cls, given: Any) -> Any:
        """A number may stand in `value`, a document in `document`."""
        if not isinstance(given, dict):
            return given
        alone = [given[key] for key in ("document", "value") if given.get(key) is not None]
        kept = {key: value for key, value in given.items() if key not in ("document", "value")}
        return kept | ({"values": [str(alone[0])]} if alone else {})


Severity = Literal["low", "medium", "high", "critical"]
"""critical: one answer can hurt a person or give an account away; high: harm to somebody outside the conversation."""
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
"""The gravest first."""


def gravity(severity: Severity) -> int:
    """A key to sort by: the gravest first."""
    return SEVERITIES.index(severity)


class Attack(Contract):
    """An adversarial prompt: any of `success` met means that the attack succeeded."""

    id: str
    category: str
    prompt: str
    turns: tuple[Message, ...] = ()
    """What was said before the prompt, oldest first."""
    injected_passage: str | None = None
    success: tuple[Expectation, ...]
    severity: Severity = "medium"


class Finding(Contract):
    """An attack that got through. `id` = its content's (evaluation/regressions.py): the same one in every release."""

    id: str
    attack: str
    """Id of the attack: NAME, NAME~mutation, or NAME@... for an earlier success."""
    category: str
    severity: Severity
    prompt: str
    turns: tuple[Message, ...] = ()
    injected_passage: str | None = None
    answer: str = ""
    """What the candidate said, guardrails on; "" in releases from before it was kept."""


class Example(Contract):
    """One training or validation example; the last message is what is learned.

    Examples with equal `chunk_ids` share every message up to the question, so a trainer may compute
    that prefix once.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    messages: tuple[Message, ...]
    chunk_ids: tuple[str, ...]
    document: str
    """uri of the document that the question is about: the unit of splitting."""
    answerable: bool
    origin: Origin
    split: Split
    slice: str = "all"


class Preference(Contract):
    """Two answers to the same prompt, and which of them people preferred: what DPO learns from."""

    schema_version: int = SCHEMA_VERSION
    id: str
    messages: tuple[Message, ...]
    """The prompt: ends with the user's turn."""
    chosen: str
    rejected: str
    chunk_ids: tuple[str, ...]
    document: str
    """uri of the document that the question is about: the unit of splitting."""
    origin: Origin
    split: Split
    slice: str = "all"


class Feedback(Contract):
    """A line of a feedback file: what somebody thought of an answer that was shown."""

    schema_version: int = SCHEMA_VERSION
    id: str
    question: str
    turns: tuple[Message, ...] = ()
    """What was said before, oldest first."""
    answer: str
    """What was shown."""
    thumb: Literal["up", "down"] | None = None
    correction: str | None = None
    """What should have been said."""
    preferred: str | None = None
    """Another answer that was liked better than the one shown."""
    document: str | None = None
    """uri of the document that the question is about, where somebody knows."""
    chunk_ids: tuple[str, ...] = ()
    """The passages that the answer was made from."""
    when: datetime


class Citation(Contract):
    """Where a sentence of an answer stands: `Document.text[start:end]` of the document `uri`."""

    uri: str
    start: int
    end: int
    title: str = ""
    heading_path: tuple[str, ...] = ()
    page: int | None = None
    text: str = ""
    chunk_id: str = ""
    """The chunk that holds the span; "" in answers stored before it was noted."""
    answer_start: int = 0
    answer_end: int | None = None
    """`Answer.text[answer_start:answer_end]` is what the span supports; None: to the answer's end."""
    support: float | None = None
    """Share of that part's content words that the span (with its title and headings) holds; None: stored before."""


def strongest(citations: Sequence[Citation]) -> Citation | None:
    """The citation that supports its sentence best, the first of equals; None where there is none."""
    return max(citations, key=lambda each: each.support or 0.0, default=None)


class Unsupported(Contract):
    """A sentence of what the model said that no passage supports: `Answer.raw[start:end]`."""

    text: str
    start: int
    end: int
    support: float
    """Share of its content words that the passages hold; 0 for one with a number that none of them holds."""
    action: Literal["kept", "flagged", "dropped"]


class Answer(Contract):
    """What a system said to a question, with what it stood on."""

    question: str
    text: str
    answered: bool
    citations: tuple[Citation, ...] = ()
    """In the order of the answer's sentences; of a sentence the best first."""
    unsupported: tuple[Unsupported, ...] = ()
    """Sentences without a citation, those that were dropped included."""
    chunk_ids: tuple[str, ...] = ()
    """The chunks that the model was shown, in prompt order."""
    raw: str = ""
    """The model's own words before output guardrails."""
    guardrail: str | None = None
    """The guardrail that changed the answer, if one did."""
    answerable: float | None = None
    """Probability that the documents answer the question, by retrieval alone; None: nothing was estimated."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


class Item(Contract):
    """A row of an item table: one measurement of one item. `value` None: it could not be measured."""

    item: str
    group: str
    """The document that the item depends on: the unit of resampling."""
    slice: str
    metric: str
    value: float | None
    repeat: int = 0


class Measurement(Contract):
    """A metric's value with its interval over n items in n_groups groups."""

    system: str
    metric: str
    slice: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    n_groups: int
    missing: int = 0


class Comparison(Contract):
    """The paired difference `system - against` of one metric on the items that both have."""

    metric: str
    slice: str
    system: str
    against: str
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n: int
    n_groups: int


class Rule(Contract):
    """One rule of a gate, as applied."""

    rule: str
    metric: str
    verdict: Verdict
    observed: float | None
    """The value that the rule looks at: a paired difference, or a rate."""
    bound: float | None
    """The confidence bound that decides."""
    required: float
    mde: float | None = None
    """Smallest difference that this many items can show with 80% power."""
    n: int = 0
    items_needed: int | None = None
    """How many items, those measured included, would settle an inconclusive rule with 80% power."""
    why: str


class Decision(Contract):
    """What the gate found, and on which evidence."""

    schema_version: int = SCHEMA_VERSION
    verdict: Verdict
    candidate: str
    against: str
    rules: tuple[Rule, ...]
    policy_digest: str
    evidence: dict[str, str]
    """Name of each file looked at to its sha256."""
    why: str
    nothing_to_decide: bool = False
    look: int = 1
    """Which comparison on this golden set with this reference it was."""
    alpha: float | None = None
    """What this look could spend; None in decisions from before looks were counted."""


class Release(Contract):
    """The manifest: what is served, moved and rolled back as one. `id` = content_id of the parts."""

    schema_version: int = SCHEMA_VERSION
    id: str
    parts: dict[str, str]
    """Part (index, prompt, base_model, adapter, dataset, data_revision, report, redteam, decision,
    guardrail_policy, retrieval, generation ...) to its digest."""
    objects: dict[str, str]
    """Part to its digest in the object store, for the parts that are files or folders."""
    system: str
    """Digest of the parts that shape an answer."""
    trained_by: str
    succeeds: str | None = None
    """The release in production when this one was made: what its kind is told by (release/kinds.py)."""


class Approval(Contract):
    """Who decided what on which report: append-only."""

    release: str
    report_digest: str
    who: str
    role: str
    identity: Literal["claimed", "verified"]
    when: datetime
    why: str
    verdict: Literal["approved", "rejected", "rolled_back"]
