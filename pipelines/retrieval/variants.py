"""A question -> other wordings of it that are searched beside it, and one score for each candidate of all of them.

Without a model there are three: the question without its asking frame ("how long does ... take"), its heaviest terms
alone, and the question with terms of the passages that it found (pseudo-relevance feedback: Lavrenko and Croft,
"Relevance-Based Language Models" (2001), mixed with the question as RM3; the vector drawn along, Rocchio (1971)).
Fusion by the largest or the mean of whole scores: Fox and Shaw, "Combination of Multiple Searches" (1994).
Invariant: every candidate of any wording is scored under every wording with its true cosine and BM25.
Limits: the frames are English.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipelines.retrieval.candidates import Candidates, Floats, Vectors
from pipelines.retrieval.lexicon import Lexicon
from pipelines.retrieval.terms import terms

KEY_TERMS = 4
"""Words of the wording that is made of the heaviest alone."""
FEEDBACK_FROM, FEEDBACK_TERMS, FEEDBACK_WEIGHT = 5, 8, 0.4
"""First passages that terms are drawn from, how many, and what the heaviest weighs beside the question's own."""
FEEDBACK_DRAW = 0.5
"""How far the vector is drawn towards those passages."""
Fusion = Literal["max", "mean"]
Parts = dict[str, Floats]

_FRAME = re.compile(
    r"^\W*(?:(?:please|hi|hello|hey|ok)\W+)*"
    r"(?:(?:can|could|would|will)\s+(?:you|anyone|somebody|someone)\s+(?:please\s+)?(?:tell\s+me|explain|say|show\s+me)"
    r"|(?:do|does)\s+(?:you|anyone|anybody)\s+know|i(?:'d|\s+would)?\s+(?:want|like|need)\s+to\s+know|tell\s+me"
    r"|i\s+wonder|i(?:'m|\s+am)\s+(?:looking|wondering)\s*(?:for|about|if|whether)?|is\s+it\s+true\s+that)?\W*"
    r"(?:(?:what|which|who|whom|whose|when|where|why|how)\b"
    r"(?:\s+(?:long|often|much|many|far|soon|early|late|quickly|fast|big|large|old|high|low|kind|sort|exactly))?"
    r"(?:\s+of)?)?"
    r"(?:\s*\b(?:is|are|was|were|do|does|did|can|could|may|must|should|shall|will|would|have|has|had|am|i|we|you|one|it"
    r"|there|the|a|an|my|our|to|be)\b)*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Wording:
    """What is searched: a text, its vector float32 [dim], and terms beside its own with what each weighs."""

    text: str
    vector: Vectors
    extra: Mapping[str, float]

    @property
    def shown(self) -> str:
        """As people see it: added terms are stems."""
        return f"{self.text} (+ {' '.join(self.extra)})" if self.extra else self.text


def wordings(question: str, lexicon: Lexicon) -> list[str]:
    """Other texts for a question that need no search first: without its frame, its heaviest terms."""
    found = [without_frame(question), key_terms(question, lexicon)]
    plain = {" ".join(terms(question))}
    kept = []
    for text in found:
        said = " ".join(terms(text))
        if said and said not in plain:
            plain.add(said)
            kept.append(text)
    return kept


def without_frame(question: str) -> str:
    """The question without how it asks: "How long does a repair take at Halifax?": "repair take at Halifax"."""
    return question[_FRAME.match(question).end() :].strip(" ?!.,")  # type: ignore[union-attr]  # matches nothing at least


def key_terms(question: str, lexicon: Lexicon) -> str:
    """The heaviest words of a question by idf, in order; "" where it has no more than these."""
    words = [word for word in re.findall(r"\w+(?:[-.'’/]\w+)*", question) if terms(word)]
    if len(words) <= KEY_TERMS:
        return ""
    weights = [max(lexicon.idf(terms(word))) for word in words]
    heaviest = sorted(sorted(range(len(words)), key=lambda i: -weights[i])[:KEY_TERMS])
    return " ".join(words[i] for i in heaviest)


def expanded(found: Candidates, score: Floats, question: str) -> Wording | None:
    """The question with what its first passages say, None where it found none."""
    if not len(found):
        return None
    first = np.argsort(-score, kind="stable")[:FEEDBACK_FROM]
    trust = np.exp(4 * (score[first] - score[first[0]]))
    trust = trust / trust.sum()
    said: Counter[str] = Counter()
    held = found.rows.column("terms").take(first).to_pylist()
    for weight, passage in zip(trust.tolist(), held, strict=True):
        tokens = passage.split()
        for term, count in Counter(tokens).items():
            if term not in found.asked and not term.isdigit():
                said[term] += weight * count / len(tokens)
    names = list(said)
    weighed = np.array([said[name] for name in names]) * found.lexicon.idf(names)
    best = np.argsort(-weighed, kind="stable")[:FEEDBACK_TERMS]
    extra = {names[i]: FEEDBACK_WEIGHT * float(weighed[i] / weighed[best[0]]) for i in best}
    drawn = found.query + FEEDBACK_DRAW * trust.astype(np.float32) @ found.vectors[first]
    return Wording(question, (drawn / np.linalg.norm(drawn)).astype(np.float32), extra)


def fused(parts: Sequence[Parts], by: Fusion) -> Parts:
    """The parts of each candidate's score, from those under each wording: float64 [n] each, equal names.

    `max`: those of the wording under which its whole score is largest (the first of equals); `mean`: their means.
    """
    if by == "mean":
        return {name: np.mean([each[name] for each in parts], axis=0) for name in parts[0]}
    scores = np.array([np.sum(list(each.values()), axis=0) for each in parts])
    best = np.argmax(scores, axis=0)
    return {name: np.array([each[name] for each in parts])[best, np.arange(len(best))] for name in parts[0]}
