"""Structure first, then size.

Invariant: every block is covered, a heading at least by a chunk's heading path.
A chunk does not cross a heading of depth 1 or 2 unless what stands under it is tiny. Within a section it packs
paragraphs, list items, table rows and, where a paragraph is too long, sentences and at last words.
A chunk that holds rows of a table without their header names the columns as the last part of its heading path.
Not covered: meaning; two paragraphs on one subject are not told from two on different ones.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.contracts import Block
from pipelines.documents.chunking import Piece
from pipelines.documents.chunking.tokens import Tokens, trimmed, weights

_DEEPEST_BOUNDARY = 2
_TINY_SHARE = 0.2
"""A section below this share of size_tokens is joined with the next one."""
_COLUMNS_CHARACTERS = 120
_LINES = re.compile(r"\n+|\r\n?")
_ITEMS = re.compile(r"\s*[\r\n]\s*(?=(?:[-*+•–!]|\d{1,3}[.)]|[a-z][.)])\s)")
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9À-Þ])|\n+")
_ABBREVIATED = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|approx|no|nos|fig|figs|dr|mr|mrs|ms|prof|st|ltd|inc|ca|etc|vol|pp?|ext|tel|art|sec|min|max)"
    r"|\b[A-Z])\.[\"'”’)\]]*$",
    re.I,
)


@dataclass(frozen=True)
class Unit:
    """What is never divided: a paragraph's sentence, a list item, a table row, a line, a word."""

    start: int
    end: int
    tokens: int
    block: int
    """Index of its block."""


def divide(text: str, blocks: Sequence[Block], tokens: Tokens, *, size: int, overlap: int) -> list[Piece]:
    """Chunks of blocks that hold text."""
    sections = _sections(blocks, units_of(text, blocks, tokens, size), size)
    packed = [units for section in sections for units in _packed(blocks, section, size, overlap)]
    return [piece_of(text, blocks, units, counted) for units, counted in fitted(text, blocks, packed, tokens, size)]


def piece_of(text: str, blocks: Sequence[Block], units: Sequence[Unit], counted: int) -> Piece:
    """A run of units as a chunk."""
    return Piece(units[0].start, units[-1].end, counted, _path(text, blocks, units), blocks[units[0].block].page)


# --- units -------------------------------------------------------------------------------------


def units_of(text: str, blocks: Sequence[Block], tokens: Tokens, size: int) -> list[Unit]:
    """Units of every block in order: rows and items, and of other blocks the whole where it fits, else its parts."""
    spans: list[tuple[int, int]] = []
    owners: list[int] = []
    for index, block in enumerate(blocks):
        whole = trimmed(text, block.start, block.end)
        cut = {"table": _LINES, "list": _ITEMS}.get(block.kind)
        parts = _split(text, whole, cut) if cut else [whole]
        spans += parts
        owners += [index] * len(parts)
    units: list[Unit] = []
    for span, owner, counted in zip(spans, owners, weights(text, spans, tokens), strict=True):
        cuts = (_LINES, _SENTENCE) if blocks[owner].kind == "code" else (_SENTENCE,)
        units += _divided(text, Unit(*span, counted, owner), tokens, size, cuts)
    return units


def _split(text: str, span: tuple[int, int], cut: re.Pattern[str]) -> list[tuple[int, int]]:
    """Spans between matches of `cut`; marks that close a sentence stay with it."""
    start, end = span
    spans: list[tuple[int, int]] = []
    at = start
    for match in cut.finditer(text, start, end):
        if cut is _SENTENCE and _ABBREVIATED.search(text[max(at, match.start() - 12) : match.start()]):
            continue
        spans.append((at, match.start() + len(match.group().rstrip())))
        at = match.end()
    spans.append((at, end))
    return [trimmed(text, *s) for s in spans if text[s[0] : s[1]].strip()]


def _divided(text: str, unit: Unit, tokens: Tokens, size: int, cuts: Sequence[re.Pattern[str]]) -> list[Unit]:
    """A unit as it is, or cut at lines or sentences, then words, then characters, until each part fits."""
    if unit.tokens <= size:
        return [unit]
    if cuts:
        spans = _split(text, (unit.start, unit.end), cuts[0])
        parts = [Unit(*s, w, unit.block) for s, w in zip(spans, weights(text, spans, tokens), strict=True)]
        return [small for part in parts for small in _divided(text, part, tokens, size, cuts[1:])]
    words = [(unit.start + m.start(), unit.start + m.end()) for m in re.finditer(r"\S+", text[unit.start : unit.end])]
    counts = weights(text, words, tokens)
    cut = (piece for word, counted in zip(words, counts, strict=True) for piece in _word_pieces(word, counted, size))
    spans = list(cut)
    return [Unit(*s, w, unit.block) for s, w in zip(spans, weights(text, spans, tokens), strict=True)]


