"""Documents -> splits, so that nothing leaks from training into evaluation.

Invariants: near-duplicates and versions of one document are in one split; a document's split follows
from the seed and its own group alone, so documents that come later move none of the earlier ones
(unless a split would be empty: then the groups nearest to its threshold are moved into it).
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence

from pipelines.contracts import Document, Split
from pipelines.errors import DatasetError
from pipelines.settings import Dataset

FILLED_FIRST: tuple[Split, ...] = ("train", "golden", "validation")
"""A split without a question is filled in this order."""


def groups_of(documents: Sequence[Document]) -> dict[str, str]:
    """uri -> name of its group: the smallest uri among its near-duplicates and versions."""
    parent = {document.uri: document.uri for document in documents}

    def root(uri: str) -> str:
        while parent[uri] != uri:
            uri = parent[uri]
        return uri

    for document in documents:
        for other in (document.near_duplicate_of, document.superseded_by):
            if other is not None and other in parent:
                first, second = sorted((root(document.uri), root(other)))
                parent[second] = first
    return {uri: root(uri) for uri in parent}


def place_of(group: str, seed: int) -> float:
    """Where a group falls in [0, 1): by hash, uniform over groups."""
    digest = hashlib.sha256(f"{seed}\n{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_documents(groups: Mapping[str, str], asked_about: Collection[str], settings: Dataset) -> dict[str, Split]:
    """uri -> split, with at least one document that has questions in each split.

    `asked_about`: uris with questions. Raises DatasetError when these are fewer than three groups.
    """
    places = {group: place_of(group, settings.seed) for group in set(groups.values())}
    split_of = {group: _by_threshold(place, settings) for group, place in places.items()}
    _fill_empty(split_of, places, {groups[uri] for uri in asked_about if uri in groups}, settings)
    return {uri: split_of[group] for uri, group in sorted(groups.items())}


def _by_threshold(place: float, settings: Dataset) -> Split:
    if place < settings.golden_share:
        return "golden"
    return "validation" if place < settings.golden_share + settings.validation_share else "train"


def _fill_empty(split_of: dict[str, Split], places: dict[str, float], asked: set[str], settings: Dataset) -> None:
    """Give each split without questions the group whose place is nearest to its threshold."""
    if len(asked) < len(FILLED_FIRST):
        raise DatasetError(
            f"Questions are about {len(asked)} independent documents; at least {len(FILLED_FIRST)} are needed, one "
            "each for training, validation and evaluation. Add documents, or questions about other documents."
        )
    border = {"train": 1.0, "golden": 0.0, "validation": settings.golden_share}
    for split in FILLED_FIRST:
        if not any(split_of[group] == split for group in asked):
            free = [group for group in asked if sum(split_of[other] == split_of[group] for other in asked) > 1]
            nearest = min(free, key=lambda group: (abs(places[group] - border[split]), group))
            split_of[nearest] = split
