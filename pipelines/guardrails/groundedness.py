"""An answer and the passages that it stands on -> how likely they say it, claim by claim, with the evidence for each.

Each claim (claims.py) is held against the sentence that holds most of it and its neighbours (passages.py). Thirteen
signs, each 0..1, go into a logistic model: how much of it is there, together and in which order; figures and names that
are not there, or elsewhere; a negation or a contrary on one side alone; words of the speaker. The weights are fitted by
benchmarks/groundedness.py, right and wrong answers at even odds, so 0.5 is even odds; docs/groundedness.md says on
what, how well, and what it cannot tell. Words are compared, not meanings: a paraphrase in other words scores low.
Invariants: a score for every answer (0 for one without words, and for any without passages); `evidence` is a span of
its context; time is linear in answer and passages.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pipelines.guardrails.claims import Span, claims
from pipelines.guardrails.opposites import opposites
from pipelines.guardrails.passages import Passages, Sentence, weight
from pipelines.guardrails.wording import Word, words_of

Sign = Literal[
    "words",
    "together",
    "pairs",
    "gap",
    "figures_missing",
    "figures_elsewhere",
    "names_elsewhere",
    "out_of_place",
    "changed_round",
    "negation",
    "contrary",
    "speaker",
    "question",
]
SIGNS: tuple[Sign, ...] = get_args(Sign)
FOR: frozenset[Sign] = frozenset(("words", "together", "pairs"))
"""Signs that speak for a claim; the others speak against it."""

WEIGHTS: Mapping[str, float] = {
    "words": 2.96,
    "together": 0.81,
    "pairs": 1.22,
    "gap": -2.09,
    "figures_missing": -5.11,
    "figures_elsewhere": -8.79,
    "names_elsewhere": -5.56,
    "out_of_place": -1.27,
    "changed_round": -3.33,
    "negation": -4.55,
    "contrary": -5.96,
    "speaker": -4.25,
    "question": -3.94,
    "bias": -2.22,
}
"""Log-odds of a sign of 1: `make bench-groundedness` prints them."""
STRICTNESS = 0.6
"""How much the worst claim decides: towards 0 the claims' mean log-odds count, at 1 the mean odds against them."""
EVEN = 0.5
"""Score from which a claim counts as supported."""
LEAST_SHARE = 0.1
"""What a claim without content counts in the answer, in content words: "Yes, I agree." decides little beside others."""

_SPEAKER = frozenset("i me my mine myself i'm i've i'd i'll you your yours you're you've we us our ours we're".split())
_CHATTER = frozenset(
    "think guess believ sure mayb probabl wonder love like hope wow yeah oh haha lol hi hello okay ok thank agre true "
    "right realli actual definit awesom cool great nice interest heard bet well favorit favourit".split()
)
"""Keys of words that carry talk rather than a claim."""
_NEAR, _FARTHER = 3, 6
"""Content words between two words of a claim that still stand together."""
_REACH = 3
"""Content words after a negation that it denies."""
_DENIED_SHARE = 0.4
"""Share of what the evidence denies that a claim without negation must hold to count as its contrary."""


@dataclass(frozen=True)
class Evidence:
    """`contexts[context][start:end]`."""

    context: int
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Claim:
    """`answer[start:end]`, how likely the passages say it (0..1), and the sentence that comes nearest to saying it."""

    text: str
    start: int
    end: int
    score: float
    supported: bool
    """Whether that is EVEN at least."""
    share: float
    """What it counts in the answer: its content words by weight, against those of all claims. They add to 1."""
    evidence: Evidence | None
    """None: no passage holds any of its words."""


@dataclass(frozen=True)
class Grounded:
    """How likely an answer's passages say all of it: 0..1; and each of its claims."""

    score: float
    claims: tuple[Claim, ...]

    @property
    def supported(self) -> float:
        """Share of the answer, claims by what they count, that its passages support: 0..1."""
        return sum(claim.share for claim in self.claims if claim.supported)


def check(answer: str, contexts: Sequence[str]) -> Grounded:
    """Whether contexts say what an answer says."""
    passages = Passages(contexts)
    judged = [(held_against(answer, span, passages), span) for span in claims(answer)]
    whole = sum(each.share for each, _ in judged)
    shares = [each.share / whole for each, _ in judged]
    if not judged or not passages.sentences:
        scores = [0.0] * len(judged)
        score = 0.0
    else:
        odds = [log_odds(each.signs, WEIGHTS) for each, _ in judged]
        scores = [_probability(each) for each in odds]
        score = _probability(-together([-each for each in odds], shares))
    found = [
        Claim(answer[start:end], start, end, own, own >= EVEN, share, _evidence(each.nearest, contexts))
        for (each, (start, end)), own, share in zip(judged, scores, shares, strict=True)
    ]
    return Grounded(score, tuple(found))