def _word_pieces(word: tuple[int, int], counted: int, size: int) -> Iterator[tuple[int, int]]:
    """A word, or pieces of it that fit whatever the tokenizer makes of them."""
    if counted <= size:
        yield word
        return
    step = max(1, size // 4)  # a character outside ASCII may be up to four byte-level tokens
    yield from ((start, min(start + step, word[1])) for start in range(word[0], word[1], step))


# --- sections ----------------------------------------------------------------------------------


def _sections(blocks: Sequence[Block], units: Sequence[Unit], size: int) -> list[list[Unit]]:
    """Units between headings of depth 1 and 2; a tiny section is joined with the next one if both fit."""
    sections: list[list[Unit]] = []
    for unit in units:
        block = blocks[unit.block]
        begins = block.kind == "heading" and len(block.heading_path) <= _DEEPEST_BOUNDARY
        new_block = not sections or sections[-1][-1].block != unit.block
        if not sections or (begins and new_block):
            sections.append([])
        sections[-1].append(unit)
    joined: list[list[Unit]] = []
    for section in sections:
        small = joined and min(_total(joined[-1]), _total(section)) < _TINY_SHARE * size
        if joined and (
            _is_heading_only(blocks, joined[-1]) or (small and _total(joined[-1]) + _total(section) <= size)
        ):
            joined[-1] = joined[-1] + section
        else:
            joined.append(section)
    return joined


def _is_heading_only(blocks: Sequence[Block], section: Sequence[Unit]) -> bool:
    return all(blocks[unit.block].kind == "heading" for unit in section)


def _total(units: Sequence[Unit]) -> int:
    return sum(unit.tokens for unit in units)


def _packed(blocks: Sequence[Block], section: Sequence[Unit], size: int, overlap: int) -> list[list[Unit]]:
    """A section's units in chunks of about equal size, cut between blocks where that is possible."""
    target = _total(section) / max(1, -(-_total(section) // size))
    packed: list[list[Unit]] = [[]]
    for position, unit in enumerate(section):
        last = packed[-1]
        held = _total(last)
        rest = _total(_same_block(section, position))
        new_block = bool(last) and last[-1].block != unit.block
        full = held + unit.tokens > size
        enough = new_block and (held >= target or (held + rest > size and held >= 0.5 * target))
        if last and (full or enough) and not _is_heading_only(blocks, last):
            packed.append(_carried(blocks, last, overlap, size - unit.tokens))
            _move_heading(blocks, last, packed[-1])
        elif last and full:
            packed.append([])
        packed[-1].append(unit)
    return [units for units in packed if units]


def _same_block(section: Sequence[Unit], position: int) -> list[Unit]:
    block = section[position].block
    end = position
    while end < len(section) and section[end].block == block:
        end += 1
    return list(section[position:end])


def _move_heading(blocks: Sequence[Block], last: list[Unit], following: list[Unit]) -> None:
    """A heading at a chunk's end goes to the next chunk, with what it stands over."""
    moved: list[Unit] = []
    while len(last) > 1 and blocks[last[-1].block].kind == "heading":
        moved.insert(0, last.pop())
    if moved:
        following[:] = moved


def _carried(blocks: Sequence[Block], last: Sequence[Unit], overlap: int, room: int) -> list[Unit]:
    """Units at a chunk's end that the next one begins with: at most `overlap` tokens, whole units, no headings."""
    carried: list[Unit] = []
    for unit in reversed(last[1:]):
        if _total(carried) + unit.tokens > min(overlap, room) or blocks[unit.block].kind == "heading":
            break
        carried.insert(0, unit)
    return carried


def fitted(
    text: str, blocks: Sequence[Block], packed: Sequence[Sequence[Unit]], tokens: Tokens, size: int
) -> Iterator[tuple[Sequence[Unit], int]]:
    """Chunks with their own token counts, cut while above `size`.

    They are above it where the sum of parts is not exact (tokenizers other than WordPiece), or where a long
    rule stands between a heading and its text: then the heading, which the path holds, is left out first.
    """
    spans = [(units[0].start, units[-1].end) for units in packed]
    for units, counted in zip(packed, weights(text, spans, tokens), strict=True):
        if counted <= size or len(units) == 1:
            yield units, counted
        elif blocks[units[0].block].kind == "heading":
            yield from fitted(text, blocks, (units[1:],), tokens, size)
        else:
            half = len(units) // 2
            yield from fitted(text, blocks, (units[:half], units[half:]), tokens, size)


def _path(text: str, blocks: Sequence[Block], units: Sequence[Unit]) -> tuple[str, ...]:
    """The headings that all of a chunk stands under, and the columns of a table whose header is not in it."""
    shown = [u for u in units if blocks[u.block].kind != "heading"] or list(units)
    paths = [blocks[unit.block].heading_path for unit in shown]
    common = paths[0]
    for path in paths:
        while path[: len(common)] != common:
            common = common[:-1]
    first = units[0]
    block = blocks[first.block]
    if block.kind == "table" and first.start > block.start:
        columns = _columns(text[block.start : block.end])
        return (*common, columns) if columns else common
    return common


def _columns(table: str) -> str:
    """`Columns: Part | Price` from a Markdown table's header; "" where it is long or not there."""
    lines = table.split("\n", 2)
    if len(lines) < 2 or not re.fullmatch(r"[\s|:\-]+", lines[1]):
        return ""
    names = f"Columns: {lines[0].strip().strip('|').strip()}"
    return names if len(names) <= _COLUMNS_CHARACTERS else ""
