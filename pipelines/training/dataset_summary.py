"""summary.json of a dataset: counts by split, origin and slice, lengths, licences, personal data, what was left out.

Invariant: nothing personal stands in it, only how many different values of each kind the sets hold.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.contracts import Chunk, Example, Question, Split
from pipelines.guardrails.pii import kinds_in
from pipelines.settings import LicenceRule
from pipelines.training.feedback import Learned
from pipelines.training.licences import licence_of

if TYPE_CHECKING:
    from pipelines.training.dataset import Built, Source


def summary(built: "Built", source: "Source", licences: Sequence[LicenceRule] = ()) -> dict[str, Any]:
    """What a dataset holds, and what was left out of it and why. `licences`: of documents, by their uri."""
    examples = [example for split in built.examples.values() for example in split]
    shown = context_tokens(built.examples, source.chunks)
    return {
        "origin": source.origin,
        "golden_is_synthetic": source.origin == "synthetic",
        "documents": dict(sorted(Counter(built.splits.values()).items())),
        "examples": {split: _counts(found) for split, found in built.examples.items()},
        "golden": {
            "answerable": sum(bool(question.answers) for question in built.golden),
            "unanswerable": sum(not question.answers for question in built.golden),
            "slices": dict(sorted(Counter(question.slice for question in built.golden).items())),
        },
        "preferences": dict(sorted(Counter(each.split for each in built.preferences).items())),
        "context_tokens": _distribution(shown),
        "examples_per_context": round(len(examples) / max(len(shown), 1), 2),
        "left_out": _named(source.checked.left_out),
        "not_trainable": {"count": len(built.unlocated), "ids": built.unlocated},
        "kept_from_training": _named(built.kept_out),
        "feedback": _feedback(built.learned),
        "personal_data": personal_data(built.examples, built.golden, source.chunks),
        "licences": _licences(built, source, licences),
    }


def context_tokens(examples: Mapping[Split, Sequence[Example]], chunks: Sequence[Chunk]) -> list[int]:
    """Tokens of every context that examples are shown, as the embedding model counts them."""
    tokens = {chunk.id: chunk.tokens for chunk in chunks}
    contexts = {example.chunk_ids for split in examples.values() for example in split}
    return [sum(tokens[name] for name in context) for context in sorted(contexts)]


def _counts(examples: Sequence[Example]) -> dict[str, Any]:
    counted: Mapping[str, int] = Counter(example.slice for example in examples)
    return {
        "examples": len(examples),
        "contexts": len({example.chunk_ids for example in examples}),
        "answerable": sum(example.answerable for example in examples),
        "refusals": sum(not example.answerable for example in examples),
        "origins": dict(sorted(Counter(example.origin for example in examples).items())),
        "slices": dict(sorted(counted.items())),
    }


def _distribution(values: Sequence[int]) -> dict[str, float]:
    """Smallest, median, 95th percentile, largest."""
    if not values:
        return {}
    named = {"min": 0.0, "median": 50.0, "p95": 95.0, "max": 100.0}
    return {name: round(float(np.percentile(values, share)), 1) for name, share in named.items()}


def _named(left_out: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {reason: {"count": len(ids), "ids": tuple(ids)} for reason, ids in sorted(left_out.items())}


def _feedback(learned: Learned) -> dict[str, Any]:
    return {
        "lines": learned.lines,
        "used": len(learned.used),
        "sent_again": sorted(learned.repeated),
        "folded": learned.folded,
        "decided_by_majority": learned.by_majority,
        "left_out": _named({reason: sorted(ids) for reason, ids in learned.left_out.items()}),
    }


def personal_data(
    examples: Mapping[Split, Sequence[Example]], golden: Sequence[Question], chunks: Sequence[Chunk]
) -> dict[str, Any]:
    """Different values of each kind in what a split shows, and in what it asks and answers."""
    texts = {chunk.id: chunk.text for chunk in chunks}
    held: dict[str, Any] = {}
    for split, found in examples.items():
        shown = sorted({name for example in found for name in example.chunk_ids})
        said = [text for example in found for text in (_question(example), example.messages[-1].content)]
        held[split] = {"passages": _kinds([texts.get(name, "") for name in shown]), "questions": _kinds(said)}
    asked = [text for question in golden for text in (question.question, *question.answers)]
    return held | {"golden": {"passages": {}, "questions": _kinds(asked)}}


def _kinds(texts: Sequence[str]) -> dict[str, int]:
    return {kind: len(values) for kind, values in sorted(kinds_in(sorted(set(texts))).items())}


def _question(example: Example) -> str:
    """What an example asks: the last paragraph of its prompt."""
    return example.messages[-2].content.rsplit("\n\n", 1)[-1]


def _licences(built: "Built", source: "Source", rules: Sequence[LicenceRule]) -> dict[str, dict[str, int]]:
    """Licence to the number of documents of each split."""
    counted: dict[str, Counter[str]] = {}
    for uri, split in built.splits.items():
        if (document := source.documents.get(uri)) is not None:
            counted.setdefault(licence_of(document, rules), Counter())[split] += 1
    return {name: dict(sorted(splits.items())) for name, splits in sorted(counted.items())}