def together(against: Sequence[float], shares: Sequence[float]) -> float:
    """Log-odds against an answer of those against its claims: their power mean (exponent STRICTNESS) as odds.

    `shares` add to 1.
    """
    most = max(against)  # taken out before the exponential, so that nothing overflows
    mean = sum(s * math.exp(STRICTNESS * (a - most)) for a, s in zip(against, shares, strict=True))
    return most + math.log(mean) / STRICTNESS


def log_odds(signs: Mapping[Sign, float], weights: Mapping[str, float]) -> float:
    """The logistic model of a claim."""
    return weights["bias"] + sum(weights.get(name, 0.0) * value for name, value in signs.items())


def _probability(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z)) if z > -700 else 0.0


def _evidence(nearest: Sentence | None, contexts: Sequence[str]) -> Evidence | None:
    if nearest is None:
        return None
    text = contexts[nearest.context][nearest.start : nearest.end]
    return Evidence(nearest.context, nearest.start, nearest.end, text)


# --- one claim -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """A claim's signs, the sentence that they were taken from, and what the claim counts in its answer."""

    signs: dict[Sign, float]
    nearest: Sentence | None
    share: float


def held_against(answer: str, span: Span, passages: Passages) -> Held:
    """The signs of the claim `answer[span]`, each 0..1.

    words: share of all its words that the passages hold. together: weighted share of its content words that the nearest
    sentence holds. pairs: share of its neighbouring content words that stand near each other there or next to it, less
    in another order. gap: the heaviest run of content words that the sentence lacks. figures_missing: figures that no
    passage holds; figures_elsewhere, names_elsewhere: those that only other sentences hold. out_of_place: figures and
    names whose neighbours in the claim are not their neighbours there; changed_round: where these also stand in another
    order. negation: on one side alone. contrary: words for which the sentence has a contrary. speaker: words of I and
    you; question: whether it asks.
    """
    words = words_of(answer, *span)
    content = passages.content_of(words)
    spoken = sum(word.key in _SPEAKER and word.key not in passages.keys for word in words)
    found: dict[Sign, float] = dict.fromkeys(SIGNS, 0.0)
    found["words"] = sum(word.key in passages.keys for word in words) / max(1, len(words))
    found["speaker"] = min(spoken, 3) / 3
    found["question"] = float("?" in answer[span[0] : span[1]])
    figures = [word for word in content if word.kind == "figure"]
    found["figures_missing"] = _some(word.key not in passages.where for word in figures)
    share = LEAST_SHARE + sum(weight(word) for word in content if word.key not in _CHATTER)
    tried = [(number, passages.window(number)) for number in passages.likely(content)]
    if not tried:
        found["gap"] = float(bool(content))
        return Held(found, None, share)
    window = max((window for _, window in tried), key=lambda window: _nearness(content, window))
    found |= _signs_of(words, content, window, passages)
    return Held(found, window[0], share)


def _signs_of(
    words: Sequence[Word], content: Sequence[Word], window: Sequence[Sentence], passages: Passages
) -> dict[Sign, float]:
    nearest = window[0]
    strewn = [
        word
        for word in content
        if word.key in passages.where and not any(word.key in sentence.places for sentence in window)
    ]
    misplaced = _out_of_place(content, window)
    return {
        "together": _share(content, window[:1]),
        "pairs": _pairs(content, window),
        "gap": _gap(content, nearest),
        "figures_elsewhere": _some(word.kind == "figure" for word in strewn),
        "names_elsewhere": _some(word.name for word in strewn),
        "out_of_place": misplaced,
        "changed_round": misplaced * _changed_round(content, nearest),
        "negation": float(_denies(words, content, nearest)),
        "contrary": _some(_has_contrary(word, words, nearest) for word in words),
    }


def _some(found: Iterable[bool]) -> float:
    """None 0, one a half, more 1."""
    return min(sum(found), 2) / 2


def _nearness(content: Sequence[Word], window: Sequence[Sentence]) -> float:
    return _share(content, window[:1]) + _share(content, window) + _pairs(content, window)


