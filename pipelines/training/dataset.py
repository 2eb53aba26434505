"""documents, chunks, vectors, questions, feedback -> train, validation and golden sets, split by document.

Invariants: no chunk of a golden document is shown in training or validation, and none of a validation
document in training; no question that evaluation asks is trained on (overlap.py); the golden set holds
questions as they were asked, never synthetic ones beside curated ones; made questions train beside curated
ones, and are marked; equal input gives equal bytes, and without feedback and follow-ups the sets are those
that questions alone give.
Limits: one context window of `retrieval.passages` passages per example.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipelines.artifacts import StageJob, read_lines, read_rows, write_json, write_lines, write_text
from pipelines.contracts import (
    Chunk,
    Document,
    Example,
    Feedback,
    Origin,
    Preference,
    Question,
    Split,
)
from pipelines.errors import DatasetError, StageError
from pipelines.generation.prompts import PromptTemplate, load_prompt
from pipelines.settings import Settings
from pipelines.training.contexts import Asked, Corpus, Vectors, plain
from pipelines.training.dataset_card import page
from pipelines.training.dataset_summary import context_tokens, summary
from pipelines.training.examples import Encode, Placed, make_examples, remembering, usable
from pipelines.training.feedback import Knowledge, Learned, learn
from pipelines.training.follow_ups import NOT_COMPLETED, Completer, stand_alone
from pipelines.training.overlap import PASSAGE, asked_in, overlaps, refuse_repeats, repeated_passages
from pipelines.training.preferences import preferences
from pipelines.training.questions import Checked, check
from pipelines.training.splits import groups_of, split_documents

ASKED_ALREADY = "asked in the question file"


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
    feedback: tuple[Feedback, ...] = ()
    prompts: tuple[str, ...] = ()
    """What evaluation asks beside the golden questions."""
    name: str = "the questions"
    """Of the question file, in messages."""


@dataclass(frozen=True)
class Built:
    """A dataset."""

    examples: dict[Split, list[Example]]
    golden: list[Question]
    splits: dict[str, Split]
    unlocated: tuple[str, ...]
    """Ids of answerable questions whose answer no chunk holds: evaluated, not trained on."""
    preferences: tuple[Preference, ...] = ()
    kept_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Ids of questions that were not trained on because evaluation would know them, by reason."""
    learned: Learned = field(default_factory=Learned)


def run(job: StageJob) -> None:
    """Stage `dataset`."""
    from pipelines.retrieval.embedder import Embedder

    embedder = Embedder(job.settings.embedding, threads=job.settings.runtime.threads)
    encode = remembering(embedder.encode_queries)
    source = read_source(job, encode)
    prompt = load_prompt(job.inputs.get("prompt", job.settings.dataset.prompt))
    job.report(0, 1, f"placing {len(source.checked.questions)} questions among passages")
    built = build(source, prompt, job.settings, encode)
    write(built, source, job.settings, job.output)
    for split in ("train", "validation", "golden"):
        job.notes[split] = len(built.golden) if split == "golden" else len(built.examples[split])
    job.notes["preferences"] = len(built.preferences)
    if (learned := built.learned).lines:
        job.report(
            1, 1, f"{len(learned.used)} of {learned.lines} lines of feedback used; card.html says why not the rest"
        )
    job.report(1, 1, f"{job.notes['train']} examples to train on, {job.notes['golden']} golden questions")


