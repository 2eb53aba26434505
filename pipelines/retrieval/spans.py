"""The likeliest spans of some passages -> the one that answers, and how far the refusal is to be preferred.

A small model knows what kind of span is asked for better than where in a passage it stands. So a span's
log-probability is raised by the share of the question's words that stand near it, each counting the less the further
away (proximity: Tao and Zhai 2007, "An exploration of proximity measures in information retrieval"); and of the
distribution that results not the peak is taken but the span that shares most words with all the others, weighed by
their probabilities (minimum Bayes risk: Kumar and Byrne 2004; token F1 is the gain).
Measured: docs/training.md. Limits: words are compared by their stems, not by meaning.
"""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.generation.engine import Span
from pipelines.guardrails.answerwords import normalised, words_f1
from pipelines.retrieval.terms import terms

WEIGHT = 4.0
"""Nats that a span gains with all of the question's words beside it."""
REACH = 10.0
"""Words of distance over which what a word of the question counts falls to 1/e."""
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Choice:
    """A span, and how much likelier the refusal is than all spans together, in nats; "" and inf without a span."""

    text: str
    doubt: float


def choose(spans: Sequence[Span], refusal: float, question: str, texts: Sequence[str]) -> Choice:
    """`spans`: of `texts`; `refusal`: its log-probability."""
    if not spans:
        return Choice("", math.inf)
    near = nearness([text for text, _ in spans], question, texts)
    scored = sorted(((each + WEIGHT * near[text], text) for text, each in spans), reverse=True)
    best = scored[0][0]
    together = best + math.log(sum(math.exp(score - best) for score, _ in scored))
    words = [normalised(text) for _, text in scored]
    shares = [math.exp(score - together) for score, _ in scored]
    gains = [sum(share * words_f1(mine, other) for share, other in zip(shares, words, strict=True)) for mine in words]
    return Choice(scored[gains.index(max(gains))][1], refusal - together)


def nearness(spans: Sequence[str], question: str, texts: Sequence[str]) -> dict[str, float]:
    """For each span the share of the question's terms that stand near it, in 0..1, where it stands best."""
    asked = frozenset(terms(question))
    if not asked:
        return dict.fromkeys(spans, 0.0)
    laid = [_laid_out(text, asked) for text in texts]
    return {
        span: max(
            (
                _near(places, *_words_of(starts, at, at + len(span))) / len(asked)
                for text, (starts, places) in zip(texts, laid, strict=True)
                for at in _occurrences(span, text)
            ),
            default=0.0,
        )
        for span in spans
    }


def _laid_out(text: str, asked: frozenset[str]) -> tuple[list[int], dict[str, list[int]]]:
    """Where each word starts, and which words hold each term that is asked for."""
    starts: list[int] = []
    places: dict[str, list[int]] = {}
    for number, word in enumerate(_WORD.finditer(text)):
        starts.append(word.start())
        for term in asked.intersection(terms(word.group())):
            places.setdefault(term, []).append(number)
    return starts, places


def _occurrences(span: str, text: str) -> Iterator[int]:
    at = text.find(span) if span else -1
    while at >= 0:
        yield at
        at = text.find(span, at + 1)


def _words_of(starts: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """The first and the last word of text[start:end]."""
    first = max(bisect_right(starts, start) - 1, 0)
    return first, max(bisect_left(starts, end) - 1, first)


def _near(places: Mapping[str, Sequence[int]], first: int, last: int) -> float:
    """Sum over terms of e^(-distance / REACH) of the nearest word outside first..last that holds it."""
    away = ([max(first - at, at - last) for at in held if not first <= at <= last] for held in places.values())
    return sum(math.exp(-min(each) / REACH) for each in away if each)
