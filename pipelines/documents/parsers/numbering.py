"""The numbers that Word writes before list items and headings: in the file they are rules, on the page they are text.

Limits: counters follow each list's definition; number formats of other scripts are shown as 1, 2, 3.
"""

from dataclasses import dataclass
from typing import Any

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DEEPEST = 9
_LARGEST_ROMAN = 5000
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip


@dataclass(frozen=True)
class Level:
    """A level of a list: its number's format, the pattern around it, and where it starts."""

    format: str = "decimal"
    pattern: str = "%1."
    start: int = 1
    decimal_only: bool = False


class Numbering:
    """The lists of a document and how far each has counted."""

    def __init__(self, root: Any) -> None:
        # `root`: of word/numbering.xml, None where the document has none.
        self._levels: dict[str, dict[int, Level]] = {}
        self._list_of: dict[str, str] = {}
        self._restarted: dict[str, dict[int, int]] = {}
        self._counts: dict[str, dict[int, int]] = {}
        for each in () if root is None else root.iterchildren(f"{_W}abstractNum"):
            self._levels[_value(each, "abstractNumId", own=True)] = dict(map(_level, each.iterchildren(f"{_W}lvl")))
        for each in () if root is None else root.iterchildren(f"{_W}num"):
            self._read_list(each)

    def _read_list(self, element: Any) -> None:
        name, base = _value(element, "numId", own=True), _value(element, "abstractNumId")
        starts: dict[int, int] = {}
        levels = dict(self._levels.setdefault(base, {}))
        for override in element.iterchildren(f"{_W}lvlOverride"):
            if (start := override.find(f"{_W}startOverride")) is not None:
                starts[_number(_value(override, "ilvl", own=True), 0)] = _number(start.get(f"{_W}val"), 1)
            levels.update(_level(own) for own in override.iterchildren(f"{_W}lvl"))
        if starts or levels != self._levels[base]:
            base = f"{base}/{name}"  # counts for itself
            self._levels[base], self._restarted[base] = levels, starts
        self._list_of[name] = base

    def label(self, list_id: str, depth: int) -> str:
        """The next label of a list at a level (0 is the highest): `2.1`, `b)`, or `-` for a bullet; "" for none."""
        base = self._list_of.get(list_id)
        if base is None or not 0 <= depth < _DEEPEST:
            return ""
        counts = self._counts.setdefault(base, {})
        counts[depth] = counts.get(depth, self._start(base, depth) - 1) + 1
        for deeper in [level for level in counts if level > depth]:
            del counts[deeper]
        level = self._levels[base].get(depth, Level())
        if level.format in ("bullet", "none"):
            return "-" if level.format == "bullet" else ""
        label = level.pattern
        for each in range(depth + 1):
            if f"%{each + 1}" in label:
                count = counts.setdefault(each, self._start(base, each))
                format = "decimal" if level.decimal_only else self._levels[base].get(each, Level()).format
                label = label.replace(f"%{each + 1}", formatted(count, format))
        return label.strip()

    def _start(self, base: str, depth: int) -> int:
        return self._restarted.get(base, {}).get(depth, self._levels[base].get(depth, Level()).start)


def formatted(count: int, format: str) -> str:
    """A count as a list shows it."""
    if format in ("lowerLetter", "upperLetter"):
        letters = chr(ord("a") + (count - 1) % 26) * min(1 + (count - 1) // 26, 9) if count > 0 else ""
        return letters.upper() if format == "upperLetter" else letters
    if format in ("lowerRoman", "upperRoman") and 0 < count < _LARGEST_ROMAN:
        roman = "".join(count_of * mark for count_of, mark in _roman(count))
        return roman.upper() if format == "upperRoman" else roman
    return f"{count:02d}" if format == "decimalZero" else str(count)


def _roman(count: int) -> list[tuple[int, str]]:
    found = []
    for value, mark in _ROMAN:
        found.append((count // value, mark))
        count %= value
    return found


def _level(element: Any) -> tuple[int, Level]:
    depth = _number(_value(element, "ilvl", own=True), 0)
    return depth, Level(
        format=_value(element, "numFmt") or "decimal",
        pattern=_value(element, "lvlText"),
        start=_number(_value(element, "start"), 1),
        decimal_only=element.find(f"{_W}isLgl") is not None,
    )


def _value(element: Any, name: str, *, own: bool = False) -> str:
    """The value of a child, or the element's `own` attribute, of a name; "" where it is not there."""
    found = element if own else element.find(_W + name)
    return "" if found is None else found.get(_W + (name if own else "val")) or ""


def _number(value: str | None, otherwise: int) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else otherwise
