"""The records of a trace: what is found, and what hangs on it in both directions (trace.py)."""

from typing import Any, Literal

from pydantic import Field

from pipelines.contracts import Contract

Kind = Literal["release", "part", "answer", "attack", "example", "chunk", "document"]


class Source(Contract):
    """A document's bytes, hashed again."""

    sha256: str
    state: Literal["whole", "missing", "changed"]
    size_bytes: int | None = None


class Traced(Contract):
    """A document of a release, and its bytes."""

    id: str
    uri: str
    title: str
    media_type: str
    date: str | None
    """The version, as the document dates itself."""
    superseded_by: str | None
    near_duplicate_of: str | None
    characters: int
    source: Source


class Passage(Contract):
    """A chunk, where it stands, and in which document: None where that is not stored any more."""

    id: str
    uri: str
    start: int
    end: int
    text: str
    heading_path: tuple[str, ...]
    page: int | None
    superseded: bool
    in_document: bool | None
    """Whether `document.text[start:end]` is the text; None: there is no document to look in."""
    document: Traced | None


class Cited(Contract):
    """A citation of an answer."""

    uri: str
    start: int
    end: int
    text: str
    chunk: str
    shown_as: int | None
    """Place of its chunk among the passages shown, from 1."""
    in_document: bool | None
    support: float | None


class Influence(Contract):
    """An example that was made of the same chunk, or about the same document."""

    id: str
    split: str
    origin: str
    by: Literal["chunk", "document"]
    question: str
    answer: str
    document: str
    chunks: tuple[str, ...]
    """Those of the chunks in question that it was made of."""


class Said(Contract):
    """An answer of an evaluation, in short."""

    id: str
    system: str
    question: str
    answer: str
    answered: bool
    correct: bool
    cites: bool | None = None
    """Whether it cites what is traced; None: it was only shown it, or nothing is asked."""


class Trace(Contract):
    """One object as stored, and what hangs on it in both directions."""

    id: str
    kind: Kind
    release: dict[str, Any]
    """id, number, state, verdict, trained_by, created, against, decided, parts."""
    same_in: tuple[str, ...] = ()
    """Earlier releases with the very same part that holds it, newest first."""
    found: dict[str, Any]
    """The object itself, as stored."""
    prompt: str | None = None
    """The prompt file that the release answers with."""
    shown: tuple[Passage, ...] = ()
    """Chunks in prompt order; of a document, in its own order."""
    documents: tuple[Traced, ...] = ()
    citations: tuple[Cited, ...] = ()
    examples: tuple[Influence, ...] = ()
    answers: tuple[Said, ...] = ()
    attempts: tuple[dict[str, Any], ...] = ()
    """Of an attack: its mutations."""
    counts: dict[str, int] = Field(default_factory=dict)
    missing: tuple[str, ...] = ()
    """What could not be read, each in a line."""
