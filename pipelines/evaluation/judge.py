"""One judge: items and a rubric -> what it thinks of each, as its own words prove.

Invariants: every item has an Opinion, a failed one with the reason; replies are kept by (endpoint, model, longest
reply, rubric, prompt), so nothing is paid for twice; failures are not kept, so a later run asks again.
Two answers are compared twice, in either order: a verdict that changes with the order is a tie and says so.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from pipelines.contracts import Contract, Message, content_id
from pipelines.errors import EngineError
from pipelines.evaluation.rubrics import Better, JudgeItem, Rubric, Unreadable, Verdict
from pipelines.generation.endpoint import ChatEndpoint
from pipelines.retrieval.kept import Kept
from pipelines.settings import Judge, Judging, judge_key

GIVE_UP = 8
"""Requests that fail one after another, none between them answered: the rest is not asked."""
AGAIN = (
    "\n\nYour last reply could not be read: {why}. Reply with the one JSON object that was asked for, and nothing else."
)


class Opinion(Contract):
    """What a judge thinks of an item."""

    judge: str
    passed: bool | None = None
    """Of one answer; None: no verdict, or two answers were compared."""
    score: int | None = None
    better: Better | None = None
    """Of two answers, the same in either order; else a tie."""
    swayed: bool | None = None
    """Of two answers: whether the verdict changed with their order."""
    reason: str = ""
    failure: str | None = None
    """Why there is no verdict."""


@dataclass
class Spent:
    """What asking a judge took. Tokens are those of this run: kept replies cost nothing."""

    requests: int = 0
    kept: int = 0
    """Verdicts that a former run had asked for."""
    asked_again: int = 0
    """Replies that could not be read and were asked for a second time."""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class KeptVerdicts(Kept[Verdict]):
    """Verdicts by what was asked of whom."""

    def __init__(self, state: Path) -> None:
        super().__init__(state, "judged.db", "verdict", Verdict)


class Asking:
    """A judge with its endpoint, what it has said before, and what it has cost."""

    def __init__(self, judge: Judge, judging: Judging, rubric: Rubric, kept: KeptVerdicts) -> None:
        """Raises SettingsError when the judge's key is named and not set."""
        self.judge, self.judging, self.rubric, self.spent = judge, judging, rubric, Spent()
        self._kept, self._lock, self._failed_in_a_row = kept, threading.Lock(), 0
        self._endpoint = ChatEndpoint(
            judge.base_url, judge.model, judge_key(judge), timeout_s=judging.timeout_s, retries=judging.retries
        )

    def opinions(self, items: Sequence[JudgeItem], report: Callable[[int, int], None] | None = None) -> list[Opinion]:
        """What the judge thinks of each item, in order; `judging.concurrent` requests at a time."""
        found: dict[int, Opinion] = {}
        with ThreadPoolExecutor(self.judging.concurrent) as pool:
            waiting = {pool.submit(self._opinion, item): number for number, item in enumerate(items)}
            for future in as_completed(waiting):
                found[waiting[future]] = future.result()
                if report:
                    report(len(found), len(items))
        return [found[number] for number in range(len(items))]

    def close(self) -> None:
        """Let the connections go."""
        self._endpoint.close()

    def _opinion(self, item: JudgeItem) -> Opinion:
        name = self.judge.name
        try:
            verdict = self._verdict(item)
            if self.rubric.kind == "single":
                passed = self.rubric.passes(verdict)
                return Opinion(judge=name, passed=passed, score=verdict.score, reason=verdict.reason)
            turned = self._verdict(item.model_copy(update={"answer": item.other, "other": item.answer}))
        except EngineError as exc:
            return Opinion(judge=name, failure=str(exc))
        other_way: Better = {"first": "second", "second": "first", "tie": "tie"}[turned.better or "tie"]  # type: ignore[assignment]
        swayed = verdict.better != other_way
        better = "tie" if swayed else verdict.better
        return Opinion(judge=name, better=better, swayed=swayed, reason=verdict.reason)

    def _verdict(self, item: JudgeItem) -> Verdict:
        """Kept, or asked for, a second time when the first reply cannot be read. Raises EngineError."""
        messages, code = self.rubric.messages(item), self.rubric.code(item)
        asked = [message.model_dump() for message in messages]
        judge, longest = self.judge, self.judging.max_tokens
        key = content_id("judged", judge.base_url, judge.model, longest, self.rubric.digest, asked)
        verdict = self._kept.get([key]).get(key)
        if verdict is not None:
            self._count(kept=1)
            return verdict
        try:
            verdict = self.rubric.read(self._reply(messages), code)
        except Unreadable as exc:
            self._count(asked_again=1)
            system, user = messages
            again = user.model_copy(update={"content": user.content + AGAIN.format(why=exc)})
            try:
                verdict = self.rubric.read(self._reply((system, again)), code)
            except Unreadable as still:
                raise EngineError(f"its reply could not be read, twice: {still}") from still
        self._kept.put({key: verdict})
        return verdict

    def _reply(self, messages: Sequence[Message]) -> str:
        if self._failed_in_a_row >= GIVE_UP:
            raise EngineError(f"not asked: the {GIVE_UP} requests before failed")
        try:
            reply = self._endpoint.complete(messages, max_new_tokens=self.judging.max_tokens)
        except EngineError:
            with self._lock:
                self._failed_in_a_row += 1
                self.spent.requests += 1
            raise
        with self._lock:
            self._failed_in_a_row = 0
        self._count(requests=1, prompt_tokens=reply.prompt_tokens, completion_tokens=reply.completion_tokens)
        return reply.text

    def _count(self, **more: int) -> None:
        with self._lock:
            for name, value in more.items():
                setattr(self.spent, name, getattr(self.spent, name) + value)


def cost_usd(judge: Judge, spent: Spent) -> float | None:
    """US dollars for the tokens of this run; None where the judge has no price."""
    price = judge.usd_per_million
    if price is None:
        return None
    return (spent.prompt_tokens * price.prompt + spent.completion_tokens * price.completion) / 1e6
