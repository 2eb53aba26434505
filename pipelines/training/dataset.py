"""documents, chunks, vectors, questions -> train, validation and golden sets, split by document.

Invariants: no chunk of a golden document is shown in training or validation, and none of a validation
document in training; the golden set holds questions as they were asked, never synthetic ones beside
curated ones; made questions train beside curated ones, and are marked; equal input gives equal bytes.
Limits: one context window of `retrieval.passages` passages per example; single-turn questions.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.artifacts import StageJob, read_lines, read_rows, write_json, write_lines, write_text
from pipelines.contracts import Chunk, Document, Example, Message, Origin, Question, Split, content_id
from pipelines.errors import DatasetError, StageError
from pipelines.generation.prompts import PromptTemplate, load_prompt
from pipelines.settings import Settings
from pipelines.training.contexts import Asked, Context, Corpus, Vectors, contexts, plain
from pipelines.training.dataset_card import page
from pipelines.training.questions import Checked, check
from pipelines.training.splits import groups_of, split_documents

Encode = Callable[[Sequence[str]], Vectors]
"""Questions to unit vectors, float32 [n, dim]."""
VALIDATION_ROUNDS = 1


@dataclass(frozen=True)
class Source:
    """What a dataset is made from."""

    documents: dict[str, Document]
    chunks: list[Chunk]
    vectors: Vectors
    """Unit rows of the chunks, float32 [chunks, dim]."""
    checked: Checked
    origin: Origin
    """Of the questions of `checked`."""
    made: tuple[Question, ...] = ()
    """Questions made from chunks, to be trained on beside curated ones."""


@dataclass(frozen=True)
class Built:
    """A dataset."""

    examples: dict[Split, list[Example]]
    golden: list[Question]
    splits: dict[str, Split]
    unlocated: tuple[str, ...]
    """Ids of answerable questions whose answer no chunk holds: evaluated, not trained on."""


def run(job: StageJob) -> None:
    """Stage `dataset`."""
    from pipelines.retrieval.embedder import Embedder

    embedder = Embedder(job.settings.embedding, threads=job.settings.runtime.threads)
    source = read_source(job, embedder.encode_queries)
    prompt = load_prompt(job.inputs.get("prompt", job.settings.dataset.prompt))
    job.report(0, 1, f"placing {len(source.checked.questions)} questions among passages")
    built = build(source, prompt, job.settings, embedder.encode_queries)
    write(built, source, job.output)
    for split in ("train", "validation", "golden"):
        job.notes[split] = len(built.golden) if split == "golden" else len(built.examples[split])
    job.report(1, 1, f"{job.notes['train']} examples to train on, {job.notes['golden']} golden questions")


def read_source(job: StageJob, encode: Encode) -> Source:
    """Documents, chunks, vectors, and questions: those of the file, or made from the chunks."""
    from pipelines.training.synthetic import make_questions

    wanted = job.settings.dataset
    documents = {document.uri: document for document in read_rows(job.inputs["ingest"] / "documents.parquet", Document)}
    chunks = read_rows(job.inputs["chunk"] / "chunks.parquet", Chunk)
    vectors = read_vectors(job.inputs["embed"] / "vectors.parquet", chunks)
    if (file := job.inputs.get("questions")) is not None:
        checked = check(read_lines(file, Question), documents, source=file.name)
        beside: list[Question] = []
        if wanted.made_per_chunk:
            job.report(0, 1, "making questions from the documents, to train on beside those of the file")
            beside = make_questions(documents, chunks, vectors, encode, wanted=wanted.made_per_chunk, settings=wanted)
        return Source(documents, chunks, vectors, checked, "curated", tuple(beside))
    job.report(0, 1, "no question file: making questions from the documents")
    made = make_questions(documents, chunks, vectors, encode, wanted=wanted.synthetic_per_chunk, settings=wanted)
    return Source(documents, chunks, vectors, check(made, documents, source="questions made from chunks"), "synthetic")


def read_vectors(path: Path, chunks: Sequence[Chunk]) -> Vectors:
    """The chunks' vectors, in the chunks' order. Raises StageError when one is missing."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["id", "vector"])
    row_of = {name: row for row, name in enumerate(table.column("id").to_pylist())}
    missing = [chunk.id for chunk in chunks if chunk.id not in row_of]
    if missing:
        raise StageError(f"{path} lacks {len(missing)} of {len(chunks)} chunks; run `groundwork stage embed`.")
    column = table.column("vector").combine_chunks()
    vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(len(row_of), -1).astype(np.float32)
    ordered: Vectors = vectors[[row_of[chunk.id] for chunk in chunks]]
    return ordered