def _share(content: Sequence[Word], sentences: Sequence[Sentence]) -> float:
    """Weighted share of a claim's content words that sentences hold."""
    held = sum(weight(word) for word in content if any(word.key in sentence.places for sentence in sentences))
    return held / sum(map(weight, content))


def _pairs(content: Sequence[Word], window: Sequence[Sentence]) -> float:
    """Share of neighbouring content words that are near each other in one sentence; a single word's own share."""
    if len(content) < 2:
        return _share(content, window[:1])
    found = whole = 0.0
    for one, other in itertools.pairwise(content):
        both = (weight(one) + weight(other)) / 2
        whole += both
        found += both * max(_closeness(one.key, other.key, sentence) for sentence in window)
    return found / whole


def _closeness(one: str, other: str, sentence: Sentence, behind: float = 0.6) -> float:
    """How near one word stands before another in a sentence: 1 as neighbours in this order; `behind`: in the other."""
    best = 0.0
    for p in sentence.places.get(one, ()):
        for q in sentence.places.get(other, ()):
            step = q - p
            if 0 < step <= _NEAR:
                return 1.0
            if step:
                best = max(best, 0.6 if 0 < step <= _FARTHER else behind if -_NEAR <= step < 0 else 0.3)
    return best


def _gap(content: Sequence[Word], nearest: Sentence) -> float:
    """Weight of the heaviest run of content words that a sentence lacks, 1 from four words on."""
    run = most = 0.0
    for word in content:
        run = 0.0 if word.key in nearest.places else run + weight(word)
        most = max(most, run)
    return min(most, 4.0) / 4


def _anchor(word: Word) -> bool:
    return word.name or word.kind == "figure"


def _out_of_place(content: Sequence[Word], window: Sequence[Sentence]) -> float:
    """How far figures and names have other neighbours in the evidence than in the claim; 0 for a claim without any."""
    lacking: list[float] = []
    for place, word in enumerate(content):
        if not _anchor(word):
            continue
        beside = [(step, content[place + step]) for step in (-2, -1, 1, 2) if 0 <= place + step < len(content)]
        near = [
            max(
                _closeness(*((word.key, other.key) if step > 0 else (other.key, word.key)), sentence, behind=0.5)
                for sentence in window
            )
            for step, other in beside
            if not _anchor(other) and any(other.key in sentence.places for sentence in window)
        ]
        if near and any(word.key in sentence.places for sentence in window):
            lacking.append(1 - max(near))
    return sum(lacking) / len(lacking) if lacking else 0.0


def _changed_round(content: Sequence[Word], nearest: Sentence) -> bool:
    """Whether two figures or names that follow each other in a claim stand the other way round in the evidence."""
    at = [nearest.places[word.key] for word in content if _anchor(word) and word.key in nearest.places]
    single = [places[0] for places in at if len(places) == 1]
    return any(later < earlier for earlier, later in itertools.pairwise(single))


def _denies(words: Sequence[Word], content: Sequence[Word], nearest: Sentence) -> bool:
    """Whether a claim or its evidence alone has a negation that bears on what they share."""
    claim_denies, evidence_denies = _denied(words), _denied(nearest.words)
    shared = {word.key for word in content} & nearest.places.keys()
    if claim_denies is not None:
        return bool(shared) and evidence_denies is None
    if not evidence_denies:
        return False
    return len(shared & evidence_denies) >= max(1.0, _DENIED_SHARE * len(evidence_denies))


def _denied(words: Sequence[Word]) -> set[str] | None:
    """The content words that negations bear on; None without any negation.

    `not only` denies nothing, nor does what answers a question before the claim begins: `No, it is`, `not really`.
    """
    found: set[str] | None = None
    left = 0
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else None
        only = following is not None and following.key == "onli"
        answers = place == 0 and (following is None or following.kind != "word" or following.key == "realli")
        if word.kind == "not" and not only and not answers:
            found, left = found or set(), _REACH
        elif word.content and left:
            assert found is not None
            found.add(word.key)
            left -= 1
    return found


def _has_contrary(word: Word, words: Sequence[Word], nearest: Sentence) -> bool:
    """Whether the evidence lacks a word and has its contrary, which the claim has not."""
    if word.key in nearest.keys:
        return False
    return any(other in nearest.keys and all(other != each.key for each in words) for other in opposites(word.key))
