"""What an answer, passage, document, example or part goes back to, and what came of it: as far as offline data go.

Release > adapter > example > chunk > document > bytes. An id is looked for in one release after another, the one in
production first; everything is read from the object store and SQL, so that a later run does not change what is said of
an older release. Sources are hashed again; what is gone is said, and is no error.
Influence: an example counts as `chunk` if it was made of a passage in question, as `document` if it is about the same
document. That a model learned from one and answers by it is not claimed.
Not covered: interactions (they come with the gateway), the passages that attacks were shown (not stored).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

from pipelines.artifacts import ObjectStore, sha256_file
from pipelines.contracts import Release
from pipelines.errors import DecisionError
from pipelines.release import listing
from pipelines.release.policy import aware
from pipelines.release.stored import StoredParts
from pipelines.release.traced import Cited, Influence, Kind, Passage, Said, Source, Trace, Traced
from pipelines.store import ReleaseRow, Store

SHORTEST = 6
"""Fewest characters of an id that stand for it; the whole of it may be shorter."""
SYSTEM = "candidate"
"""The release's own answers in its report; the others are those that it was compared with."""
CHUNK = ("id", "document_id", "uri", "title", "start", "end", "text", "heading_path", "page", "tokens", "superseded")
DOCUMENT = (
    *("id", "uri", "media_type", "sha256", "title", "text", "language", "date", "tenant", "labels"),
    *("near_duplicate_of", "superseded_by"),
)


HOLDING: dict[Kind, str] = {
    "answer": "report",
    "attack": "redteam",
    "example": "dataset",
    "chunk": "chunks",
    "document": "documents",
}
"""Kind to the part that holds it."""


def trace(store: Store, objects: ObjectStore, wanted: str, *, release: str | None = None) -> Trace:
    """Find what an id or its beginning names, and trace it.

    Raises DecisionError for an id that nothing has, that several things have, or that is too short.
    """
    wanted = wanted.strip()
    if not wanted:
        raise DecisionError("Say what to trace: the id of an answer, release, chunk, document, example or adapter.")
    every = listing.in_states(store)
    chosen = None if release is None else listing.manifest(store, release).id
    rows = [each for each in every if chosen in (None, each.id)]
    rows.sort(key=lambda row: row.state != "production")  # the others stay newest first
    parts = {row.id: StoredParts(Release.model_validate(row.manifest), objects) for row in rows}
    for exact in (True, False):
        for row in rows:
            names = sorted(set(_named(parts[row.id], wanted, exact=exact)))
            if not exact and names and len(wanted) < SHORTEST:
                raise DecisionError(f"{wanted!r} is too short to name anything: give {SHORTEST} characters or more.")
            if len(names) > 1:
                told = ", ".join(f"{kind} {name[:24]}" for kind, name in names[:5])
                raise DecisionError(f"{wanted!r} names {len(names)} things ({told}); give more of it.")
            if names:
                return _Tracing(store, row, every, parts[row.id]).of(*names[0])
    where = f"release {rows[0].id[:12]}" if release else f"any of {len(rows)} releases"
    raise DecisionError(
        f"Nothing in {where} is called {wanted!r}: give the id of an answer of a report, a release, a chunk, "
        "a document (or its uri), an example, an adapter or another part; or their beginning."
    )


def _named(parts: StoredParts, wanted: str, *, exact: bool) -> Iterator[tuple[Kind, str]]:
    """What of a release has this id, or one that begins so."""

    def fits(name: str | None) -> bool:
        return name is not None and (name == wanted if exact else name.startswith(wanted))

    release = parts.release
    if fits(release.id):
        yield "release", release.id
    for names in (release.parts, release.objects):
        yield from (("part", part) for part, digest in names.items() if fits(digest))
    yield from (("answer", row["id"]) for row in parts.lines("report", "answers.jsonl") if fits(row["id"]))
    yield from (("attack", row["id"]) for row in parts.lines("redteam", "attacks.jsonl") if fits(row["id"]))
    yield from (("example", row["id"]) for row in _examples(parts) if fits(row["id"]))
    yield from (("chunk", row["id"]) for row in parts.rows("chunks", "chunks.parquet", ("id",)) if fits(row["id"]))
    for row in parts.rows("documents", "documents.parquet", ("id", "uri", "sha256")):
        if any(map(fits, row.values())):
            yield "document", row["id"]


def _examples(parts: StoredParts) -> list[dict[str, Any]]:
    names = ("train.jsonl", "validation.jsonl")
    return [row for name in names if name in parts.files("dataset") for row in parts.lines("dataset", name)]


