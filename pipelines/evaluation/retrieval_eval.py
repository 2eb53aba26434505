"""Questions put to variants of search: ranks, figures with intervals, paired differences, a verdict in words.

Variants are asked in turn, question by question, so that a busy minute of the machine falls on all of them. Invariants:
every figure comes from the very search that would serve, with the k asked for; what a variant brings beyond k is looked
at for diagnosis alone (retrieval_failures.py). A tool for people: in no stage's key.
Limits: one gold place a question; a chunk counts as right when it overlaps the gold span at all, so larger chunks have
it easier: `span_covered` and `tokens_read` stand beside for that.
"""

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipelines.contracts import Chunk, Document, Hit, Item, Question, content_id
from pipelines.errors import QuestionFileError
from pipelines.evaluation import ranking
from pipelines.evaluation.asking import Finder
from pipelines.evaluation.metrics import items_of
from pipelines.evaluation.suites import Suite, near_duplicates
from pipelines.settings import Settings
from pipelines.training.questions import check, unique_ids

Report = Callable[[int, int, str], None]
SHOWN = 3
"""Passages that a small model reads: the middle cut of recall, and where reading is counted."""


@dataclass(frozen=True)
class Variant:
    """A way to search: its name, its settings, where its stages' tables lie, the search itself."""

    name: str
    settings: Settings
    ingest: Path
    """Folder of documents.parquet and quarantine.parquet."""
    chunk: Path
    """Folder of chunks.parquet."""
    finder: Finder

    @property
    def depth(self) -> int:
        """How many hits it can rank without looking for other candidates."""
        return self.settings.retrieval.candidates


@dataclass(frozen=True)
class Gold:
    """A question's gold place as a variant's documents have it."""

    question: Question
    accepted: frozenset[str]
    """uris of the document and of those that repeat it."""
    group: str

    @property
    def span(self) -> tuple[str, int, int] | None:
        """Document, start, end; None where only the document is known."""
        asked = self.question
        if asked.document is None or asked.start is None or asked.end is None:
            return None
        return asked.document, asked.start, asked.end

    def holds(self, chunk: Chunk) -> bool:
        """Whether a chunk is right: it overlaps the span, or without one is of the document."""
        if self.span is None:
            return chunk.uri in self.accepted
        document, start, end = self.span
        return chunk.uri == document and chunk.start < end and start < chunk.end


@dataclass(frozen=True)
class Brought:
    """What a variant brought to a question."""

    gold: Gold
    hits: list[Hit]
    milliseconds: float
    values: dict[str, float | None]

    @property
    def rank(self) -> int | None:
        """Place (from 1) of the first right hit; None: not among the k."""
        return next((place for place, hit in enumerate(self.hits, 1) if self.gold.holds(hit.chunk)), None)


@dataclass
class Asked:
    """Everything that came of a question file."""

    source: str
    k: int
    questions: list[Question]
    """Those that were put, in file order."""
    brought: dict[str, list[Brought]]
    """By variant, in the order of `questions`."""
    put_aside: dict[str, list[str]] = field(default_factory=dict)
    """Reason to ids of questions that rank nothing."""
    digest: str = ""

    def items(self, variant: str) -> list[Item]:
        """A variant's item table."""
        rows: list[Item] = []
        for one in self.brought[variant]:
            values = {**one.values, "milliseconds": one.milliseconds}
            rows += items_of(one.gold.question.id, one.gold.group, one.gold.question.slice, values)
        return rows


def ask(variants: Sequence[Variant], questions: Sequence[Question], *, source: str, k: int, report: Report) -> Asked:
    """Put the questions that the documents answer to every variant.

    Raises QuestionFileError for an empty file, repeated ids, a document that is nowhere (naming the nearest), a span
    that does not hold what it says, and when no question is left to rank.
    """
    unique_ids(questions, source)
    put, put_aside = _rankable(questions, source)
    golds = {variant.name: _located(variant, put, source, put_aside) for variant in variants}
    kept = [q for q in put if all(q.id in each for each in golds.values())]
    asked = Asked(source, k, kept, {variant.name: [] for variant in variants}, put_aside)
    asked.digest = content_id([q.model_dump(mode="json") for q in questions])
    for variant in variants:  # what is loaded at the first query is no question's time
        _searched(variant, kept[0], k, source)
    for number, question in enumerate(kept):
        for variant in variants if number % 2 == 0 else reversed(variants):
            hits, milliseconds = _searched(variant, question, k, source)
            gold = golds[variant.name][question.id]
            asked.brought[variant.name].append(Brought(gold, hits, milliseconds, _values(gold, hits, k)))
        report(number + 1, len(kept), "asking")
    return asked


