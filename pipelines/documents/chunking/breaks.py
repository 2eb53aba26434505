"""Where to cut: the best of all ways to divide a run of units into chunks, not the first that fits.

The way of Knuth and Plass ("Breaking paragraphs into lines", 1981): a chunk that is not full costs the square of what
it lacks, a cut costs what it tears apart, and dynamic programming finds the cheapest division. Time is linear in units
times the units of a chunk.
"""

from collections.abc import Sequence

from pipelines.documents.chunking.units import Gap

COSTS = {Gap.BLOCK: 0.15, Gap.LINE: 0.4, Gap.SENTENCE: 0.8, Gap.WORD: 1.6}
"""Of a cut before a unit, where an empty chunk would cost 1."""
AFTER_HEADING = 4.0
"""A heading stays with what it stands over."""

Run = tuple[int, int]
"""Units first..last + 1."""


def cheapest(counts: Sequence[int], costs: Sequence[float], carried: Sequence[int], size: int) -> list[Run]:
    """Runs of units that hold at most `size` tokens, in order; a unit that is larger stands alone.

    `counts`: tokens of each unit; `costs`: of a cut before it; `carried`: tokens that a chunk which begins with it
    takes over from the one before.
    """
    n = len(counts)
    best, cut = [0.0] * (n + 1), [0] * (n + 1)
    for end in range(1, n + 1):
        held, least, first = 0, float("inf"), end - 1
        for start in range(end - 1, -1, -1):
            held += counts[start]
            total = held + carried[start]
            if held > size and start < end - 1:
                break
            if total > size and start < end - 1:
                continue
            lacking = max(0.0, 1 - total / size)
            value = best[start] + lacking * lacking + (costs[start] if start else 0.0)
            if value < least - 1e-9:  # of equals the one whose first chunks are fuller
                least, first = value, start
        best[end], cut[end] = least, first
    runs: list[Run] = []
    end = n
    while end:
        runs.append((cut[end], end))
        end = cut[end]
    return runs[::-1]
