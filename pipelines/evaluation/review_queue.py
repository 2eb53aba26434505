"""Answers of an evaluation -> blind pairs for people: a stratified sample, the same for the same seed.

Invariants: which answer stands left follows from (seed, item) alone; slices get places in proportion, each at least
one while there are places. Not covered: hiding style (a reviewer may recognise a system by how it writes).
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.artifacts import read_lines, sha256_file
from pipelines.contracts import content_id
from pipelines.errors import QuestionFileError
from pipelines.evaluation.asking import Asked


@dataclass(frozen=True)
class Pair:
    """A question with the answers of the candidate and of what it is compared with."""

    round: str
    item: str
    group: str
    slice: str
    question: str
    reference: str
    answers: dict[str, Any]

    @property
    def id(self) -> str:
        """The same pair of the same evaluation has the same id."""
        return content_id("review", self.round, self.item)


def read_pairs(folder: Path) -> list[Pair]:
    """The pairs of an evaluation: candidate against champion, or against base where there was no champion.

    Raises QuestionFileError without an evaluation, or without two systems in it.
    """
    place = folder / "answers.jsonl"
    if not place.exists():
        raise QuestionFileError(f"{place}: there is no evaluation to review; run `groundwork run` first.")
    of: dict[str, dict[str, Asked]] = defaultdict(dict)
    for asked in read_lines(place, Asked):
        of[asked.system][asked.id] = asked
    reference = next((role for role in ("champion", "base") if role in of), None)
    if reference is None or "candidate" not in of:
        raise QuestionFileError(f"{place}: it holds {', '.join(sorted(of)) or 'nobody'}; a comparison needs two.")
    digest = sha256_file(place)
    return [
        _pair(digest, asked, of[reference][name], reference)
        for name, asked in sorted(of["candidate"].items())
        if name in of[reference]
    ]


def _pair(digest: str, candidate: Asked, other: Asked, reference: str) -> Pair:
    return Pair(
        round=digest,
        item=candidate.id,
        group=candidate.document or candidate.id,
        slice=candidate.slice,
        question=candidate.question,
        reference=reference,
        answers={"candidate": _shown(candidate), "reference": _shown(other)},
    )


def _shown(asked: Asked) -> dict[str, Any]:
    cited = dict.fromkeys((each.uri, each.text) for each in asked.citations)
    return {"text": asked.answer, "sources": [{"uri": uri, "text": text} for uri, text in cited]}


def sampled(pairs: Sequence[Pair], *, items: int, seed: int) -> list[Pair]:
    """At most `items` pairs, slices in proportion (largest remainder), in an order that the seed shuffles.

    Raises QuestionFileError for fewer than one item.
    """
    if items < 1:
        raise QuestionFileError(f"--items is {items}; a review has at least 1.")
    strata: dict[str, list[Pair]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda each: content_id(seed, each.item)):
        strata[pair.slice].append(pair)
    places = _places({name: len(of) for name, of in strata.items()}, min(items, len(pairs)))
    chosen = [pair for name, of in strata.items() for pair in of[: places[name]]]
    random.Random(seed).shuffle(chosen)
    return chosen


def _places(sizes: dict[str, int], items: int) -> dict[str, int]:
    total = sum(sizes.values())
    places = {name: min(1, items) if items >= len(sizes) else 0 for name in sizes}
    while sum(places.values()) < items:
        short = {name: items * size / total - places[name] for name, size in sizes.items() if places[name] < size}
        places[max(short, key=lambda name: (short[name], name))] += 1
    return places


def left_of(seed: int, item: str) -> str:
    """Whose answer stands left: candidate or reference, as by a coin that (seed, item) throws."""
    return "candidate" if int(content_id("left", seed, item)[:8], 16) % 2 else "reference"
