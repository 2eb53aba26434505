"""XLSX, XLSB and old XLS -> a heading and tables a sheet; values as they were last calculated, dates as ISO.

Of a number's format what a reader needs is kept: per cent, leading zeros, a currency or unit. A blank row ends a
table; rows above a table that hold a single cell are paragraphs. Text in shapes and the titles of charts (their
figures are cells) follow the cells; comments become notes. Rows that a filter hides count, hidden sheets are left
out with a note. XLSB and XLS give their cells alone.
Limit: on some damaged XLS files the reader ends its process (it asks for more memory than there is), which the
sandbox turns into a reason.
"""

import datetime
import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name
from pipelines.documents.parsers.drawings import described, lines, text_of
from pipelines.documents.parsers.ole import Streams
from pipelines.documents.parsers.package import Package, Relation, core_title, main_part, relations
from pipelines.errors import DocumentError

_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_XDR = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_MOST_PLACES = 30_000_000
"""Rows times columns of a sheet, blank ones counted: the reader lays them all out."""
_MOST_MERGED = 200_000
_REPEATED_CHARACTERS = 100
_LITERAL = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|([$£€¥₹%])|\[[^\]]*\]|_.|\*.')


@dataclass(frozen=True)
class Shown:
    """What a number format adds to a number."""

    before: str = ""
    after: str = ""
    percent: bool = False
    digits: int = 0
    """Least digits, zeros in front: part numbers, postcodes."""

    def __bool__(self) -> bool:
        return self != Shown()


@dataclass(frozen=True)
class Details:
    """What lies beside the values of a sheet."""

    formats: Mapping[tuple[int, int], Shown] = field(default_factory=dict)
    """(row, column), from 0."""
    links: tuple[Relation, ...] = ()


def parse(data: bytes, name: str) -> Parsed:
    """Every visible sheet; `page` is the sheet's number."""
    package = Package(data) if data.startswith(b"PK") else None
    if package is None:
        Streams(data)  # says that a file is damaged where the reader would end the process
    parts = _sheet_parts(package) if package is not None else {}
    styles = _number_formats(package) if package is not None else {}
    book = _Book(data)
    draft = Draft()
    for number, (title, visible) in enumerate(book.sheets, 1):
        if not visible:
            draft.add("note", f"[Hidden sheet left out: {title}]", number)
            continue
        draft.heading(1, title, number)
        details = _details(package, parts.get(title), styles) if package is not None else Details()
        for region in _regions(book.rows(number - 1, details.formats)):
            _write(region, draft, number)
        for link in details.links:
            _write_linked(package, link, draft, number, title)
    if all(block.kind in ("heading", "note") for block in draft.blocks):
        raise DocumentError("the workbook holds no values")
    return draft.finish((core_title(package) if package is not None else "") or readable_name(name))


# --- values ------------------------------------------------------------------------------------


class _Book:
    """The cells of a workbook; every failure of the reader becomes a DocumentError."""

    def __init__(self, data: bytes) -> None:
        import python_calamine as reader

        def opened() -> Any:
            return reader.CalamineWorkbook.from_filelike(io.BytesIO(data))

        self._book = _guarded(opened)
        visible = reader.SheetVisibleEnum.Visible
        self.sheets = [(sheet.name, sheet.visible == visible) for sheet in self._book.sheets_metadata]

    def rows(self, index: int, formats: Mapping[tuple[int, int], Shown]) -> Iterator[list[str]]:
        """A sheet's rows as text; none for a sheet that is a chart alone."""

        def values() -> tuple[list[list[Any]], list[Any]]:
            sheet = self._book.get_sheet_by_index(index)
            return sheet.to_python(skip_empty_area=False), sheet.merged_cell_ranges or []

        cells, merged = _guarded(values)
        rows = [[_shown(value) for value in row] for row in cells]
        for (y, x), shown in formats.items():
            if y < len(rows) and x < len(rows[y]) and isinstance(cells[y][x], (int, float)):
                rows[y][x] = _formatted(cells[y][x], shown)
        _fill(rows, merged)
        return iter(rows)