def build(source: Source, prompt: PromptTemplate, settings: Settings, encode: Encode) -> Built:
    """Split the questions by document and show those of train and validation among passages."""
    questions = source.checked.questions
    splits = split_documents(
        groups_of(list(source.documents.values())), {str(q.document) for q in questions}, settings.dataset
    )
    usable = _usable(questions, source.chunks, settings)
    beside = [replace(one, joins=True) for one in _usable(source.made, source.chunks, settings)]
    origins = {question.id: source.origin for question in questions}
    examples: dict[Split, list[Example]] = {}
    shown: dict[Split, set[Split]] = {"train": {"train"}, "validation": {"train", "validation"}}
    for split, visible in shown.items():
        offered = [*usable, *beside] if split == "train" else usable
        asked = [one for one in offered if splits[str(one.question.document)] == split]
        allowed = np.array([splits[chunk.uri] in visible for chunk in source.chunks], dtype=np.bool_)
        corpus = Corpus(source.chunks, source.vectors, allowed)
        examples[split] = _examples(asked, corpus, split, prompt, settings, encode, origins)
    if not examples["train"]:
        raise DatasetError(
            "No question can be trained on: none of the training documents' questions has its answer in a chunk. "
            "Give questions `start` and `end`, `evidence`, or answers that occur in the document."
        )
    golden = [question for question in questions if splits[str(question.document)] == "golden"]
    kept = {one.question.id for one in usable}
    return Built(examples, golden, splits, tuple(q.id for q in questions if q.id not in kept))


def _usable(questions: Sequence[Question], chunks: Sequence[Chunk], settings: Settings) -> list[Asked]:
    """Questions that can be shown among passages: unanswerable, or with few enough gold chunks."""
    located = [Asked(question, gold_chunks(question, chunks)) for question in questions]
    most = settings.retrieval.passages
    return [one for one in located if (one.gold or not one.question.answers) and len(one.gold) <= most]


def gold_chunks(question: Question, chunks: Sequence[Chunk]) -> tuple[int, ...]:
    """Indices of the chunks that hold a question's answer: one that holds it whole, else all it touches."""
    if question.start is None or question.end is None or not question.answers:
        return ()
    start, end = question.start, question.end
    touched = [
        (min(chunk.end, end) - max(chunk.start, start), -number)
        for number, chunk in enumerate(chunks)
        if chunk.uri == question.document and chunk.start < end and chunk.end > start
    ]
    if not touched:
        return ()
    best = -max(touched)[1]
    answers = [plain(answer) for answer in question.answers]
    whole = chunks[best].start <= start and end <= chunks[best].end
    if whole or any(answer in plain(chunks[best].text) for answer in answers):
        return (best,)
    return tuple(sorted(-number for _, number in touched))


def target(question: Question, gold: Sequence[Chunk]) -> str:
    """The accepted answer to learn: the first that the passages hold word for word, else the first."""
    texts = [plain(chunk.text) for chunk in gold]
    return next((a for a in question.answers if any(plain(a) in text for text in texts)), question.answers[0])


def write(built: Built, source: Source, output: Path) -> None:
    """train.jsonl, validation.jsonl, golden.jsonl, splits.json, summary.json, card.html."""
    write_lines(output / "train.jsonl", built.examples["train"])
    write_lines(output / "validation.jsonl", built.examples["validation"])
    write_lines(output / "golden.jsonl", built.golden)
    write_json(output / "splits.json", built.splits)
    told = summary(built, source)
    write_json(output / "summary.json", told)
    write_text(output / "card.html", page(told, built.examples, list(_shown(built, source).values())))