def _splits(examples: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    splits = ("train", "validation")
    return {f"{split}_examples": sum(each["split"] == split for each in examples) for split in splits}


class _Tracing:
    """A trace in one release."""

    def __init__(self, store: Store, row: ReleaseRow, rows: Sequence[ReleaseRow], parts: StoredParts) -> None:
        self.store, self.row, self.rows, self.parts = store, row, rows, parts
        self._documents: dict[str, dict[str, Any]] = {}
        self._kinds: Mapping[Kind, Callable[[str], dict[str, Any]]] = {
            "release": self._release,
            "part": self._part,
            "answer": self._answer,
            "attack": self._attack,
            "example": self._example,
            "chunk": self._chunk,
            "document": self._document,
        }

    def of(self, kind: Kind, name: str) -> Trace:
        """What hangs on a thing of a kind."""
        told = self._kinds[kind](name)
        release, part = self.parts.release, name if kind == "part" else HOLDING.get(kind)
        named = release.parts.get(name) or release.objects[name] if kind == "part" else name
        about = {"release": self._release_told(), "same_in": self._same_in(part)}
        return Trace(**told, **about, id=named, kind=kind, missing=tuple(self.parts.missing))

    # --- one method a kind ---

    def _release(self, _: str) -> dict[str, Any]:
        answers = [each for each in self._answers() if each["system"] == SYSTEM]
        return {
            "found": self.row.manifest,
            "prompt": self.parts.text("prompt"),
            "counts": {
                "documents": len(self.parts.rows("documents", "documents.parquet", ("id",))),
                "chunks": len(self.parts.rows("chunks", "chunks.parquet", ("id",))),
                **_splits(_examples(self.parts)),
                "answers": len(answers),
                "right_answers": sum(bool(each["correct"]) for each in answers),
                "attacks": len(self.parts.lines("redteam", "attacks.jsonl")),
            },
        }

    def _part(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = {"part": name, "digest": self.parts.release.parts.get(name)}
        found |= {"object": self.parts.release.objects.get(name), "files": self.parts.files(name)}
        counts: dict[str, int] = {}
        if name == "adapter":
            found["training"] = self.parts.value("training", "training.json")
            counts = _splits(_examples(self.parts))
        return {"found": found, "counts": counts}

    def _answer(self, name: str) -> dict[str, Any]:
        rows = [each for each in self._answers() if each["id"] == name]
        own = next((each for each in rows if each["system"] == SYSTEM), rows[0])
        cited = [each.get("chunk_id", "") for each in own["citations"]]
        ids = list(own.get("chunk_ids") or dict.fromkeys(each for each in cited if each))
        if not own.get("chunk_ids") and own["passages"]:
            self.parts.missing.append(
                "answer: which chunks were shown was not noted, or it was refused before any were"
            )
        passages = self._passages(ids)
        return {
            "found": own,
            "prompt": self.parts.text("prompt"),
            "shown": passages,
            "citations": tuple(self._cited(each, ids) for each in own["citations"]),
            "examples": self._influences(ids, {each.uri for each in passages}),
            "answers": tuple(_said(each) for each in rows if each is not own),
        }

    def _attack(self, name: str) -> dict[str, Any]:
        found = next(each for each in self.parts.lines("redteam", "attacks.jsonl") if each["id"] == name)
        attempts = "attempts.jsonl" in self.parts.files("redteam")
        rows = self.parts.lines("redteam", "attempts.jsonl") if attempts else []
        mine = tuple(each for each in rows if each["attack"] == name)
        return {"found": found, "prompt": self.parts.text("prompt"), "attempts": mine}

    def _example(self, name: str) -> dict[str, Any]:
        found = next(each for each in _examples(self.parts) if each["id"] == name)
        ids = list(found["chunk_ids"])
        return {"found": found, "shown": self._passages(ids), "answers": self._shown_to(set(ids))}

    def _chunk(self, name: str) -> dict[str, Any]:
        passages = self._passages([name])
        found = self.parts.rows("chunks", "chunks.parquet", CHUNK, ("id", {name}))[0]
        uris = {each.uri for each in passages}
        return {
            "found": found,
            "shown": passages,
            "examples": self._influences([name], uris),
            "answers": self._shown_to({name}),
        }

    def _document(self, name: str) -> dict[str, Any]:
        held = self._document_rows({name})[name]
        where = ("document_id", {name})
        rows = self.parts.rows("chunks", "chunks.parquet", ("id", "start"), where)
        ids = [each["id"] for each in sorted(rows, key=lambda each: int(each["start"]))]
        found = {key: value for key, value in held.items() if key != "text"}
        return {
            "found": found,
            "documents": (self._traced(held),),
            "shown": self._passages(ids),
            "examples": self._influences(ids, {held["uri"]}),
            "answers": self._shown_to(set(ids)),
        }

    # --- the chain ---

    def _passages(self, ids: Sequence[str]) -> tuple[Passage, ...]:
        rows = {each["id"]: each for each in self.parts.rows("chunks", "chunks.parquet", CHUNK, ("id", set(ids)))}
        for gone in [each for each in ids if each not in rows]:
            self.parts.missing.append(f"chunk {gone[:12]}: the release's chunks hold none of that id")
        documents = self._document_rows({row["document_id"] for row in rows.values()})
        return tuple(self._passage(rows[each], documents) for each in ids if each in rows)

    def _passage(self, row: dict[str, Any], documents: dict[str, dict[str, Any]]) -> Passage:
        held = documents.get(row["document_id"])
        kept = ("id", "uri", "start", "end", "text", "page")
        return Passage(
            **{name: row[name] for name in kept},
            heading_path=tuple(row["heading_path"] or ()),
            superseded=bool(row.get("superseded")),
            in_document=None if held is None else held["text"][row["start"] : row["end"]] == row["text"],
            document=None if held is None else self._traced(held),
        )

    def _cited(self, row: dict[str, Any], shown: Sequence[str]) -> Cited:
        chunk = row.get("chunk_id", "")
        held = next((each for each in self._documents.values() if each["uri"] == row["uri"]), None)
        inside = None if held is None else held["text"][row["start"] : row["end"]] == row["text"]
        return Cited(
            **{name: row[name] for name in ("uri", "start", "end", "text")},
            chunk=chunk,
            shown_as=shown.index(chunk) + 1 if chunk in shown else None,
            in_document=inside,
            support=row.get("support"),
        )

    def _document_rows(self, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        fresh = set(ids) - set(self._documents)
        rows = self.parts.rows("documents", "documents.parquet", DOCUMENT, ("id", fresh))
        self._documents |= {each["id"]: each for each in rows}
        return {each: self._documents[each] for each in ids if each in self._documents}

    def _traced(self, row: dict[str, Any]) -> Traced:
        kept = ("id", "uri", "title", "media_type")
        later = ("date", "superseded_by", "near_duplicate_of")
        return Traced(
            **{name: row[name] for name in kept},
            **{name: row.get(name) for name in later},
            characters=len(row["text"]),
            source=hashed(self.parts.objects, row["sha256"]),
        )

    def _influences(self, ids: Sequence[str], uris: Collection[str]) -> tuple[Influence, ...]:
        """Examples of the same chunks, then of the same documents; those trained on first."""
        found = []
        for row in _examples(self.parts):
            shared = tuple(each for each in ids if each in row["chunk_ids"])
            if not shared and row["document"] not in uris:
                continue
            kept = {name: row[name] for name in ("id", "split", "origin", "document")}
            by: Literal["chunk", "document"] = "chunk" if shared else "document"
            answer = row["messages"][-1]["content"]
            found.append(Influence(**kept, by=by, question=question_of(row), answer=answer, chunks=shared))
        return tuple(sorted(found, key=lambda each: (each.split != "train", each.by != "chunk")))

    def _answers(self) -> list[dict[str, Any]]:
        return self.parts.lines("report", "answers.jsonl")

    def _shown_to(self, ids: Collection[str]) -> tuple[Said, ...]:
        """The release's own answers that were shown one of the chunks, those that cite it first."""
        own = [each for each in self._answers() if each["system"] == SYSTEM]
        told = []
        for row in own:
            cites = any(each.get("chunk_id") in ids for each in row["citations"])
            if cites or any(each in ids for each in row.get("chunk_ids", ())):
                told.append(_said(row, cites=cites))
        return tuple(sorted(told, key=lambda each: not each.cites))

    # --- the release around it ---

    def _release_told(self) -> dict[str, Any]:
        with self.store.reading() as session:
            decided = listing.approvals(session, self.row.id)
        columns = ("id", "number", "state", "verdict", "warning", "trained_by", "created", "against", "report_digest")
        told = {name: getattr(self.row, name) for name in columns}
        return {
            **told,
            "created": aware(self.row.created).isoformat(),
            "decided": [each.model_dump(mode="json") for each in decided],
            "system": self.parts.release.system,
            "parts": self.parts.release.parts,
        }

    def _same_in(self, part: str | None) -> tuple[str, ...]:
        if part is None:
            return ()
        mine = self.parts.release.parts.get(part) or self.parts.release.objects.get(part)
        others = [Release.model_validate(row.manifest) for row in self.rows if row.number < self.row.number]
        return tuple(each.id for each in others if mine in (each.parts.get(part), each.objects.get(part)))


def question_of(example: Mapping[str, Any]) -> str:
    """What an example asks, without its passages; all of it where a prompt does not mark the question."""
    return str(example["messages"][-2]["content"]).rpartition("Question:")[2].strip()


def hashed(objects: ObjectStore, digest: str) -> Source:
    """A source's bytes in the object store, hashed again."""
    place = objects.path(digest)
    if not place.exists():
        return Source(sha256=digest, state="missing")
    state: Literal["whole", "changed"] = "whole" if sha256_file(place) == digest else "changed"
    return Source(sha256=digest, state=state, size_bytes=place.stat().st_size)


def _said(row: dict[str, Any], *, cites: bool | None = None) -> Said:
    kept = ("id", "system", "question", "answer", "answered", "correct")
    return Said(**{name: row[name] for name in kept}, cites=cites)
