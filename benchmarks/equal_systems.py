"""Worlds in which the truth about two systems is known: item tables drawn from them.

A world says how often a question of a document is answered well and what its questions have in common. `gain` is
the candidate's true advantage, the same for every question, so a table's mean difference is `gain` on average.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts import Item

Floats = NDArray[np.float64]
Values = tuple[Floats, Floats]
"""Of champion and candidate, item by item."""
Draw = Callable[["World", float, np.random.Generator], Values]
METRIC = "answer_correct"


@dataclass(frozen=True)
class World:
    """Questions by document, and how two systems answer them."""

    about: str
    sizes: tuple[int, ...]
    """Questions of each document."""
    draw: Draw

    @property
    def groups(self) -> list[str]:
        return [f"d{document}" for document, size in enumerate(self.sizes) for _ in range(size)]

    def repeated(self, times: int) -> "World":
        """The same with so many times as many documents."""
        return World(self.about, self.sizes * times, self.draw)


def items_of(values: Sequence[float] | Floats, groups: Sequence[str], metric: str = METRIC) -> list[Item]:
    """An item table of one metric; NaN is a value that could not be measured."""
    return [
        Item(item=f"q{i}", group=group, slice="all", metric=metric, value=None if np.isnan(value) else float(value))
        for i, (value, group) in enumerate(zip(values, groups, strict=True))
    ]


def tables(world: World, gain: float, rng: np.random.Generator, metric: str = METRIC) -> tuple[list[Item], list[Item]]:
    """Candidate and champion."""
    champion, candidate = world.draw(world, gain, rng)
    return items_of(candidate, world.groups, metric), items_of(champion, world.groups, metric)


def _of_documents(world: World, values: Floats) -> Floats:
    return np.repeat(values, world.sizes)


def _difficulty(world: World, rng: np.random.Generator) -> Floats:
    """Chance of a right answer, by question around its document's: .1 to .5, so that there is room for a gain."""
    ease = _of_documents(world, rng.beta(2, 2, len(world.sizes)))
    return np.asarray(0.1 + 0.4 * np.clip(ease + rng.normal(0, 0.1, len(ease)), 0, 1))


def _binary(world: World, gain: float, rng: np.random.Generator) -> Values:
    chance = _difficulty(world, rng)
    right = rng.random((2, len(chance))) < np.stack([chance, chance + gain])
    return right[0].astype(np.float64), right[1].astype(np.float64)


def _graded(world: World, gain: float, rng: np.random.Generator) -> Values:
    chance = _difficulty(world, rng)
    score = np.stack([chance, chance + gain])
    found = rng.beta(6 * score, 6 * (1 - score))
    return found[0], found[1]


def _favoured(world: World, gain: float, rng: np.random.Generator) -> Values:
    """Each document favours one of the two systems."""
    chance = 0.05 + _difficulty(world, rng)
    favour = _of_documents(world, rng.uniform(-0.15, 0.15, len(world.sizes)))
    right = rng.random((2, len(chance))) < np.stack([chance - favour, chance + favour + gain])
    return right[0].astype(np.float64), right[1].astype(np.float64)


def _together(world: World, gain: float, rng: np.random.Generator) -> Values:
    """All questions of a document are answered right or wrong together."""
    chance = 0.1 + 0.4 * rng.beta(2, 2, len(world.sizes))
    right = rng.random((2, len(chance))) < np.stack([chance, chance + gain])
    return _of_documents(world, right[0].astype(float)), _of_documents(world, right[1].astype(float))


def _nearly_perfect(world: World, gain: float, rng: np.random.Generator) -> Values:
    right = rng.random((2, sum(world.sizes))) < np.array([[0.97], [0.97 + gain]])
    return right[0].astype(np.float64), right[1].astype(np.float64)


def _failing(world: World, gain: float, rng: np.random.Generator) -> Values:
    """Of either system one value in twenty could not be measured."""
    champion, candidate = _binary(world, gain, rng)
    for values in (champion, candidate):
        values[rng.random(len(values)) < 0.05] = np.nan
    return champion, candidate


WORLDS: Mapping[str, World] = {
    "binary": World("160 questions of their own, right or wrong", (1,) * 160, _binary),
    "graded": World("160 questions of their own, graded 0..1", (1,) * 160, _graded),
    "clustered": World("20 documents of 8 questions, each favours a system", (8,) * 20, _favoured),
    "graded_clustered": World("20 documents of 8 questions, graded", (8,) * 20, _graded),
    "together": World("20 documents of 8 questions that stand and fall together", (8,) * 20, _together),
    "ten_documents": World("10 documents of 8 questions, each favours a system", (8,) * 10, _favoured),
    "five_documents": World("5 documents of 8 questions, each favours a system", (8,) * 5, _favoured),
    "unequal": World(
        "12 documents of 1 to 60 questions, each favours a system", (60, 30, *(10,) * 5, *(1,) * 5), _favoured
    ),
    "ties": World("160 questions, 97% right: nearly all pairs tie", (1,) * 160, _nearly_perfect),
    "few_items": World("12 questions of their own", (1,) * 12, _binary),
    "missing": World("160 questions, one value in twenty missing", (1,) * 160, _failing),
}


# --- guards: the candidate loses exactly the margin on average --------------------------------


def losses(kind: str, sizes: Sequence[int], margin: float, rng: np.random.Generator) -> Values:
    """Champion and candidate where the candidate is worse by `margin`.

    rare: one answer in 1 / margin is lost entirely; mixed: twice as many lost, half of them won elsewhere;
    graded: every answer is a little worse; documents: whole documents are lost.
    """
    n = sum(sizes)
    champion = np.clip(np.repeat(rng.normal(0.7, 0.1, len(sizes)), sizes), 0.55, 0.85)
    if kind == "graded":
        noise = np.repeat(rng.normal(0, 0.05, len(sizes)), sizes) + rng.normal(0, 0.1, n)
        return champion, np.clip(champion - margin + np.clip(noise, -0.14, 0.14), 0, 1)
    ones = np.ones(n)
    if kind == "rare":
        return ones, ones - (rng.random(n) < margin)
    if kind == "documents":
        return ones, ones - np.repeat(rng.random(len(sizes)) < margin, sizes)
    fate = rng.random(n)
    half = np.full(n, 0.5)
    return half, half + 0.5 * (fate < 2 * margin) - 0.5 * (fate > 1 - 4 * margin)


def successes(sizes: Sequence[int], rate: float, correlation: float, rng: np.random.Generator) -> Floats:
    """Attacks that succeed at a rate, alike within a group by so much (beta-binomial)."""
    chance = np.full(len(sizes), rate)
    if correlation:
        strength = 1 / correlation - 1
        chance = rng.beta(rate * strength, (1 - rate) * strength, len(sizes))
    return np.asarray(rng.random(sum(sizes)) < np.repeat(chance, sizes), dtype=np.float64)