def _guarded(call: Callable[[], Any]) -> Any:
    """The reader's answer. Raises DocumentError for a file that it cannot read, whatever it makes of it."""
    import python_calamine as reader

    try:
        return call()
    except reader.PasswordError as exc:
        raise DocumentError("protected by a password") from exc
    except reader.WorksheetNotFound:
        return [], []
    except (reader.CalamineError, ValueError, OSError, OverflowError) as exc:
        raise DocumentError(f"damaged workbook: {one_line(str(exc))}") from exc
    except BaseException as exc:
        if type(exc).__name__ == "PanicException":  # of the reader's Rust code; it is no Exception
            raise DocumentError("damaged workbook") from exc
        raise


def _fill(rows: list[list[str]], merged: Sequence[Any]) -> None:
    """Short words of merged cells in every cell that they cover; a title over a row that is else empty stays one."""
    for (top, left), (bottom, right) in merged[:_MOST_MERGED]:
        words = rows[top][left] if top < len(rows) and left < len(rows[top]) else ""
        if not words or len(words) > _REPEATED_CHARACTERS or right - left > 100 or bottom - top > 1000:
            continue
        for y in range(top, min(bottom + 1, len(rows))):
            alone = not any(rows[y][:left]) and not any(rows[y][right + 1 :])
            last = left if alone else min(right, len(rows[y]) - 1)
            if not (alone and y > top):
                rows[y][left : last + 1] = [words] * (last + 1 - left)


