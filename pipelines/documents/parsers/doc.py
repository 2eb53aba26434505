r"""Word 97-2003 (DOC) -> headings, paragraphs and tables of the main text.

The text lies in pieces that the file lists, what each paragraph is in pages of properties (MS-DOC 2.4.1, 2.8.6).
Field codes and deleted parts of lists are left out. Not covered: list numbers, text boxes, headers and footnotes;
Word 6 and 95.
"""

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name
from pipelines.documents.parsers.ole import Streams
from pipelines.errors import DocumentError

_FIRST_VERSION = 0xC0
"""`nFib` of Word 97."""
_ENCRYPTED, _SECOND_TABLE = 0x0100, 0x0200
_MAIN_CHARACTERS, _STYLES, _PAGES_OF_PROPERTIES, _PIECES = 0x4C, 0xA2, 0x0102, 0x01A2
"""Where the header holds the length of the main text (`ccpText`), and the places of `STSH`, `PlcfBtePapx`, `Clx`."""
_COMPRESSED = 0x40000000
_IN_TABLE, _ENDS_ROW, _OUTLINE_LEVEL, _LIST = 0x2416, 0x2417, 0x2640, 0x460B
_OPERANDS = (1, 1, 2, 4, 2, 2, 0, 3)
"""Bytes of a property's operand by its kind (`spra`); 0: the first byte says."""
_FIELD = re.compile("\x13[^\x13\x14\x15]*(?:\x14([^\x13\x15]*))?\x15")
_UNSHOWN = re.compile("[\x00-\x06\x08\x0e-\x1d\x1f]")
_LAST_HEADING_STYLE = 9
_TITLE_STYLE = 62
"""`sti` of the built-in style Title."""


@dataclass(frozen=True)
class Properties:
    """What a paragraph is. `style`: 1 to 9 are the built-in headings."""

    style: int = 0
    in_table: bool = False
    ends_row: bool = False
    level: int = 0
    """Outline level, 1 to 9; 0: body text."""
    listed: bool = False


def parse(data: bytes, name: str) -> Parsed:
    """The document's main text; its title is its first heading."""
    try:
        draft = _read(Streams(data))
    except (struct.error, IndexError) as exc:
        raise DocumentError(f"damaged DOC: {exc}") from exc
    if draft.is_empty:
        raise DocumentError("the document holds no text")
    return draft.finish(draft.first_heading or readable_name(name))


def _read(streams: Streams) -> Draft:
    header = streams.read("WordDocument")
    version, flags = struct.unpack_from("<2xH6xH", header)
    if flags & _ENCRYPTED:
        raise DocumentError("protected by a password")
    if version < _FIRST_VERSION:
        raise DocumentError("written by a Word older than 97; save it as .docx")
    table = streams.read("1Table" if flags & _SECOND_TABLE else "0Table")
    text, places = _text(header, _part(header, table, _PIECES))
    (length,) = struct.unpack_from("<I", header, _MAIN_CHARACTERS)
    known = _properties(header, _part(header, table, _PAGES_OF_PROPERTIES))
    draft = Draft()
    _write(text[:length], places, known, _title_styles(_part(header, table, _STYLES)), draft)
    return draft


def _part(header: bytes, table: bytes, at: int) -> bytes:
    start, size = struct.unpack_from("<II", header, at)
    return table[start : start + size]


def _title_styles(sheet: bytes) -> frozenset[int]:
    """Indexes of the styles that are Title."""
    if len(sheet) < 4:
        return frozenset()
    at = 2 + struct.unpack_from("<H", sheet)[0]
    found = []
    for index in range(struct.unpack_from("<H", sheet, 2)[0]):
        if at + 4 > len(sheet):
            break
        size, kind = struct.unpack_from("<HH", sheet, at)
        if size and kind & 0xFFF == _TITLE_STYLE:
            found.append(index)
        at += 2 + size
    return frozenset(found)


# --- the text and where it lies ------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """Characters from `first` on lie at byte `place` of the file, one or two bytes each."""

    first: int
    place: int
    width: int


def _text(header: bytes, listed: bytes) -> tuple[str, list[Piece]]:
    """All text, and the pieces that it was put together from."""
    at = 0
    while listed[at] == 1:  # properties before the list
        at += 3 + struct.unpack_from("<H", listed, at + 1)[0]
    if listed[at] != 2:
        raise DocumentError("damaged DOC: the list of its pieces is missing")
    entries = listed[at + 5 : at + 5 + struct.unpack_from("<I", listed, at + 1)[0]]
    count = (len(entries) - 4) // 12
    bounds = struct.unpack_from(f"<{count + 1}I", entries)
    parts: list[str] = []
    pieces: list[Piece] = []
    for number in range(count):
        (place,) = struct.unpack_from("<I", entries, 4 * (count + 1) + 8 * number + 2)
        length = bounds[number + 1] - bounds[number]
        if not 0 <= length <= len(header):
            raise DocumentError("damaged DOC: a piece lies outside the text")
        width = 1 if place & _COMPRESSED else 2
        start = (place & ~_COMPRESSED) // 2 if width == 1 else place
        raw = header[start : start + width * length]
        parts.append(raw.decode("cp1252" if width == 1 else "utf-16-le", "replace"))
        pieces.append(Piece(bounds[number], start, width))
    return "".join(parts), pieces