def read_source(job: StageJob, encode: Encode) -> Source:
    """Documents, chunks, vectors, feedback, and questions: those of the file, or made from the chunks."""
    from pipelines.training.synthetic import make_questions

    wanted = job.settings.dataset
    documents = {document.uri: document for document in read_rows(job.inputs["ingest"] / "documents.parquet", Document)}
    chunks = read_rows(job.inputs["chunk"] / "chunks.parquet", Chunk)
    vectors = read_vectors(job.inputs["embed"] / "vectors.parquet", chunks)
    feedback = read_lines(job.inputs["feedback"], Feedback) if "feedback" in job.inputs else []
    prompts = asked_in(job.inputs["golden_prompts"]) if "golden_prompts" in job.inputs else ()
    if (file := job.inputs.get("questions")) is not None:
        completer = Completer(chunks, job.settings.retrieval.rewrite)
        asked, lost = stand_alone(read_lines(file, Question), completer)
        checked = check(asked, documents, source=file.name)
        if lost:
            checked = replace(checked, left_out={**checked.left_out, NOT_COMPLETED: lost})
        beside: list[Question] = []
        if wanted.made_per_chunk:
            job.report(0, 1, "making questions from the documents, to train on beside those of the file")
            beside = make_questions(documents, chunks, vectors, encode, wanted=wanted.made_per_chunk, settings=wanted)
        origin: Origin = "curated"
    else:
        job.report(0, 1, "no question file: making questions from the documents")
        made = make_questions(documents, chunks, vectors, encode, wanted=wanted.synthetic_per_chunk, settings=wanted)
        checked, beside, origin = check(made, documents, source="questions made from chunks"), [], "synthetic"
    name = file.name if file is not None else "questions made from chunks"
    return Source(documents, chunks, vectors, checked, origin, tuple(beside), tuple(feedback), prompts, name)


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
    """Split the questions by document and show those of train and validation among passages.

    Raises DatasetError when nothing can be trained on, and where a question file asks the same in two splits.
    """
    questions = source.checked.questions
    splits = split_documents(
        groups_of(list(source.documents.values())), {str(q.document) for q in questions}, settings.dataset
    )
    golden = [question for question in questions if splits[str(question.document)] == "golden"]
    if source.origin == "curated":
        rest = [question for question in questions if splits[str(question.document)] != "golden"]
        refuse_repeats(rest, golden, source.name)
    located = usable(questions, source.chunks, settings)
    learned = _learned(source, splits, prompt, settings, encode)
    beside = [replace(one, joins=True) for one in usable(source.made, source.chunks, settings)]
    answered, dropped = _not_asked_already(
        learned, [one for one in located if splits[str(one.question.document)] != "golden"]
    )
    offered = [one for one in (*located, *answered, *beside) if splits[str(one.question.document)] != "golden"]
    repeated = repeated_passages(source.chunks, [splits[chunk.uri] == "golden" for chunk in source.chunks])
    held = [*(question.question for question in golden), *source.prompts]
    kept, kept_out = _kept(offered, repeated, held, encode)
    placed = _placed(kept, repeated, source, splits, learned, prompt, settings, encode)
    examples: dict[Split, list[Example]] = {split: [one.example for one in found] for split, found in placed.items()}
    if not examples["train"]:
        raise DatasetError(
            "No question can be trained on: none of the training documents' questions has its answer in a chunk. "
            "Give questions `start` and `end`, `evidence`, or answers that occur in the document."
        )
    dropped |= {name: reason for reason, ids in kept_out.items() for name in ids if name in learned.gold}
    known = overlaps([pair.question for pair in learned.pairs], held, encode)
    gone = {learned.pairs[number].line: found.reason for number, found in known.items()}
    chosen = _preferences(learned, dropped, gone, kept, placed, source, prompt)
    ids = {one.question.id for one in located}
    return Built(
        examples,
        golden,
        splits,
        tuple(q.id for q in questions if q.id not in ids),
        chosen,
        {reason: tuple(names) for reason, names in kept_out.items()},
        learned,
    )


def _learned(
    source: Source, splits: Mapping[str, Split], prompt: PromptTemplate, settings: Settings, encode: Encode
) -> Learned:
    completer = Completer(source.chunks, settings.retrieval.rewrite)
    known = Knowledge(source.documents, source.chunks, source.vectors, splits, prompt.refusal, encode, completer)
    return learn(source.feedback, known)


