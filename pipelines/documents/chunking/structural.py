"""Structure first, then size.

Invariant: every block is covered, a heading at least by a chunk's heading path.
A chunk does not cross a heading of depth 1 or 2 unless what stands under it is tiny. Within a section, paragraphs, list
items and table rows are put together so that chunks are full and little is torn apart (breaks.py); where a paragraph is
too long it is cut between sentences, and at last between words.
A chunk that holds rows of a table without their header names the columns as the last part of its heading path.
Not covered: meaning; two paragraphs on one subject are not told from two on different ones (semantic.py does).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from pipelines.contracts import Block
from pipelines.documents.chunking import Piece
from pipelines.documents.chunking.breaks import AFTER_HEADING, COSTS, cheapest
from pipelines.documents.chunking.tokens import Tokens, weights
from pipelines.documents.chunking.units import Unit, units_of

WHOLE_SHARE = 1.0
"""Of `size`: a longer paragraph is taken sentence by sentence."""
_DEEPEST_BOUNDARY = 2
_TINY_SHARE = 0.2
"""A section below this share of size_tokens is joined with the next one."""
_COLUMNS_CHARACTERS = 120

Costs = Callable[[Sequence[Unit]], list[float]]
"""What a cut before each unit of a section costs."""


def divide(text: str, blocks: Sequence[Block], tokens: Tokens, *, size: int, overlap: int) -> list[Piece]:
    """Chunks of blocks that hold text."""
    units = units_of(text, blocks, tokens, size, max(1, int(WHOLE_SHARE * size)))
    return packed(text, blocks, units, tokens, lambda part: cut_costs(blocks, part), size=size, overlap=overlap)


def packed(
    text: str, blocks: Sequence[Block], units: Sequence[Unit], tokens: Tokens, costs: Costs, *, size: int, overlap: int
) -> list[Piece]:
    """Units as chunks, section by section."""
    runs: list[Sequence[Unit]] = []
    stretches = _stretches(text, units)
    for stretch, following in pairwise([*stretches, []]):
        if not _told_by_path(blocks, stretch, following):
            runs += [
                run for part in _sections(blocks, stretch, size) for run in _cut(blocks, part, costs, size, overlap)
            ]
    found: list[Piece] = []
    for run, counted in fitted(text, blocks, runs, tokens, size):
        if not found or run[-1].end > found[-1].end:  # half of a run may be what it took over, and nothing more
            found.append(_piece(text, blocks, run, counted))
    return found


def _cut(
    blocks: Sequence[Block], section: Sequence[Unit], costs: Costs, size: int, overlap: int
) -> Iterator[Sequence[Unit]]:
    """A section in runs that fit, each with what it takes over from the one before."""
    counts = [unit.tokens for unit in section]
    back = _taken_over(blocks, section, overlap)
    carried = [sum(counts[i - n : i]) for i, n in enumerate(back)]
    begun = -1
    for start, end in cheapest(counts, costs(section), carried, size):
        fits = sum(counts[start:end]) + carried[start] <= size
        begun = max(start - back[start], begun + 1) if fits else start
        yield section[begun:end]


def cut_costs(blocks: Sequence[Block], section: Sequence[Unit]) -> list[float]:
    """What a cut before each unit tears apart."""
    found = [0.0]
    for before, unit in pairwise(section):
        after_heading = blocks[before.block].kind == "heading" and before.block != unit.block
        heading = blocks[unit.block].kind == "heading" and before.block != unit.block
        found.append(AFTER_HEADING if after_heading else 0.0 if heading else COSTS[unit.gap])
    return found


def _taken_over(blocks: Sequence[Block], section: Sequence[Unit], overlap: int) -> list[int]:
    """For each unit, how many before it a chunk may begin with: at most `overlap` tokens, no headings."""
    found, first, held = [0], 0, 0
    for number, unit in enumerate(section[:-1]):
        held += unit.tokens
        if blocks[unit.block].kind == "heading":
            first, held = number + 1, 0
        while held > overlap:
            held -= section[first].tokens
            first += 1
        found.append(number + 1 - first)
    return found


# --- sections ----------------------------------------------------------------------------------


def _stretches(text: str, units: Sequence[Unit]) -> list[list[Unit]]:
    """Units between which nothing but white space was left out: a chunk does not reach over a note."""
    found: list[list[Unit]] = []
    for unit in units:
        if found and not text[found[-1][-1].end : unit.start].strip():
            found[-1].append(unit)
        else:
            found.append([unit])
    return found


def _told_by_path(blocks: Sequence[Block], stretch: Sequence[Unit], following: Sequence[Unit]) -> bool:
    """Whether a stretch is headings alone, which what follows the note after them stands under."""
    path = blocks[stretch[-1].block].heading_path
    under = bool(following) and blocks[following[0].block].heading_path[: len(path)] == path
    return under and all(blocks[unit.block].kind == "heading" for unit in stretch)


def _sections(blocks: Sequence[Block], units: Sequence[Unit], size: int) -> list[list[Unit]]:
    """Units between headings of depth 1 and 2; a tiny section is joined with the next one if both fit."""
    sections: list[list[Unit]] = []
    for unit in units:
        block = blocks[unit.block]
        begins = block.kind == "heading" and len(block.heading_path) <= _DEEPEST_BOUNDARY
        if not sections or (begins and sections[-1][-1].block != unit.block):
            sections.append([])
        sections[-1].append(unit)
    joined: list[list[Unit]] = []
    held, bare = 0, False
    for section in sections:
        total = sum(unit.tokens for unit in section)
        small = min(held, total) < _TINY_SHARE * size and held + total <= size
        own_bare = all(blocks[unit.block].kind == "heading" for unit in section)
        if joined and (bare or small):
            joined[-1] += section
            held, bare = held + total, bare and own_bare
        else:
            joined.append(section)
            held, bare = total, own_bare
    return joined


def fitted(
    text: str, blocks: Sequence[Block], runs: Sequence[Sequence[Unit]], tokens: Tokens, size: int
) -> Iterator[tuple[Sequence[Unit], int]]:
    """Chunks with their own token counts, cut while above `size`.

    They are above it where the sum of parts is not exact (tokenizers other than WordPiece), or where a long
    rule stands between a heading and its text: then the headings, which the path holds, are left out first.
    """
    spans = [(units[0].start, units[-1].end) for units in runs]
    for units, counted in zip(runs, weights(text, spans, tokens), strict=True):
        if counted <= size or len(units) == 1:
            yield units, counted
            continue
        heads = next((n for n, unit in enumerate(units) if blocks[unit.block].kind != "heading"), 0)
        half = len(units) // 2
        yield from fitted(text, blocks, (units[heads:],) if heads else (units[:half], units[half:]), tokens, size)


# --- what a chunk stands under -----------------------------------------------------------------


def _piece(text: str, blocks: Sequence[Block], units: Sequence[Unit], counted: int) -> Piece:
    """A run of units as a chunk."""
    return Piece(units[0].start, units[-1].end, counted, _path(text, blocks, units), blocks[units[0].block].page)


def _path(text: str, blocks: Sequence[Block], units: Sequence[Unit]) -> tuple[str, ...]:
    """The headings that all of a chunk stands under, and the columns of a table whose header is not in it."""
    shown = [u for u in units if blocks[u.block].kind != "heading"] or list(units)
    common = blocks[shown[0].block].heading_path
    for unit in shown:
        while blocks[unit.block].heading_path[: len(common)] != common:
            common = common[:-1]
    block = blocks[units[0].block]
    if block.kind == "table" and units[0].start > block.start:
        columns = _columns(text, block)
        return (*common, columns) if columns else common
    return common


def _columns(text: str, table: Block) -> str:
    """`Columns: Part | Price` from a Markdown table's header; "" where it is long or not there."""
    lines = text[table.start : min(table.end, table.start + 4 * _COLUMNS_CHARACTERS)].splitlines()
    if len(lines) < 3 or not re.fullmatch(r"[\s|:\-]+", lines[1]):
        return ""
    names = f"Columns: {lines[0].strip().strip('|').strip()}"
    return names if len(names) <= _COLUMNS_CHARACTERS else ""
