"""Rubrics: what a judge is asked, as a versioned file, and how its reply is read.

Invariants: what is judged stands between fences that carry a code of its request alone; a reply counts only if it is
one JSON object, whole, with that code. The code is a digest of all that is judged, so no text can hold its own: an
answer that brings a verdict along, and a judge that repeats it, give no verdict.
Not covered: a judge that is talked round. `orders` tells which answers try; calibration tells how often it works.
"""

import json
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipelines.contracts import Contract, Message, content_id
from pipelines.errors import JudgeError
from pipelines.guardrails.injection import screen
from pipelines.settings import resolve
from pipelines.yamlfiles import read_record

Better = Literal["first", "second", "tie"]

CODE_LENGTH = 16
"""Hex digits of a request's code: 64 bits, too many to search for a text that holds its own."""
REASON = 500
"""Characters of a reason that are kept."""
NONE = "(none)"
_FIELD = re.compile(r"\{(question|contexts|reference|answer|other|code|levels)\}")
_WRAPPED = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)


class JudgeItem(Contract):
    """A line of `--items` and `--labels`: an answer, or two, to be judged."""

    id: str
    question: str
    answer: str
    other: str | None = None
    """The second answer, for a rubric that compares."""
    contexts: tuple[str, ...] = ()
    reference: str | None = None
    group: str | None = None
    """The document that the item depends on; None: the item stands alone."""
    slice: str = "all"


class Verdict(Contract):
    """What a judge's reply says. One of score and better is there, by the rubric's kind."""

    reason: str
    score: int | None = None
    better: Better | None = None


class Unreadable(ValueError):
    """A reply that is not the verdict asked for."""


class Rubric(Contract):
    """A rubric as its file holds it."""

    name: str
    version: int
    kind: Literal["single", "pair"]
    system: str
    user: str
    levels: dict[int, str] = Field(default_factory=dict)
    """Of kind single: each score and what it means."""
    pass_at: int | None = None
    """Of kind single: the lowest score of an answer that passes."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        text = self.system + self.user
        needed = ["{question}", "{answer}", "{code}", *(["{other}"] if self.kind == "pair" else [])]
        missing = [field for field in needed if field not in text]
        if missing:
            raise ValueError(f"system and user lack {', '.join(missing)}")
        if self.kind == "single" and (len(self.levels) < 2 or self.pass_at not in self.levels):
            raise ValueError("kind single needs two or more `levels` and a `pass_at` that is one of them")
        if self.kind == "single" and self.pass_at == min(self.levels):
            raise ValueError("`pass_at` is the lowest level: every answer would pass")
        if self.kind == "pair" and (self.levels or self.pass_at is not None):
            raise ValueError("kind pair has no `levels` and no `pass_at`")
        return self

    @property
    def digest(self) -> str:
        """Identity of what is asked (name and version number are labels)."""
        levels = sorted(self.levels.items())
        return content_id("rubric", self.kind, self.system, self.user, levels, self.pass_at)

    def code(self, item: JudgeItem) -> str:
        """The number that a reply about this item must carry."""
        shown = [item.question, item.answer, item.other, item.contexts, item.reference]
        return content_id("code", self.digest, shown)[:CODE_LENGTH]

    def messages(self, item: JudgeItem) -> tuple[Message, ...]:
        """What a judge is sent about an item, all fields filled in at once: braces in an answer stay braces."""
        code = self.code(item)

        def fenced(name: str, text: str | None) -> str:
            return f"<{name} {code}>\n{text or NONE}\n</{name} {code}>"

        passages = "\n\n".join(f"[{number}] {text}" for number, text in enumerate(item.contexts, 1))
        filled = {
            "question": fenced("question", item.question),
            "contexts": fenced("passages", passages),
            "reference": fenced("reference", item.reference),
            "answer": fenced("answer", item.answer),
            "other": fenced("answer", item.other),
            "levels": "\n".join(f"{score}: {meaning}" for score, meaning in sorted(self.levels.items())),
            "code": code,
        }
        system, user = (_FIELD.sub(lambda found: filled[found.group(1)], text) for text in (self.system, self.user))
        return (Message(role="system", content=system), Message(role="user", content=user))

    def read(self, reply: str, code: str) -> Verdict:
        """The verdict in a reply. Raises Unreadable, which says what is wrong with it."""
        said = _object(reply)
        wanted = {"code", "reason", "score" if self.kind == "single" else "better"}
        if set(said) != wanted:
            raise Unreadable(f"its keys are {sorted(said)}, not {sorted(wanted)}")
        if said["code"] != code:
            raise Unreadable("it does not carry the code of this request")
        if not isinstance(said["reason"], str):
            raise Unreadable("its reason is no text")
        reason = said["reason"][:REASON]
        if self.kind == "single":
            if type(said["score"]) is not int or said["score"] not in self.levels:
                raise Unreadable(f"its score is none of {sorted(self.levels)}")
            return Verdict(reason=reason, score=said["score"])
        if said["better"] not in ("first", "second", "tie"):
            raise Unreadable("`better` is none of first, second, tie")
        return Verdict(reason=reason, better=said["better"])

    def passes(self, verdict: Verdict) -> bool:
        """Whether a single answer's score is enough."""
        return verdict.score is not None and self.pass_at is not None and verdict.score >= self.pass_at


def load_rubric(path: Path) -> Rubric:
    """Read a rubric. Raises JudgeError naming the file and what is wrong with it."""
    return read_record(resolve(path), Rubric, "rubric", JudgeError)


def orders(item: JudgeItem) -> bool:
    """Whether an answer under judgement gives orders to who reads it."""
    return any(screen(text, "passage") is not None for text in (item.answer, item.other) if text)


def _object(reply: str) -> dict[str, Any]:
    """The reply as one JSON object; a code block around the whole of it is taken off, nothing is searched for."""
    text = reply.strip()
    wrapped = _WRAPPED.match(text)
    try:
        said = json.loads(wrapped.group(1) if wrapped else text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as exc:
        raise Unreadable("it is not one JSON object" if not isinstance(exc, Unreadable) else str(exc)) from exc
    if not isinstance(said, dict):
        raise Unreadable("it is not one JSON object")
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys occur once: of two scores neither is the verdict."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise Unreadable("a key occurs twice")
    return dict(pairs)