def _not_asked_already(learned: Learned, located: Sequence[Asked]) -> tuple[list[Asked], dict[str, str]]:
    """Feedback's questions that no other question asks, and the others with the reason."""
    known = {plain(one.question.question) for one in located}
    new, dropped = [], {}
    for question in learned.questions:
        if plain(question.question) in known:
            dropped[question.id] = ASKED_ALREADY
        else:
            new.append(Asked(question, (learned.gold[question.id],)))
    return new, dropped


def _kept(
    offered: Sequence[Asked], repeated: frozenset[int], held: Sequence[str], encode: Encode
) -> tuple[list[Asked], dict[str, list[str]]]:
    """Questions that evaluation does not know, and ids of the others by reason."""
    found = overlaps([one.question.question for one in offered], held, encode)
    kept: list[Asked] = []
    kept_out: dict[str, list[str]] = {}
    for number, one in enumerate(offered):
        if number in found:
            kept_out.setdefault(found[number].reason, []).append(one.question.id)
        elif repeated & set(one.gold):
            kept_out.setdefault(PASSAGE, []).append(one.question.id)
        else:
            kept.append(one)
    return kept, kept_out


def _placed(
    kept: Sequence[Asked],
    repeated: frozenset[int],
    source: Source,
    splits: Mapping[str, Split],
    learned: Learned,
    prompt: PromptTemplate,
    settings: Settings,
    encode: Encode,
) -> dict[Split, list[Placed]]:
    """Examples of train and validation; questions made from documents train alone."""
    origins: dict[str, Origin] = {question.id: source.origin for question in source.checked.questions}
    origins |= dict.fromkeys(learned.gold, "feedback")
    made = {question.id for question in source.made}
    shown: dict[Split, set[Split]] = {"train": {"train"}, "validation": {"train", "validation"}}
    placed: dict[Split, list[Placed]] = {}
    for split, visible in shown.items():
        asked = [one for one in kept if splits[str(one.question.document)] == split]
        if split == "validation":
            asked = [one for one in asked if one.question.id not in made]
        allowed = np.array(
            [splits[chunk.uri] in visible and number not in repeated for number, chunk in enumerate(source.chunks)],
            dtype=np.bool_,
        )
        corpus = Corpus(source.chunks, source.vectors, allowed)
        placed[split] = make_examples(asked, corpus, split, prompt, settings, encode, origins)
    return placed


def _preferences(
    learned: Learned,
    dropped: Mapping[str, str],
    gone: Mapping[str, str],
    kept: Sequence[Asked],
    placed: Mapping[Split, Sequence[Placed]],
    source: Source,
    prompt: PromptTemplate,
) -> tuple[Preference, ...]:
    """Preferences of the pairs that stand; feedback's own account of its lines is settled on the way.

    `dropped`: feedback's questions that became no example; `gone`: lines whose pair evaluation would know.
    """
    of_id = {one.question.id: one.question for one in kept}
    every = [one for found in placed.values() for one in found]
    asked = {one.example.id: of_id[one.question] for one in every}
    pairs = [pair for pair in learned.pairs if pair.line not in gone]
    found, lost = preferences(pairs, [one.example for one in every], asked, source.chunks, prompt)
    learned.settle(dropped, {**gone, **lost})
    return tuple(found)


def write(built: Built, source: Source, settings: Settings, output: Path) -> None:
    """train, validation, golden and preferences as JSON Lines; splits.json, summary.json, card.html."""
    write_lines(output / "train.jsonl", built.examples["train"])
    write_lines(output / "validation.jsonl", built.examples["validation"])
    write_lines(output / "golden.jsonl", built.golden)
    write_lines(output / "preferences.jsonl", built.preferences)
    write_json(output / "splits.json", built.splits)
    told = summary(built, source, settings.dataset.licences)
    write_json(output / "summary.json", told)
    write_text(output / "card.html", page(told, built.examples, context_tokens(built.examples, source.chunks)))