def _regions(rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    for filled, group in itertools.groupby(rows, key=any):
        if filled:
            yield list(group)


def _write(region: Sequence[list[str]], draft: Draft, number: int) -> None:
    wide = any(sum(map(bool, row)) > 1 for row in region)
    above = list(itertools.takewhile(lambda row: wide and sum(map(bool, row)) == 1, region))
    for row in above:
        draft.add("paragraph", "".join(row), number)
    if wide:
        draft.table(region[len(above) :], number)
    else:
        draft.add("paragraph", "\n".join("".join(row) for row in region), number)


def _shown(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is float:
        return _number(value)
    if kind is bool:
        return "yes" if value else "no"
    if isinstance(value, datetime.datetime):
        if value.time() == datetime.time():
            return value.date().isoformat()
        return value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, datetime.time):
        return value.isoformat(timespec="minutes")
    return str(value)


def _formatted(value: float, shown: Shown) -> str:
    words = _number(round(value * 100, 6) if shown.percent else value)
    if shown.digits and words.lstrip("-").isdigit():
        words = words.zfill(shown.digits + words.startswith("-"))
    return f"{shown.before}{words}{'%' if shown.percent else ''}{shown.after}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(round(value, 10))


# --- what the parts of an XLSX hold beside the values -----------------------------------------------


def _sheet_parts(package: Package) -> dict[str, str]:
    """Sheet's name -> its part."""
    part = main_part(package, "xl/workbook.xml")
    root = package.xml_or_none(part)
    links = relations(package, part)
    found: dict[str, str] = {}
    for sheet in () if root is None else root.iter(f"{_S}sheet"):
        if (relation := links.get(sheet.get(f"{_R}id") or "")) is not None:
            found[sheet.get("name") or ""] = relation.target
    return found


def _number_formats(package: Package) -> dict[str, Shown]:
    """Index of a cell style -> what it adds to a number, for the styles that add something."""
    root = package.xml_or_none("xl/styles.xml") if "xl/styles.xml" in package else None
    styles = None if root is None else root.find(f"{_S}cellXfs")
    if root is None or styles is None:
        return {}
    codes = {e.get("numFmtId") or "": e.get("formatCode") or "" for e in root.iter(f"{_S}numFmt")}
    codes |= {"9": "0%", "10": "0.00%"}  # of those that are built in, the ones that count here
    shown = {name: _shown_by(code) for name, code in codes.items()}
    used = [shown.get(e.get("numFmtId") or "", Shown()) for e in styles.iterchildren(f"{_S}xf")]
    return {str(index): each for index, each in enumerate(used) if each}


def _shown_by(code: str) -> Shown:
    """What a format code adds: `0.0%`, `00000`, `[$€-407] #,##0.00`, `0.0" kg"`; dates add nothing."""
    first = code.split(";", 1)[0]
    parts = {"before": "", "after": ""}
    percent = False
    for match in _LITERAL.finditer(first):
        side = "after" if re.search(r"[0#?]", _LITERAL.sub("", first[: match.start()])) else "before"
        literal = next((group for group in match.groups() if group is not None), "")
        percent = percent or literal == "%" == match.group(4)
        parts[side] += "" if match.group(4) == "%" else literal
    rest = _LITERAL.sub("", first)
    if re.search(r"[ymdhsYMDHS@]", rest.replace("General", "")):
        return Shown()
    digits = len(rest.strip()) if re.fullmatch(r"\s*0{2,20}\s*", rest) else 0
    before, after = parts["before"].lstrip(), parts["after"].rstrip()
    return Shown(before if before.strip(" -()") else "", after if after.strip(" -()") else "", percent, digits)


def _details(package: Package, part: str | None, styles: Mapping[str, Shown]) -> Details:
    """Formats and links of a sheet. Raises DocumentError for one that is spread too wide to be laid out."""
    if part is None or part not in package:
        return Details()
    xml = package.read(part)
    if _height(xml) * _width(xml) > _MOST_PLACES:
        raise DocumentError(f"a sheet whose cells are spread over more than {_MOST_PLACES} places")
    return Details(_styled(xml, styles), tuple(relations(package, part).values()))


def _height(xml: bytes) -> int:
    """The number of rows: by their own numbers, and by cells that claim to stand far below (damaged ones do)."""
    rows = map(int, re.findall(rb'<(?:\w+:)?row [^>]*?\br="([0-9]{1,18})"', xml))
    far = map(int, re.findall(rb'\br="[A-Z]*([0-9]{6,18})[0-9]*"', xml))
    return max((1, *rows, *far))


def _width(xml: bytes) -> int:
    """The number of columns, at least 26; names of three letters and more are rare, and looked for alone."""
    for letters in (b"{3,}", b"{2}"):
        if names := set(re.findall(rb'\br="([A-Z]' + letters + rb")[0-9]", xml)):
            return max(_column(name[:8]) for name in names) + 1
    return 26


def _styled(xml: bytes, styles: Mapping[str, Shown]) -> dict[tuple[int, int], Shown]:
    if not styles:
        return {}
    wanted = "|".join(styles).encode()
    pattern = re.compile(rb'<(?:\w+:)?c r="([A-Z]{1,3})([0-9]{1,7})" (?:t="\w+" )?s="(' + wanted + rb')"')
    return {(int(row) - 1, _column(letters)): styles[style.decode()] for letters, row, style in pattern.findall(xml)}


def _column(letters: bytes) -> int:
    """A, B ... Z, AA ... from 0."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number - 1


def _write_linked(package: Package | None, link: Relation, draft: Draft, number: int, title: str) -> None:
    if package is None or (link.external and link.kind != "hyperlink"):
        return
    if link.kind == "hyperlink":
        draft.link("", link.target if link.external else "")
    elif link.kind in ("comments", "threadedComment"):
        _put_comments_aside(package, link, draft, title)
    elif link.kind == "drawing" and (root := package.xml_or_none(link.target)) is not None:
        _write_drawing(package, link.target, root, draft, number)


def _put_comments_aside(package: Package, link: Relation, draft: Draft, title: str) -> None:
    root = package.xml_or_none(link.target)
    for comment in () if root is None else root.iter():
        if isinstance(comment.tag, str) and comment.tag.endswith(("}comment", "}threadedComment")):
            words = one_line(" ".join(comment.itertext()))
            if words and not words.startswith("[Threaded comment]"):  # a copy for older programs
                draft.put_aside(f"[Comment on {title}!{comment.get('ref') or ''}] {words}")


def _write_drawing(package: Package, part: str, root: Any, draft: Draft, number: int) -> None:
    for properties in root.iter(f"{_XDR}cNvPr"):
        draft.add("paragraph", described(properties), number)
    for body in root.iter(f"{_XDR}txBody"):
        draft.add("paragraph", "\n".join(line.words for line in lines(body)), number)
    for relation in relations(package, part).values():
        chart = package.xml_or_none(relation.target) if relation.kind == "chart" else None
        titles = [one_line(text_of(title)) for title in chart.iter(f"{_C}title")] if chart is not None else []
        draft.add("paragraph", f"Chart: {'; '.join(filter(None, titles))}" if any(titles) else "", number)