def _rankable(questions: Sequence[Question], source: str) -> tuple[list[Question], dict[str, list[str]]]:
    """Questions with answers and a document, and ids of the others by reason."""
    if not questions:
        raise QuestionFileError(
            f"{source} holds no question. Write one JSON object a line: id, question, answers, document."
        )
    put: list[Question] = []
    put_aside: dict[str, list[str]] = {}
    for question in questions:
        if not question.answers:
            put_aside.setdefault("the documents do not answer it", []).append(question.id)
        elif question.document is None:
            put_aside.setdefault("names no document", []).append(question.id)
        else:
            put.append(question)
    if not put:
        raise QuestionFileError(
            f"{source}: none of {len(questions)} questions has both answers and a document, so nothing can be ranked. "
            "Give `answers` and `document` (uri relative to the source folder)."
        )
    return put, put_aside


def _located(
    variant: Variant, questions: Sequence[Question], source: str, put_aside: dict[str, list[str]]
) -> dict[str, Gold]:
    """Each question's gold place in this variant's documents, by id."""
    twins = near_duplicates(variant.ingest / "documents.parquet")
    suite = Suite(questions=(), prompts=None, synthetic=False, twins=twins)
    quarantined = _uris(variant.ingest / "quarantine.parquet")
    _known(questions, _uris(variant.ingest / "documents.parquet"), quarantined, variant.name, source)
    there = [q for q in questions if q.document not in quarantined]
    located = {}
    if there:
        checked = check(there, _documents(variant.ingest, {str(q.document) for q in there}), source=source)
        located = {q.id: q for q in checked.questions}
        for reason, ids in checked.left_out.items():
            mine = put_aside.setdefault(reason, [])
            mine += [name for name in ids if name not in mine]
    lost = {q.id: q for q in questions if q.document in quarantined}
    return {
        name: Gold(
            _without_span(q) if q.document in twins else q, suite.accepted(q.document), suite.group(q.document, name)
        )
        for name, q in (located | lost).items()
    }


def _without_span(question: Question) -> Question:
    """Of a document that repeats another: it has no chunks, and its offsets are not the other's."""
    return question.model_copy(update={"start": None, "end": None})


def _known(
    questions: Sequence[Question], documents: set[str], quarantined: set[str], variant: str, source: str
) -> None:
    unknown = [q for q in questions if q.document not in documents and q.document not in quarantined]
    if not unknown:
        return
    first = unknown[0]
    near = difflib.get_close_matches(str(first.document), sorted(documents), n=1, cutoff=0.3)
    raise QuestionFileError(
        f"{source}: {len(unknown)} of {len(questions)} questions name a document that {variant} does not have. "
        f"Question {first.id} names {first.document!r}"
        + (f"; the nearest is {near[0]!r}" if near else "")
        + ". Write uris relative to the source folder, or give the folder they lie in (--sources)."
    )


def _uris(table: Path) -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_table(table, columns=["uri"]).column("uri").to_pylist())


def _documents(ingest: Path, wanted: set[str]) -> Mapping[str, Document]:
    """The documents that are asked about, and no others: texts are large."""
    import pyarrow.parquet as pq

    rows = pq.read_table(ingest / "documents.parquet", filters=[("uri", "in", sorted(wanted))]).to_pylist()
    return {row["uri"]: Document.model_validate(row) for row in rows}


def _searched(variant: Variant, question: Question, k: int, source: str) -> tuple[list[Hit], float]:
    """Hits, and milliseconds from text to hits."""
    started = time.perf_counter()
    try:
        hits = variant.finder.search([question.question], k)[0]
    except QuestionFileError as exc:
        raise QuestionFileError(f"{source}: question {question.id}: {exc}") from exc
    return hits, round(1000 * (time.perf_counter() - started), 3)


def _values(gold: Gold, hits: Sequence[Hit], k: int) -> dict[str, float | None]:
    """A question's metrics; those of the span only where there is one."""
    first = ranking.first_document(hits, gold.accepted)
    values = ranking.of_rank(first, shown=SHOWN, k=k, unit="document")
    cut = min(SHOWN, k)
    if gold.span is not None:
        values |= ranking.of_rank(ranking.first_span(hits, *gold.span), shown=SHOWN, k=k, unit="span")
        values[f"span_covered@{cut}"] = _covered(hits[:cut], *gold.span)
    values[f"tokens_read@{cut}"] = float(sum(hit.chunk.tokens for hit in hits[:cut]))
    return values


def _covered(hits: Sequence[Hit], document: str, start: int, end: int) -> float:
    """Share of the gold span's characters that stand in the hits."""
    held = np.zeros(end - start, dtype=bool)
    for hit in hits:
        if hit.chunk.uri == document:
            held[max(0, hit.chunk.start - start) : max(0, hit.chunk.end - start)] = True
    return float(held.mean())
