"""Hits -> their parents: small chunks are found, more of the section around them is shown.

A served release has no documents, only its index, so a parent is made of neighbouring chunks of the same document under
the same headings (the first two levels, as chunks are cut), nearest first, while they fit `tokens`. Parents that share
a chunk become one, at the rank of the better.
Invariant: a passage's text is `document.text[start:end]`. The index does not know what lies between chunks (white
space, notes), so a parent is one passage where its chunks touch or overlap, and several where they do not.
A document's chunks carry its own tenant and labels: what a caller may not see is in no parent of what they may.
Not covered: the order in a prompt and its budget as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.contracts import Chunk, content_id
from pipelines.retrieval.index import OpenIndex

CHARACTERS_A_TOKEN = 24
"""Neighbours are looked for this far: more than any script takes."""
_LEVELS = 2
"""Of headings: deeper ones are crossed (chunking/structural.py cuts at these)."""
_COLUMNS = "Columns: "
"""How a chunk names the columns of its table at the end of its heading path."""


@dataclass(frozen=True)
class Parent:
    """Chunks of one section in their order, and the place of its best hit among the hits (from 0)."""

    chunks: tuple[Chunk, ...]
    rank: int

    @property
    def passages(self) -> tuple[Chunk, ...]:
        """The parent's spans as chunks: those that touch are one, whose id is of their ids."""
        groups: list[list[Chunk]] = []
        reached = -1
        for chunk in self.chunks:
            if groups and chunk.start <= reached:
                groups[-1].append(chunk)
            else:
                groups.append([chunk])
            reached = max(reached, chunk.end)
        return tuple(_joined(group) for group in groups)


def parents_of(opened: OpenIndex, hits: Sequence[Chunk], tokens: int) -> list[Parent]:
    """Parents of at most `tokens` tokens a hit (a hit that is larger stands alone), in the order of the hits.

    Raises IndexMismatchError when the index cannot be read.
    """
    reach = tokens * CHARACTERS_A_TOKEN
    around = {(hit.document_id, max(0, hit.start - reach), hit.end + reach) for hit in hits}
    by_document: dict[str, list[Chunk]] = {}
    for chunk in sorted(opened.chunks_within(sorted(around)), key=lambda each: (each.start, each.end, each.id)):
        by_document.setdefault(chunk.document_id, []).append(chunk)
    found = [
        Parent(_around(hit, by_document.get(hit.document_id, [hit]), tokens), rank) for rank, hit in enumerate(hits)
    ]
    return _merged(found)


def _around(hit: Chunk, chunks: Sequence[Chunk], tokens: int) -> tuple[Chunk, ...]:
    """A hit and its neighbours of the same section, the shorter side first, each side up to what does not fit."""
    at = next((number for number, chunk in enumerate(chunks) if chunk.id == hit.id), None)
    if at is None:
        return (hit,)
    first, last, held = at, at, hit.tokens
    sides = {-1: 0, 1: 0}
    while sides:
        side = min(sides, key=lambda each: (sides[each], -each))  # of equals what follows
        number = last + 1 if side > 0 else first - 1
        fits = 0 <= number < len(chunks) and held + chunks[number].tokens <= tokens
        if not fits or _section(chunks[number]) != _section(hit):
            del sides[side]
            continue
        held += chunks[number].tokens
        sides[side] += chunks[number].tokens
        first, last = min(first, number), max(last, number)
    return tuple(chunks[first : last + 1])


def _section(chunk: Chunk) -> tuple[str, ...]:
    path = chunk.heading_path
    if path and path[-1].startswith(_COLUMNS):
        path = path[:-1]
    return path[:_LEVELS]


def _merged(parents: Sequence[Parent]) -> list[Parent]:
    """Parents that share a chunk as one; in the order of their best hits."""
    kept: list[Parent] = []
    for parent in parents:
        ids = {chunk.id for chunk in parent.chunks}
        sharing = [each for each in kept if ids & {chunk.id for chunk in each.chunks}]
        chunks = {chunk.id: chunk for each in (*sharing, parent) for chunk in each.chunks}
        whole = sorted(chunks.values(), key=lambda each: (each.start, each.end, each.id))
        rank = min(each.rank for each in (*sharing, parent))
        kept = [*(each for each in kept if each not in sharing), Parent(tuple(whole), rank)]
    return sorted(kept, key=lambda each: each.rank)


def _joined(group: Sequence[Chunk]) -> Chunk:
    """Chunks that touch or overlap as one."""
    if len(group) == 1:
        return group[0]
    text, end = group[0].text, group[0].end
    for chunk in group[1:]:
        text += chunk.text[max(0, end - chunk.start) :]
        end = max(end, chunk.end)
    path = group[0].heading_path
    for chunk in group[1:]:
        while chunk.heading_path[: len(path)] != path:
            path = path[:-1]
    changed = {"id": content_id("parent", [each.id for each in group]), "end": end, "text": text}
    return group[0].model_copy(update={**changed, "heading_path": path, "tokens": sum(each.tokens for each in group)})
