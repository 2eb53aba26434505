"""Passages as sentences that a claim's words can be looked up in, and the sentence that holds most of a claim.

A claim is held against one sentence and its neighbours: a fact stands in one place, and words that are strewn over a
passage do not make one. Time is linear in the passages, and bounded for each claim (`LOOKED_AT` places of its words,
rarest first, `TRIED` sentences), however long the passages are.
"""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from pipelines.guardrails.claims import claims
from pipelines.guardrails.wording import COMMON_KEYS, Word, words_of

LOOKED_AT = 1000
"""Places of a claim's words that are counted to find its sentence."""
TRIED = 6
"""Sentences that are looked at closely."""
REPEATS = 6
"""Places of one word in one sentence that are kept."""
KEPT_CHARACTERS = 4000
"""Longest text whose words are kept for the next answer."""
NEXT_TO_IT = 0.35
"""What the sentences before and after count beside the one that is tried."""
_PREFIX, _SAME = 5, 0.7
"""Letters that derived words ("agriculture", "agricultural") begin with alike, and their least share of the longer."""


@dataclass(frozen=True)
class Sentence:
    """`contexts[context][start:end]`."""

    context: int
    start: int
    end: int
    words: tuple[Word, ...]

    @cached_property
    def keys(self) -> frozenset[str]:
        """Every word, grammar included."""
        return frozenset(word.key for word in self.words)

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Where each content word stands, counted in content words."""
        found: dict[str, list[int]] = {}
        for place, word in enumerate(word for word in self.words if word.kind != "stop"):
            places = found.setdefault(word.key, [])
            if len(places) < REPEATS:
                places.append(place)
        return found


class Passages:
    """The contexts of an answer, made ready once for all its claims."""

    def __init__(self, contexts: Sequence[str]) -> None:
        self.sentences = [
            Sentence(number, start, end, words)
            for number, text in enumerate(contexts)
            for start, end, words in (_read_once(text) if len(text) <= KEPT_CHARACTERS else _read(text))
        ]
        self.keys = frozenset().union(*(sentence.keys for sentence in self.sentences))
        self.where: dict[str, list[int]] = defaultdict(list)
        for number, sentence in enumerate(self.sentences):
            for key in sentence.places:
                self.where[key].append(number)
        words = [word for sentence in self.sentences for word in sentence.words if word.kind == "word"]
        named = {word.key for word in words if word.name}
        self._uncapped = {word.key for word in words if not word.capital}
        self._named = named - self._uncapped
        self._alike: dict[str, list[str]] = defaultdict(list)
        for key in self.where:
            if len(key) >= _PREFIX and key.isalpha():
                self._alike[key[:_PREFIX]].append(key)

    def content_of(self, words: Sequence[Word]) -> list[Word]:
        """A claim's content words, by the keys that the passages have for them, names told by both texts."""
        return [replace(word, key=self._own(word.key), name=self._is_name(word)) for word in words if word.content]

    def _is_name(self, word: Word) -> bool:
        if word.kind != "word" or word.key in self._uncapped:
            return False
        return word.name or (word.capital and word.key in self._named)

    def _own(self, key: str) -> str:
        """The passages' form of a derived word that they do not hold as it stands."""
        if key in self.where or len(key) < _PREFIX or not key.isalpha():
            return key
        shared = [(_shared_letters(key, other), other) for other in self._alike.get(key[:_PREFIX], ())]
        most, other = max(shared, default=(0, key))
        return other if most >= _SAME * max(len(key), len(other)) else key

    def window(self, number: int) -> list[Sentence]:
        """A sentence and its neighbours in the same context, itself first."""
        found = [self.sentences[number]]
        for other in (number - 1, number + 1):
            if 0 <= other < len(self.sentences) and self.sentences[other].context == found[0].context:
                found.append(self.sentences[other])
        return found

    def likely(self, content: Sequence[Word]) -> list[int]:
        """The sentences that hold most of a claim, at most `TRIED`, best first."""
        weights = {word.key: weight(word) for word in content}
        scores: dict[int, float] = defaultdict(float)
        left = LOOKED_AT
        for key in sorted((key for key in weights if key in self.where), key=lambda key: len(self.where[key])):
            numbers = self.where[key][:left]
            left -= len(numbers)
            for number in numbers:
                scores[number] += weights[key]

        def with_neighbours(number: int) -> float:
            return scores[number] + NEXT_TO_IT * (scores.get(number - 1, 0.0) + scores.get(number + 1, 0.0) / 2)

        return heapq.nlargest(TRIED, list(scores), key=with_neighbours)


def _read(text: str) -> tuple[tuple[int, int, tuple[Word, ...]], ...]:
    """The sentences of a text with their words."""
    return tuple((start, end, tuple(words_of(text, start, end))) for start, end in claims(text))


_read_once = lru_cache(maxsize=256)(_read)
"""Chunks come back with the next question."""


def weight(word: Word) -> float:
    """What a content word counts: figures and names most, words that are met everywhere least."""
    if word.kind == "figure":
        return 2.0
    if word.name:
        return 1.6
    return 0.5 if word.key in COMMON_KEYS else 1.0


def _shared_letters(one: str, other: str) -> int:
    """Letters that two words begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
