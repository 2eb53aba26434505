"""Why the right passage was not first: the part of the score that cost it the place, or that it never stood for choice.

Invariant: what is said of a rank compares scores of one search of one variant; scores of two variants do not compare.
A right passage beyond the k asked for is looked for among as many hits as the variant ranks anyway
(`retrieval.candidates`), so that the candidates, and with them the scores, are the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipelines.contracts import Chunk, Hit
from pipelines.evaluation.retrieval_eval import Asked, Brought, Gold, Variant
from pipelines.retrieval.terms import terms

Outcome = Literal["worse", "missed", "better", "late", "first"]
ORDER: tuple[Outcome, ...] = ("worse", "missed", "better", "late", "first")
"""Of reading: what was lost comes first."""


@dataclass(frozen=True)
class Diagnosis:
    """How the right passage fared with one variant."""

    rank: int | None
    """Among the hits looked at, which may be more than k."""
    hit: Hit | None
    """The right passage, as ranked; None: not among them."""
    says: str
    part: str | None = None
    """The part of the score in which the first hit leads most."""
    passage: Chunk | None = None
    """The right passage where no search brought it."""


@dataclass(frozen=True)
class Failure:
    """A question that is worth reading, with what each variant made of it."""

    number: int
    """Place in `Asked.questions`."""
    outcome: Outcome
    diagnoses: dict[str, Diagnosis] = field(default_factory=dict)


def outcomes(asked: Asked) -> list[Outcome]:
    """Each question's outcome: the last variant seen from the first; of one variant alone missed, late or first."""
    ranks = [[one.rank for one in brought] for brought in asked.brought.values()]
    return [_outcome(each[0], each[-1]) for each in zip(*ranks, strict=True)]


def _outcome(a: int | None, b: int | None) -> Outcome:
    if a == b:
        return "missed" if a is None else "first" if a == 1 else "late"
    return "worse" if b is None or (a is not None and a < b) else "better"


def failures(variants: Sequence[Variant], asked: Asked) -> list[Failure]:
    """Every question that is not first with all variants: lost ones first, the largest loss before the others."""
    chunks = {variant.name: _gold_chunks(variant, asked) for variant in variants}
    found = []
    for number, outcome in enumerate(outcomes(asked)):
        if outcome != "first":
            each = {v.name: diagnose(v, asked, number, chunks[v.name]) for v in variants}
            found.append(Failure(number, outcome, each))
    return sorted(found, key=lambda one: (ORDER.index(one.outcome), -_size(asked, one.number), one.number))


def _size(asked: Asked, number: int) -> float:
    """How far apart the variants' reciprocal ranks are."""
    shares = [1 / one.rank if (one := brought[number]).rank else 0.0 for brought in asked.brought.values()]
    return max(shares) - min(shares)


def diagnose(variant: Variant, asked: Asked, number: int, chunks: Mapping[str, Sequence[Chunk]]) -> Diagnosis:
    """Where the right passage of a question stood with a variant, and why not first. `chunks`: by uri."""
    brought = asked.brought[variant.name][number]
    hits = brought.hits
    if brought.rank is None and variant.depth > asked.k:
        hits = variant.finder.search([brought.gold.question.question], variant.depth)[0]
    rank = next((place for place, hit in enumerate(hits, 1) if brought.gold.holds(hit.chunk)), None)
    if rank is None:
        return _never_there(brought, len(hits), chunks)
    if rank == 1:
        return Diagnosis(1, hits[0], "First.")
    return _outranked(brought.gold, rank, hits[0], hits[rank - 1])


def _outranked(gold: Gold, rank: int, first: Hit, right: Hit) -> Diagnosis:
    names = list(dict.fromkeys([*first.parts, *right.parts]))
    leads = {name: first.parts.get(name, 0.0) - right.parts.get(name, 0.0) for name in names}
    part = max(names, key=lambda name: leads[name])
    behind = first.score - right.score
    says = f"Rank {rank}, {behind:.3f} behind the first hit"
    if first.chunk.uri in gold.accepted:
        says += ", another passage of the right document"
    if leads[part] <= 0:  # a tie, broken by id
        return Diagnosis(rank, right, says + ".")
    says += f": most in {part} ({right.parts.get(part, 0.0):.3f} against {first.parts.get(part, 0.0):.3f})"
    ahead = [f"{name} {-lead:.3f}" for name, lead in leads.items() if lead < 0]
    return Diagnosis(rank, right, says + (f"; ahead in {', '.join(ahead)}" if ahead else "") + ".", part)


def _never_there(brought: Brought, looked_at: int, chunks: Mapping[str, Sequence[Chunk]]) -> Diagnosis:
    gold = brought.gold
    there = [chunk for uri in sorted(gold.accepted) for chunk in chunks.get(uri, ())]
    right = next((chunk for chunk in there if gold.holds(chunk)), None)
    if right is None:
        where = "the gold span lies in no chunk" if there else "its document has no chunks (quarantined, or empty)"
        return Diagnosis(None, None, f"Not in the index: {where}.")
    asked = list(dict.fromkeys(terms(gold.question.question)))
    held = set(terms("\n".join((right.title, *right.heading_path, right.text))))
    shared = sum(term in held for term in asked)
    says = f"Not among the first {looked_at} hits: it holds {shared} of the question's {len(asked)} words"
    says += ", and its vector is not near enough." if shared < len(asked) else "; others hold them too, and are nearer."
    return Diagnosis(None, None, says, passage=right)


def _gold_chunks(variant: Variant, asked: Asked) -> dict[str, list[Chunk]]:
    """The chunks of documents whose right passage was not among the k."""
    brought = asked.brought[variant.name]
    return read_chunks(variant.chunk, {uri for one in brought if one.rank is None for uri in one.gold.accepted})


def read_chunks(folder: Path, uris: Iterable[str]) -> dict[str, list[Chunk]]:
    """Chunks of documents, by uri."""
    import pyarrow.parquet as pq

    wanted = sorted(set(uris))
    found: dict[str, list[Chunk]] = {}
    if wanted:
        rows = pq.read_table(folder / "chunks.parquet", filters=[("uri", "in", wanted)])
        for row in rows.select(list(Chunk.model_fields)).to_pylist():
            found.setdefault(row["uri"], []).append(Chunk.model_validate(row))
    return found
