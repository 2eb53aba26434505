"""JSON and JSON Lines, in place: a record a block, what it is called in its heading path.

The text is the file's own; only where strings hold escaped letters or line breaks (`\\u00e9`, `\\n`), which nobody
could read or find, these are written out. A large value is divided at its members, a few levels deep; what is no
JSON after all is read as text.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from pipelines.contracts import Block
from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Parsed, lines_of, one_line, storable
from pipelines.documents.parsers.plain import paragraphs

_RECORD_CHARACTERS = 2000
"""A value above this is divided, where it has members."""
_DEEPEST = 4
_MOST_BLOCKS = 50_000
"""Small records are joined in files that hold more of them."""
_NAMING = ("title", "name", "heading", "question", "subject", "label", "id", "key", "slug", "url")
_LONGEST_NAME = 120
_SPACE = re.compile(r"[ \t\r\n]*")
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.S)
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)

Path = tuple[str, ...]


@dataclass(frozen=True)
class Piece:
    """A span of the file and the keys that lead to it. `whole`: never joined with its neighbours."""

    start: int
    end: int
    path: Path
    whole: bool


def parse(data: bytes, name: str) -> Parsed:
    """The file's text, a block for each record; its title is its name."""
    text = decode(data)
    title = name.rsplit("/", 1)[-1]
    try:
        pieces = list(_pieces(text))
    except (ValueError, RecursionError):
        runs = paragraphs(text)
        return Parsed(storable(title), text, tuple(Block(kind="code", start=r[0][0], end=r[-1][1]) for r in runs))
    shown, moved = _written_out(text)
    spans = [(moved(piece.start), moved(piece.end), piece.path) for piece in _joined(pieces, len(text))]
    trimmed = ((start, start + len(shown[start:end].rstrip()), path) for start, end, path in spans)
    return Parsed(
        storable(title),
        shown,
        tuple(Block(kind="code", start=s, end=e, heading_path=path) for s, e, path in trimmed if e > s),
    )


def _pieces(text: str) -> Iterator[Piece]:
    """Spans in order. Raises ValueError for what is neither JSON nor JSON Lines."""
    at = _after_space(text, 0)
    value, end = _DECODER.raw_decode(text, at)
    if _after_space(text, end) == len(text):
        yield from _divided(text, at, end, value, (), 0)
        return
    if not isinstance(value, (dict, list)):
        raise ValueError("text that begins like JSON")
    yield from _lines(text)


def _lines(text: str) -> Iterator[Piece]:
    """A record a line, or one after another over several lines; lines that are damaged count as text."""
    damaged = found = 0
    for start, end in lines_of(text):
        begin = _after_space(text, start)
        if begin >= end:
            continue
        try:
            value, last = _DECODER.raw_decode(text, begin)
        except ValueError:
            damaged += 1
            yield Piece(begin, end, (), True)
            continue
        if last > end:
            raise ValueError("records of several lines")
        found += 1
        yield from _divided(text, begin, last, value, _name(value), 0)
    if damaged > found:
        raise ValueError("not JSON Lines")


def _divided(text: str, start: int, end: int, value: Any, path: Path, depth: int) -> Iterator[Piece]:
    """A value as one piece, or its members."""
    large = end - start > _RECORD_CHARACTERS or (depth == 0 and isinstance(value, list))
    if not (large and isinstance(value, (dict, list)) and depth < _DEEPEST) or _is_flat(value):
        yield Piece(start, end, path, isinstance(value, (dict, list)) and bool(path))
        return
    for key, first, at, last, member in _members(text, start, isinstance(value, dict)):
        own = (key,) if key is not None else _name(member)
        if isinstance(member, (dict, list)):
            if last - at > _RECORD_CHARACTERS:
                yield from _divided(text, at, last, member, (*path, *own), depth + 1)
            else:
                yield Piece(first, last, (*path, *own), isinstance(member, dict))
        else:
            yield Piece(first, last, path, False)


def _is_flat(value: Any) -> bool:
    """Whether a container is empty or a list of scalars: one thing, however long."""
    return not value or (isinstance(value, list) and not any(isinstance(each, (dict, list)) for each in value))


def _members(text: str, start: int, keyed: bool) -> Iterator[tuple[str | None, int, int, int, Any]]:
    """(key, start of the member, start and end of its value, value) for each member of a container."""
    at = _after_space(text, start + 1)
    while text[at] not in "]}":
        first, key = at, None
        if keyed:
            key, at = json.decoder.scanstring(text, at + 1, False)  # type: ignore[attr-defined]
            at = _after_space(text, _after_space(text, at) + 1)
        value, end = _DECODER.raw_decode(text, at)
        yield (None if key is None else _short(key)), first, at, end, value
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _name(value: Any) -> Path:
    """What a record calls itself."""
    if isinstance(value, dict):
        folded = {key.lower(): key for key in value if len(key) < 20}
        for key in _NAMING:
            named = value.get(folded.get(key, key))
            if isinstance(named, str) and named.strip() and len(named) <= _LONGEST_NAME:
                return (_short(named),)
    return ()


def _short(words: str) -> str:
    return storable(one_line(words))[:_LONGEST_NAME]


def _joined(pieces: list[Piece], characters: int) -> Iterator[Piece]:
    """Neighbours under one path as one piece, up to the size of a record; records stay apart while they are few."""
    least = characters // _MOST_BLOCKS
    last: Piece | None = None
    for piece in pieces:
        size = piece.end - last.start if last is not None else 0
        alike = last is not None and last.path == piece.path and not (last.whole or piece.whole)
        if last is not None and ((alike and size <= _RECORD_CHARACTERS) or size <= least):
            last = Piece(last.start, piece.end, last.path if last.path == piece.path else (), False)
        else:
            if last is not None:
                yield last
            last = piece
    if last is not None:
        yield last


def _written_out(text: str) -> tuple[str, Any]:
    """The text with its escapes as characters, and where each of its offsets went."""
    starts: list[int] = []
    shorter: list[int] = []

    def character(match: re.Match[str]) -> str:
        escape = match.group()
        made = _character(escape)
        if made != escape:
            starts.append(match.end())
            shorter.append(len(escape) - len(made))
        return made

    if "\\" not in text:
        return text, lambda at: at
    shown = _ESCAPE.sub(character, text)
    total = [0, *accumulate(shorter)]
    return shown, lambda at: at - total[bisect_right(starts, at)]


def _character(escape: str) -> str:
    """`\\n` and `\\t` as white space, letters as letters; quotes, backslashes and control characters as they are."""
    if escape in (r"\n", r"\t", r"\/"):
        return {"n": "\n", "t": "\t", "/": "/"}[escape[1]]
    if escape[1] != "u":
        return escape
    made = escape.encode("ascii").decode("unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return made if made >= "\xa0" else escape
