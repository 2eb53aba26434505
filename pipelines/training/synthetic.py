"""Questions made from documents by rules, for workspaces without a question file.

Table cells, labelled values, sentences turned into questions, and gaps in sentences; each with the span
of its answer. Beside them questions that no document answers: the same ones about an invented thing.
Invariants: an answer is a span of its chunk and not in its question; a question finds its chunk among
the FINDS nearest; an invented name, code or year occurs in no document; equal documents give equal questions.
Limits: English; rules know no meaning, so wording is plain and some questions are odd. They are marked
synthetic wherever they are counted.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from pipelines.contracts import Chunk, Document, Question, content_id
from pipelines.settings import Dataset
from pipelines.training.contexts import Vectors, plain
from pipelines.training.phrasing import Made, questions_of_sentence, questions_of_table, questions_of_values

FINDS = 3
"""A question whose own chunk is not among so many nearest ones cannot be answered with retrieval."""
SAME = 0.95
"""Cosine from which two questions count as one."""
LONGEST_ANSWER_WORDS = 12
INVENTED = ("Ostravel", "Brackmere", "Halvenko", "Quillonia", "Tarrowby", "Zendora", "Merrivault", "Pellinor")
"""Names for things that the documents do not know; those that occur in them are not used."""


def make_questions(
    documents: Mapping[str, Document],
    chunks: Sequence[Chunk],
    vectors: Vectors,
    encode: Callable[[Sequence[str]], Vectors],
    *,
    wanted: int,
    settings: Dataset,
) -> list[Question]:
    """At most `wanted` questions a chunk, and unanswerable ones in the configured share."""
    drafts = [
        (number, made)
        for number, chunk in enumerate(chunks)
        if not chunk.superseded and documents[chunk.uri].near_duplicate_of is None
        for made in _drafts(documents[chunk.uri], chunk)
    ]
    kept = _chosen(drafts, chunks, vectors, encode, most=wanted)
    answerable = [_question(made, chunks[number]) for number, made in kept]
    rng = random.Random(settings.seed)
    share = settings.unanswerable_share / (1 - settings.unanswerable_share)
    return answerable + _unanswerable(answerable, documents, round(len(answerable) * share), rng)


def _drafts(document: Document, chunk: Chunk) -> list[Made]:
    """Well-formed questions of a chunk, the most natural kinds first."""
    found = [
        *questions_of_table(document, chunk),
        *questions_of_values(document, chunk),
        *questions_of_sentence(document, chunk),
    ]
    return [made for made in found if _well_formed(made)]


def _well_formed(made: Made) -> bool:
    answer, question = plain(made.answer), plain(made.question)
    words = [word for word in question.split() if len(word) > 3]
    return 0 < len(answer.split()) <= LONGEST_ANSWER_WORDS and len(words) >= 2 and answer not in question


def _chosen(
    drafts: Sequence[tuple[int, Made]],
    chunks: Sequence[Chunk],
    vectors: Vectors,
    encode: Callable[[Sequence[str]], Vectors],
    *,
    most: int,
) -> list[tuple[int, Made]]:
    """Drafts that find their chunk and repeat no other, kinds taken in turn."""
    if not drafts:
        return []
    asked = encode([made.question for _, made in drafts])
    nearest = np.argsort(-(asked @ vectors.T), axis=1)[:, :FINDS]
    kept: list[int] = []
    per_chunk: dict[int, int] = {}
    for draft in _kinds_in_turn(drafts):
        number, _ = drafts[draft]
        found = any(chunks[other].text == chunks[number].text for other in nearest[draft])
        if per_chunk.get(number, 0) >= most or not found:
            continue
        if kept and float((asked[kept] @ asked[draft]).max()) >= SAME:
            continue
        kept.append(draft)
        per_chunk[number] = per_chunk.get(number, 0) + 1
    return [drafts[draft] for draft in sorted(kept)]


def _kinds_in_turn(drafts: Sequence[tuple[int, Made]]) -> Iterator[int]:
    """Indices of drafts so that each chunk gives one of each kind before a second of any."""
    turn: dict[tuple[int, str], int] = {}
    order = []
    for index, (number, made) in enumerate(drafts):
        place = turn.get((number, made.kind), 0)
        turn[number, made.kind] = place + 1
        order.append((place, index))
    return (index for _, index in sorted(order))


def _question(made: Made, chunk: Chunk) -> Question:
    return Question(
        id=f"synthetic-{content_id(chunk.uri, made.question)[:12]}",
        question=made.question,
        answers=(made.answer,),
        document=chunk.uri,
        start=made.start,
        end=made.end,
        evidence=made.answer,
        slice=made.kind,
    )


def _unanswerable(
    answerable: Sequence[Question], documents: Mapping[str, Document], count: int, rng: random.Random
) -> list[Question]:
    """Questions about invented things, spread over the documents."""
    known = " ".join(plain(document.title + " " + document.text) for document in documents.values())
    names = [name for name in INVENTED if plain(name) not in known]
    made: dict[str, Question] = {}
    for question in rng.sample(list(answerable), len(answerable)):
        if len(made) == count:
            break
        changed = _about_an_invented_thing(question.question, known, names, rng)
        if changed is not None:
            name = f"synthetic-u-{content_id(question.document, changed)[:12]}"
            made[name] = Question(id=name, question=changed, document=question.document, slice="unanswerable")
    return [made[name] for name in sorted(made)]


def _about_an_invented_thing(question: str, known: str, names: Sequence[str], rng: random.Random) -> str | None:
    """The question with a code, year or name that no document has, or None when it names none."""
    from pipelines.training.phrasing import named_things

    for start, end, kind in named_things(question):
        thing = question[start:end]
        other = _unknown(thing, kind, known, names, rng)
        if other is not None:
            return question[:start] + other + question[end:]
    return None


def _unknown(thing: str, kind: str, known: str, names: Sequence[str], rng: random.Random) -> str | None:
    if kind == "name":
        return rng.choice(list(names)) if names else None
    if kind == "year":
        free = [year for year in range(1900, 2031) if f" {year} " not in known]
        return str(rng.choice(free)) if free else None
    return _other_digits(thing, known, rng)


def _other_digits(thing: str, known: str, rng: random.Random) -> str | None:
    """The same pattern with other digits, unknown to the documents; None after twenty failures."""
    for _ in range(20):
        other = "".join(rng.choice("123456789") if character.isdigit() else character for character in thing)
        if plain(other) not in known and plain(other).strip() not in known.split():
            return other
    return None