# --- what paragraphs are -------------------------------------------------------------------------


def _properties(header: bytes, listed: bytes) -> tuple[list[int], list[Properties]]:
    """Bytes at which paragraphs begin, ascending, and what each is."""
    count = (len(listed) - 4) // 8
    starts: list[int] = []
    found: list[Properties] = []
    for number in range(max(count, 0)):
        page = struct.unpack_from("<I", listed, 4 * (count + 1) + 4 * number)[0] & 0x3FFFFF
        sheet = header[512 * page : 512 * page + 512]
        if len(sheet) < 512:
            continue
        runs = sheet[511]
        for run in range(runs):
            at = 4 * (runs + 1) + 13 * run
            if at >= 511:
                break
            starts.append(struct.unpack_from("<I", sheet, 4 * run)[0])
            found.append(_paragraph(sheet, 2 * sheet[at]))
    order = sorted(range(len(starts)), key=starts.__getitem__)
    return [starts[i] for i in order], [found[i] for i in order]


def _paragraph(sheet: bytes, at: int) -> Properties:
    """The properties that a page holds at an offset; 0: none."""
    if not at or at + 3 > 511:
        return Properties()
    size = 2 * sheet[at] - 1 if sheet[at] else 2 * sheet[at + 1]
    at += 1 if sheet[at] else 2
    raw = sheet[at : min(at + size, 511)]
    if len(raw) < 2:
        return Properties()
    said = dict(_settings(raw[2:]))
    level = said.get(_OUTLINE_LEVEL, 9)
    return Properties(
        style=struct.unpack_from("<H", raw)[0],
        in_table=bool(said.get(_IN_TABLE)),
        ends_row=bool(said.get(_ENDS_ROW)),
        level=level + 1 if level < 9 else 0,
        listed=bool(said.get(_LIST)),
    )


def _settings(raw: bytes) -> Iterator[tuple[int, int]]:
    """(property, first byte of its value)."""
    at = 0
    while at + 3 <= len(raw):
        (code,) = struct.unpack_from("<H", raw, at)
        size = _OPERANDS[code >> 13] or raw[at + 2] + 1
        yield code, raw[at + 2]
        at += 2 + size


# --- writing -----------------------------------------------------------------------------------


def _write(
    text: str,
    pieces: list[Piece],
    known: tuple[list[int], list[Properties]],
    titles: frozenset[int],
    draft: Draft,
) -> None:
    firsts = [piece.first for piece in pieces]
    starts, properties = known
    shift = int(any(what.style in titles for what in properties))
    items: list[str] = []
    rows: list[list[str]] = []
    cells: list[str] = []
    words: list[str] = []
    at = 0
    for match in re.finditer("[^\r\x07\x0c]*[\r\x07\x0c]|[^\r\x07\x0c]+$", _without_fields(text)):
        paragraph = match.group()
        piece = pieces[max(bisect_right(firsts, at) - 1, 0)]
        place = bisect_right(starts, piece.place + (at - piece.first) * piece.width) - 1
        what = properties[place] if 0 <= place < len(properties) else Properties()
        at += len(paragraph)
        shown = _shown(paragraph)
        if items and not what.listed:
            draft.add("list", "\n".join(items))
            items.clear()
        if what.ends_row:
            rows.append(cells)
            cells = []
        elif what.in_table:
            words.append(shown)
            if paragraph.endswith("\x07"):
                cells.append(one_line(" ".join(words)))
                words = []
        else:
            _end_table(rows, draft)
            level = what.style if 1 <= what.style <= _LAST_HEADING_STYLE else what.level
            if what.style in titles or level:
                draft.heading(1 if what.style in titles else level + shift, shown)
            elif what.listed and shown:
                items.append(f"- {one_line(shown)}")
            else:
                draft.add("paragraph", shown)
    draft.add("list", "\n".join(items))
    _end_table([*rows, cells, words], draft)


def _without_fields(text: str) -> str:
    """Field codes as as many NULs, so that offsets stay; results of fields are ordinary text."""
    for _ in range(5):  # fields stand in fields
        shorter = _FIELD.sub(_result, text)
        if shorter == text:
            break
        text = shorter
    return text


def _result(match: re.Match[str]) -> str:
    result = match.group(1) or ""
    return "\x00" * (len(match.group()) - len(result)) + result


def _shown(paragraph: str) -> str:
    plain = paragraph.rstrip("\r\x07\x0c").replace("\x0b", "\n").replace("\x1e", "-")
    return "\n".join(one_line(line) for line in _UNSHOWN.sub("", plain).split("\n"))


def _end_table(rows: list[list[str]], draft: Draft) -> None:
    draft.table(rows)
    rows.clear()
