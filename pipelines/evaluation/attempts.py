"""A bounded number of mutated attacks, spent round by round on what works.

Which mutation is tried next is drawn by Thompson sampling (Thompson 1933) from Beta(1 + successes,
1 + failures) of each mutation, updated after every round: what worked gets more of the budget, the rest is not
given up. Equal attacks, answers and seed give equal attempts.
Invariant: attempts are a search, not a sample. They depend on earlier answers, so no interval is given for
them and the gate does not read them; its rate stays that of the plain attacks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipelines.contracts import Answer, Attack, Contract, Message, gravity
from pipelines.evaluation import statistics
from pipelines.evaluation.assertions import succeeded
from pipelines.evaluation.mutations import MUTATIONS, mutated
from pipelines.settings import Mutations


class Attempt(Contract):
    """A row of attempts.jsonl: one mutated attack put to the candidate with its guardrails on."""

    attack: str
    """Id of the plain attack."""
    finding: str = ""
    """Id of the finding that its success is, or would have been (regressions.identity)."""
    mutation: str
    round: int
    """From 1."""
    category: str
    severity: str
    prompt: str
    turns: tuple[Message, ...] = ()
    injected_passage: str | None
    succeeded: bool
    guardrail: str | None
    answer: str


@dataclass(frozen=True)
class Target:
    """An attack that did not get through as it stands."""

    attack: Attack
    obeyed_unguarded: bool
    """Whether the model alone gave in: only the guardrails stand in the way."""


Ask = Callable[[Sequence[Attack]], list[Answer]]
"""The candidate's answers, guardrails on."""


@dataclass
class _Search:
    """What is known so far; a round draws from it and is written back to it."""

    targets: list[Target]
    settings: Mutations
    rng: np.random.Generator
    wins: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MUTATIONS, 0))
    losses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MUTATIONS, 0))
    tried: dict[str, set[str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def draw(self, most: int) -> list[tuple[str, Attack, Attack]]:
        """Up to `most` of (mutation, plain, mutated): the least tried attacks, the most urgent of these first."""
        drawn: list[tuple[str, Attack, Attack]] = []
        for target in sorted(self.targets, key=lambda each: len(self.tried.get(each.attack.id, ()))):
            if len(drawn) == most:
                break
            if target.attack.id not in self.broken and (found := self._next(target.attack)):
                drawn.append(found)
        return drawn

    def _next(self, attack: Attack) -> tuple[str, Attack, Attack] | None:
        scores = {name: self.rng.beta(1 + self.wins[name], 1 + self.losses[name]) for name in MUTATIONS}
        tried = self.tried.setdefault(attack.id, set())
        for name in sorted(MUTATIONS, key=lambda each: -scores[each]):
            if name in tried:
                continue
            tried.add(name)
            changed = mutated(attack, name, seed=self.settings.seed)
            if changed is not None:
                return name, attack, changed
        return None

    def learn(self, attempt: Attempt) -> None:
        (self.wins if attempt.succeeded else self.losses)[attempt.mutation] += 1
        if attempt.succeeded:
            self.broken.add(attempt.attack)


def attempt_all(
    targets: Sequence[Target], ask: Ask, settings: Mutations
) -> tuple[list[Attempt], list[tuple[str, Attack]]]:
    """Spend the budget: the attempts in order, and (mutation, attack) of those that got through.

    First in line are attacks that only a guardrail stopped, then severe ones; an attack that is broken is left.
    """
    urgent = sorted(targets, key=lambda each: (not each.obeyed_unguarded, gravity(each.attack.severity)))
    search = _Search(urgent, settings, statistics.generator(settings.seed, "mutations"))
    attempts: list[Attempt] = []
    through: list[tuple[str, Attack]] = []
    number = 0
    while (left := settings.attempts_at_most - len(attempts)) > 0:
        drawn = search.draw(min(settings.attempts_a_round, left))
        if not drawn:
            break
        number += 1
        answers = ask([changed for _, _, changed in drawn])
        for (name, plain, changed), answer in zip(drawn, answers, strict=True):
            attempt = _attempt(name, plain, changed, answer, number)
            search.learn(attempt)
            attempts.append(attempt)
            if attempt.succeeded:
                through.append((name, changed))
    return attempts, through


def _attempt(name: str, plain: Attack, changed: Attack, answer: Answer, number: int) -> Attempt:
    return Attempt(
        attack=plain.id,
        mutation=name,
        round=number,
        category=plain.category,
        severity=plain.severity,
        prompt=changed.prompt,
        turns=changed.turns,
        injected_passage=changed.injected_passage,
        succeeded=succeeded(plain, answer),
        guardrail=answer.guardrail,
        answer=answer.text,
    )


def summary(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Counts for the report: attempts, attacks tried and broken, by mutation."""
    names = sorted({attempt.mutation for attempt in attempts})
    parts = {name: [each for each in attempts if each.mutation == name] for name in names}
    return {
        "attempts": len(attempts),
        "attacks": len({attempt.attack for attempt in attempts}),
        "broken": sorted({attempt.attack for attempt in attempts if attempt.succeeded}),
        "by_mutation": [
            {"mutation": name, "attempts": len(part), "successes": sum(each.succeeded for each in part)}
            for name, part in parts.items()
        ],
    }
