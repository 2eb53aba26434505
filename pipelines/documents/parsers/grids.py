"""Ruled lines of a page -> tables: which cells they enclose, and which words stand in them.

Lines that touch form a grid; where a line between two places of the grid is missing, they are one cell.
A grid is a table when at least two rows and two columns of it hold text in a fair share of the cells: frames,
charts and drawings are not. Lines above and below alone (as papers set tables) frame what aligned.py reads.
"""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.documents.parsers.sheets import Rule

_NEAR = 3.0
"""Lines closer than this are one line; ends closer than this meet."""
_MAX_LINES = 600
_MAX_CELLS = 6000


@dataclass(frozen=True)
class Grid:
    """Cells that ruled lines enclose: `cell_of[row][column]` is the number of the cell at a place of the grid."""

    xs: list[float]
    ys: list[float]
    cell_of: list[list[int]]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x0, top, x1, bottom."""
        return self.xs[0], self.ys[0], self.xs[-1], self.ys[-1]

    def place(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of a point, None outside."""
        row = _interval(self.ys, y)
        column = _interval(self.xs, x)
        return None if row is None or column is None else (row, column)


def grids_of(across: Sequence[Rule], down: Sequence[Rule]) -> list[Grid]:
    """Grids of at least two cells side by side or above each other, from top to bottom."""
    across, down = _merged(across), _merged(down)
    if not across or not down or len(across) + len(down) > _MAX_LINES:
        return []
    found = []
    for group_across, group_down in _touching(across, down):
        grid = _grid(group_across, group_down)
        if grid is not None:
            found.append(grid)
    return sorted(found, key=lambda grid: (grid.ys[0], grid.xs[0]))


def bands_of(across: Sequence[Rule], *, least: float) -> list[list[tuple[float, float, float, float]]]:
    """Regions between neighbours of lines with equal ends, at least so wide: x0, top, x1, bottom."""
    by_ends: defaultdict[tuple[int, int], list[Rule]] = defaultdict(list)
    for rule in _merged(across):
        if rule.end - rule.start >= least:
            by_ends[round(rule.start / 6), round(rule.end / 6)].append(rule)
    return [
        [
            (min(upper.start, lower.start), upper.at, max(upper.end, lower.end), lower.at)
            for upper, lower in itertools.pairwise(rules)
        ]
        for rules in by_ends.values()
        if len(rules) >= 2
    ]


def _merged(rules: Sequence[Rule]) -> list[Rule]:
    """Lines in order of place, those that go on in each other or lie on each other as one."""
    by_place: list[list[Rule]] = []
    for rule in sorted(rules):
        if by_place and rule.at - by_place[-1][0].at <= _NEAR:
            by_place[-1].append(rule)
        else:
            by_place.append([rule])
    merged: list[Rule] = []
    for level in by_place:
        at = sum(rule.at for rule in level) / len(level)
        start = end = None
        for rule in sorted(level, key=lambda r: r.start):
            if start is None or end is None or rule.start > end + _NEAR:
                if start is not None and end is not None:
                    merged.append(Rule(at, start, end))
                start, end = rule.start, rule.end
            else:
                end = max(end, rule.end)
        if start is not None and end is not None:
            merged.append(Rule(at, start, end))
    return merged


def _touching(across: Sequence[Rule], down: Sequence[Rule]) -> list[tuple[list[Rule], list[Rule]]]:
    """Groups of lines that meet each other."""
    parent = list(range(len(across) + len(down)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, rule in enumerate(across):
        for j, other in enumerate(down, len(across)):
            if other.at < rule.start - _NEAR:
                continue
            if other.at > rule.end + _NEAR:
                break  # `down` is in order of place
            if other.start - _NEAR <= rule.at <= other.end + _NEAR:
                parent[root(i)] = root(j)
    groups: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for i in range(len(parent)):
        group = groups.setdefault(root(i), ([], []))
        if i < len(across):
            group[0].append(across[i])
        else:
            group[1].append(down[i - len(across)])
    return [group for group in groups.values() if group[0] and group[1]]


def _grid(across: Sequence[Rule], down: Sequence[Rule]) -> Grid | None:
    ys, xs = _places(across), _places(down)
    # a frame that is open at a side is closed by the ends of the lines that make it
    left, right = min(r.start for r in across), max(r.end for r in across)
    top, bottom = min(r.start for r in down), max(r.end for r in down)
    open_left, open_right = left < xs[0] - 2 * _NEAR, right > xs[-1] + 2 * _NEAR
    open_top, open_bottom = top < ys[0] - 2 * _NEAR, bottom > ys[-1] + 2 * _NEAR
    xs = [*([left] if open_left else []), *xs, *([right] if open_right else [])]
    ys = [*([top] if open_top else []), *ys, *([bottom] if open_bottom else [])]
    rows, columns = len(ys) - 1, len(xs) - 1
    if rows < 1 or columns < 1 or rows * columns < 2 or rows * columns > _MAX_CELLS:
        return None
    parent = list(range(rows * columns))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    walls = [[rule for rule in down if abs(rule.at - x) <= _NEAR] for x in xs]
    floors = [[rule for rule in across if abs(rule.at - y) <= _NEAR] for y in ys]
    for row in range(rows):
        for column in range(columns):
            here = row * columns + column
            if column and not _passes(walls[column], (ys[row] + ys[row + 1]) / 2):
                parent[root(here)] = root(here - 1)
            if row and not _passes(floors[row], (xs[column] + xs[column + 1]) / 2):
                parent[root(here)] = root(here - columns)
    return Grid(xs, ys, [[root(row * columns + column) for column in range(columns)] for row in range(rows)])


def _places(rules: Sequence[Rule]) -> list[float]:
    places: list[float] = []
    for rule in rules:
        if not places or rule.at - places[-1] > _NEAR:
            places.append(rule.at)
    return places


def _passes(rules: Sequence[Rule], point: float) -> bool:
    return any(rule.start - 1 <= point <= rule.end + 1 for rule in rules)


def _interval(places: Sequence[float], value: float) -> int | None:
    if not places[0] - 1 <= value <= places[-1] + 1:
        return None
    for index in range(1, len(places) - 1):
        if value < places[index]:
            return index - 1
    return len(places) - 2