def summary(built: Built, source: Source) -> dict[str, Any]:
    """Counts by split, origin and slice, tokens of contexts, and what was left out."""
    examples = [example for split in built.examples.values() for example in split]
    shown = _shown(built, source)
    return {
        "origin": source.origin,
        "golden_is_synthetic": source.origin == "synthetic",
        "documents": dict(sorted(Counter(built.splits.values()).items())),
        "examples": {split: _counts(found) for split, found in built.examples.items()},
        "golden": {
            "answerable": sum(bool(question.answers) for question in built.golden),
            "unanswerable": sum(not question.answers for question in built.golden),
            "slices": dict(sorted(Counter(question.slice for question in built.golden).items())),
        },
        "context_tokens": _distribution(list(shown.values())),
        "examples_per_context": round(len(examples) / max(len(shown), 1), 2),
        "left_out": {reason: {"count": len(ids), "ids": ids} for reason, ids in source.checked.left_out.items()},
        "not_trainable": {"count": len(built.unlocated), "ids": built.unlocated},
    }


def _shown(built: Built, source: Source) -> dict[tuple[str, ...], int]:
    """Every context that examples are shown, and its tokens."""
    tokens = {chunk.id: chunk.tokens for chunk in source.chunks}
    examples = [example for split in built.examples.values() for example in split]
    return {example.chunk_ids: sum(tokens[name] for name in example.chunk_ids) for example in examples}


def _examples(
    asked: Sequence[Asked],
    corpus: Corpus,
    split: Split,
    prompt: PromptTemplate,
    settings: Settings,
    encode: Encode,
    origins: Mapping[str, Origin],
) -> list[Example]:
    if not asked:
        return []
    made = contexts(
        asked,
        encode([one.question.question for one in asked]),
        corpus,
        passages=settings.retrieval.passages,
        unanswerable_share=settings.dataset.unanswerable_share,
        rounds=settings.dataset.contexts_per_question if split == "train" else VALIDATION_ROUNDS,
        rng=random.Random(f"{settings.dataset.seed}-{split}"),
    )
    return [
        example for context in made for example in _of_context(context, asked, corpus.chunks, split, prompt, origins)
    ]


def _of_context(
    context: Context,
    asked: Sequence[Asked],
    chunks: Sequence[Chunk],
    split: Split,
    prompt: PromptTemplate,
    origins: Mapping[str, Origin],
) -> list[Example]:
    """One example a question; those of a context share every message up to the question."""
    passages = [chunks[number] for number in context.chunks]
    ids = tuple(chunk.id for chunk in passages)
    examples = []
    for number in (*context.answerable, *context.refused):
        one = asked[number]
        answerable = number in context.answerable
        said = target(one.question, [chunks[gold] for gold in one.gold]) if answerable else prompt.refusal
        messages = (*prompt.messages(passages, one.question.question), Message(role="assistant", content=said))
        examples.append(
            Example(
                id=content_id("example", prompt.digest, ids, one.question.question, said),
                messages=messages,
                chunk_ids=ids,
                document=str(one.question.document),
                answerable=answerable,
                origin=origins.get(one.question.id, "synthetic"),
                split=split,
                slice=one.question.slice,
            )
        )
    return examples


def _counts(examples: Sequence[Example]) -> dict[str, Any]:
    counted: Mapping[str, int] = Counter(example.slice for example in examples)
    return {
        "examples": len(examples),
        "contexts": len({example.chunk_ids for example in examples}),
        "answerable": sum(example.answerable for example in examples),
        "refusals": sum(not example.answerable for example in examples),
        "origins": dict(sorted(Counter(example.origin for example in examples).items())),
        "slices": dict(sorted(counted.items())),
    }


def _distribution(values: Sequence[int]) -> dict[str, float]:
    """Smallest, median, 95th percentile, largest: passages' tokens as the embedding model counts them."""
    if not values:
        return {}
    named = {"min": 0.0, "median": 50.0, "p95": 95.0, "max": 100.0}
    return {name: round(float(np.percentile(values, share)), 1) for name, share in named.items()}
