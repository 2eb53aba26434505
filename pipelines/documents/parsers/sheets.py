"""A PDF's page as words with boxes, ruled lines and pictures: what is read of it before anything is made of it.

Everything stands in the frame in which most of the page's text is upright, so that turned pages need no care
further on. Lengths are PDF points (1/72 inch); `y` and `base` grow downwards.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

Box = tuple[float, float, float, float]
"""In the page's own frame: left, bottom, right, top. In that of its text: x0, top, x1, bottom."""


class Face(NamedTuple):
    """How a font looks, as far as it tells headings and code from prose."""

    bold: bool = False
    italic: bool = False
    mono: bool = False


class Word(NamedTuple):
    """A word with its box, the baseline it stands on, and its font."""

    text: str
    x0: float
    x1: float
    base: float
    size: float
    face: Face
    spaced: bool
    """Whether a space stands before it in the file's own order, and not an end of line or nothing."""


class Rule(NamedTuple):
    """A horizontal or vertical line: its place on the other axis, and from where to where it runs."""

    at: float
    start: float
    end: float


@dataclass(frozen=True)
class Sheet:
    """A page in the frame of its upright text."""

    number: int
    width: float
    height: float
    words: list[Word]
    """In the file's own order."""
    turned: list[list[Word]] = field(default_factory=list)
    """Words that run in other directions, each direction in a frame of its own."""
    aslant: list[str] = field(default_factory=list)
    """Words that run at an angle, in the file's own order."""
    across: list[Rule] = field(default_factory=list)
    down: list[Rule] = field(default_factory=list)
    picture_share: float = 0.0
    """Share of the page that pictures cover."""
    unreadable: float = 0.0
    """Share of characters that their font maps to nothing."""


class Frame(NamedTuple):
    """How points of a page become points of a frame: x' = a x + b y + c, y' = d x + e y + f."""

    a: int
    b: int
    c: float
    d: int
    e: int
    f: float

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        """A box of the page in this frame."""
        if self.a == 1:
            return left + self.c, self.f - top, right + self.c, self.f - bottom
        ax, ay = self.a * left + self.b * bottom + self.c, self.d * left + self.e * bottom + self.f
        bx, by = self.a * right + self.b * top + self.c, self.d * right + self.e * top + self.f
        return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)


def frame_of(page: Box, quarter: int) -> Frame:
    """The frame in which text is upright that runs to the right (0), up (1), to the left (2) or down (3)."""
    left, bottom, right, top = page
    if quarter == 1:
        return Frame(0, 1, -bottom, 1, 0, -left)
    if quarter == 2:
        return Frame(-1, 0, right, 0, 1, -bottom)
    if quarter == 3:
        return Frame(0, -1, top, -1, 0, right)
    return Frame(1, 0, -left, 0, -1, top)
